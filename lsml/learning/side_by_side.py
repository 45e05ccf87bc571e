"""Versions on the tasks that they did not learn: what each answers beside people, task by task, ready to be drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import msgspec

from lsml.binding import Binding
from lsml.controls.base import Region
from lsml.labeling import AnnotatedTask, resolve_value
from lsml.labeling.objects import Fetch
from lsml.learning.examples import held_out_tasks
from lsml.learning.judge import JudgedTask, judged_tasks
from lsml.learning.snapshot import AnnotatedExample, take_snapshot
from lsml.metrics import Pair, judge
from lsml.prediction.wording import holds, said
from lsml.versions import Loaded

Outcome = Literal["won", "lost", "wrong", "right"]
_MOST_TASKS: Final = 200  # predicted tasks; people wait for them and only look at some
_MOST_MISTAKES: Final = 1000  # the same for one version
_LONGEST: Final = 20_000  # characters of a text that is drawn


class Drawing(msgspec.Struct, frozen=True):
    """The content of a task with the marks of people and of both versions.

    `texts` by object tag; `pictures`: the number of pages of each image, by object tag. `people`, `new` and `old` are
    regions in Label Studio's form: people's of the latest annotation.
    """

    texts: dict[str, str]
    pictures: dict[str, int]
    people: list[Region]
    new: list[Region]
    old: list[Region]


class ComparedTask(msgspec.Struct, frozen=True):
    """One task: its data in short, people's answer, and each version's. `outcome`: of the new one. `drawing`: None where
    nothing is marked in a text or an image.
    """

    task: str
    holds: str
    people: str
    new: str
    old: str
    outcome: Outcome
    drawing: Drawing | None = None


class ComparedVersions(msgspec.Struct, frozen=True):
    """`tasks` of the `held_out` tasks were predicted; `rows` are those on which a version is wrong."""

    tasks: int
    held_out: int
    counts: dict[Outcome, int]
    rows: list[ComparedTask]


class Cell(msgspec.Struct, frozen=True):
    """One cell of a control's confusion matrix: the label that people gave, and the model's; "" for none."""

    control: str
    people: str = ""
    model: str = ""


class MistakenTask(msgspec.Struct, frozen=True):
    """One task that a version got wrong: its data in short, people's answer, and the version's."""

    task: str
    holds: str
    people: str
    model: str


class Mistakes(msgspec.Struct, frozen=True):
    """Tasks for which people gave one label and a version another; `tasks` of the `held_out` tasks were predicted."""

    tasks: int
    held_out: int
    rows: list[MistakenTask]


def compare(
    binding: Binding,
    new: Loaded,
    old: Loaded,
    tasks: Iterable[AnnotatedTask],
    fetch: Fetch,
    annotated: Callable[[str], Iterable[AnnotatedTask]],
) -> ComparedVersions:
    """Return two versions' answers for the held-out tasks.

    A version wins a task if its answers agree better with people's, by the metric of each control. `annotated` returns
    the task with an id, if it is there.
    """
    kept = _held_out(binding, (new, old), tasks, fetch)
    asked = kept[:_MOST_TASKS]
    counts: Counter[Outcome] = Counter(dict.fromkeys(("won", "lost", "wrong", "right"), 0))
    rows: list[ComparedTask] = []
    sides = [judged_tasks(binding, one.adapters, asked, fetch) for one in (new, old)]
    for of_new, of_old in zip(*sides, strict=True):
        outcome = _outcome(_agreement(binding, of_new.pairs), _agreement(binding, of_old.pairs))
        counts[outcome] += 1
        if outcome != "right":
            example = of_new.example
            people = [region for task in annotated(example.task) for region in task.annotations[-1].result]
            rows.append(
                ComparedTask(
                    example.task, holds(example.data), _people(example), _model(of_new), _model(of_old), outcome,
                    _drawing(binding, people, of_new, of_old),
                )
            )  # fmt: skip
    return ComparedVersions(len(asked), len(kept), dict(counts), rows)


def mistakes(binding: Binding, served: Loaded, tasks: Iterable[AnnotatedTask], fetch: Fetch, cell: Cell) -> Mistakes:
    """Return the held-out tasks in one cell of a control's confusion matrix."""
    kept = _held_out(binding, (served,), tasks, fetch)
    asked = kept[:_MOST_MISTAKES]
    rows = []
    for task in judged_tasks(binding, served.adapters, asked, fetch):
        pairs = task.pairs.get(cell.control, [])
        confusion = judge(binding.controls[cell.control].value_type, pairs).get("confusion") or {}
        if confusion.get(cell.people, {}).get(cell.model):
            rows.append(MistakenTask(task.example.task, holds(task.example.data), _people(task.example), _model(task)))
    return Mistakes(len(asked), len(kept), rows)


def _held_out(
    binding: Binding, versions: Sequence[Loaded], tasks: Iterable[AnnotatedTask], fetch: Fetch
) -> list[AnnotatedExample]:
    """Return the tasks that none of the versions learnt."""
    moved_to_training = {
        task for one in versions if one.card for model in one.card.models.values() for task in model.moved
    }
    with TemporaryDirectory() as folder:
        snapshot = take_snapshot(tasks, binding, Path(folder) / "tasks.jsonl", fetch)
        return held_out_tasks(binding.trainable, snapshot, moved_to_training)


def _people(example: AnnotatedExample) -> str:
    return said(answer for answers in example.answers.values() for answer in answers)


def _model(task: JudgedTask) -> str:
    return said(guess for of_control in task.pairs.values() for _, guess in of_control)


def _agreement(binding: Binding, pairs: Mapping[str, Sequence[Pair]]) -> float:
    """Return the agreement on one task, from 0 to 1: the mean over its controls."""
    values = [judge(binding.controls[name].value_type, of_control)["value"] for name, of_control in pairs.items()]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 1.0


def _outcome(new: float, old: float) -> Outcome:
    if new >= 1 and old >= 1:
        return "right"
    if new == old:
        return "wrong"
    return "won" if new > old else "lost"


def _drawing(binding: Binding, people: Iterable[object], new: JudgedTask, old: JudgedTask) -> Drawing | None:
    """Return what can be drawn of one task; None where nothing is marked in it."""
    texts: dict[str, str] = {}
    pictures: dict[str, int] = {}
    for tag in chain.from_iterable(model.reads for model in binding.models):
        try:
            value = resolve_value(tag.value, new.example.data)
        except KeyError:
            continue
        if tag.tag == "Image":
            pictures[tag.name] = len(value) if isinstance(value, list) else 1
        elif tag.tag == "Text" and isinstance(value, str) and not tag.behind_url and len(value) <= _LONGEST:
            texts[tag.name] = value
    drawable = {*texts, *pictures}
    sides = [
        [region for region in regions if _is_drawn(region, drawable)] for regions in (people, new.regions, old.regions)
    ]
    return Drawing(texts, pictures, *sides) if any(sides) else None  # type: ignore[arg-type]  # regions are dicts


def _is_drawn(region: object, drawable: Collection[str]) -> bool:
    """Return True for a place in a text, or for a shape with an outline."""
    if not isinstance(region, dict) or region.get("to_name") not in drawable:
        return False
    value = region.get("value")
    return isinstance(value, dict) and any(isinstance(value.get(key), (int, float, list)) for key in _PLACES)


_PLACES: Final = ("start", "x", "points")
