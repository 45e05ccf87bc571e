"""Two versions on the tasks that neither of them learnt: the answers that each has right, task by task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import msgspec

from lsml.binding import Binding
from lsml.labeling import AnnotatedTask
from lsml.labeling.objects import Fetch
from lsml.learning.examples import held_out_tasks
from lsml.learning.judge import evaluate
from lsml.learning.snapshot import take_snapshot
from lsml.metrics import Pair, judge
from lsml.prediction.wording import holds, said
from lsml.versions import Loaded

Outcome = Literal["won", "lost", "wrong", "right"]
_MOST_TASKS = 200  # predicted tasks, as people look at some of them and wait meanwhile


class ComparedTask(msgspec.Struct, frozen=True):
    """One task: its data in short, people's answer, and each version's. `outcome`: of the new one."""

    task: str
    holds: str
    people: str
    new: str
    old: str
    outcome: Outcome


class ComparedVersions(msgspec.Struct, frozen=True):
    """`tasks` of the `held_out` tasks were predicted; `rows` are those on which a version is wrong."""

    tasks: int
    held_out: int
    counts: dict[Outcome, int]
    rows: list[ComparedTask]


def compare(
    binding: Binding, new: Loaded, old: Loaded, tasks: Iterable[AnnotatedTask], fetch: Fetch
) -> ComparedVersions:
    """Return two versions' answers for the held-out tasks.

    A version wins a task if its answers agree better with people's, by the metric of each control.
    """
    moved = {task for one in (new, old) if one.card for model in one.card.models.values() for task in model.moved}
    with TemporaryDirectory() as folder:
        snapshot = take_snapshot(tasks, binding, Path(folder) / "tasks.jsonl", fetch)
        kept = held_out_tasks(binding.trainable, snapshot, moved)
    asked = kept[:_MOST_TASKS]
    rows: list[ComparedTask] = []
    counts: Counter[Outcome] = Counter(dict.fromkeys(("won", "lost", "wrong", "right"), 0))
    pairs = [evaluate(binding, one.adapters, asked, fetch).pairs for one in (new, old)]
    for at, lesson in enumerate(asked):
        values = [_value(binding, of_version, at) for of_version in pairs]
        outcome = _outcome(*values)
        counts[outcome] += 1
        if outcome != "right":
            new_says, old_says = (
                said(guess for of_control in of_version.values() for _, guess in of_control[at]) for of_version in pairs
            )
            people = said(answer for answers in lesson.answers.values() for answer in answers)
            rows.append(ComparedTask(lesson.task, holds(lesson.data), people, new_says, old_says, outcome))
    return ComparedVersions(len(asked), len(kept), dict(counts), rows)


def _value(binding: Binding, pairs: dict[str, list[list[Pair]]], at: int) -> float:
    """Return the agreement on one task, from 0 to 1: the mean over its controls."""
    values = [
        judge(control.value_type, pairs[name][at])["value"]
        for name, control in binding.controls.items()
        if pairs[name][at]
    ]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 1.0


def _outcome(new: float, old: float) -> Outcome:
    if new >= 1 and old >= 1:
        return "right"
    if new == old:
        return "wrong"
    return "won" if new > old else "lost"
