"""The examples that a model learns from a snapshot, and the tasks that are kept to judge it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from lsml.adapters.base import Example
from lsml.binding import BoundModel, Reading, as_configured
from lsml.errors import FetchError
from lsml.labeling.objects import Fetch, Unreadable, read_ahead
from lsml.learning.snapshot import AnnotatedExample, Snapshot
from lsml.recipe import Holdout
from lsml.values import Choice, Shape, Value, label_of
from lsml.versions import data_hash


def move_over(models: Sequence[BoundModel], snapshot: Snapshot) -> set[str]:
    """Return the held-out tasks that training needs, so that it covers two classes: as few as possible, in hash order."""
    moved_to_training: set[str] = set()
    for model in models:
        if Choice not in model.adapter_class.produces:
            continue
        covered: set[tuple[str, ...]] = set()
        kept: list[tuple[float, str, set[tuple[str, ...]]]] = []
        for example in snapshot:
            answers = {_labels(a) for name in control_names(model, example) for a in example.answers.get(name, ())}
            if not answers:
                continue
            if held_out(model, example, moved_to_training):
                kept.append((example.share, example.task, answers))
            else:
                covered |= answers
        for _, task, answers in sorted(kept, key=lambda one: one[:2]):
            if len(covered) >= 2:
                break
            if not answers <= covered:
                moved_to_training.add(task)
                covered |= answers
    return moved_to_training


def held_out(model: BoundModel, example: AnnotatedExample, moved_to_training: set[str]) -> bool:
    """Return True if a task is kept to judge a model: its `holdout` keeps it, and it is not `moved_to_training`."""
    kept = model.spec.training.held_out if model.spec.training else Holdout()
    return example.task not in moved_to_training and kept.holds(example.task, ground_truth=example.ground_truth)


def held_out_tasks(
    models: Sequence[BoundModel], snapshot: Snapshot, moved_to_training: set[str]
) -> list[AnnotatedExample]:
    """Return the tasks that none of the models learns."""
    return [example for example in snapshot if all(held_out(model, example, moved_to_training) for model in models)]


def examples_of(
    model: BoundModel, snapshot: Iterable[AnnotatedExample], moved_to_training: set[str], fetch: Fetch
) -> tuple[list[Example], Counter[str], list[tuple[str, str]], set[bytes]]:
    """Return (examples, count of each label, reasons why tasks could not be read, hashes of the data) of tasks that are not
    held out.

    A reason is (reason, sentence), once for each task.
    """
    learnt: set[bytes] = set()
    examples: list[Example] = []
    classes: Counter[str] = Counter()
    unread: list[tuple[str, str]] = []
    annotated = (
        example
        for example in snapshot
        if not held_out(model, example, moved_to_training)
        and any(name in example.answers for name in control_names(model, example))
    )

    def read(example: AnnotatedExample) -> tuple[AnnotatedExample, list[Reading]]:
        try:
            return example, model.read({"id": example.task, "data": example.data}, fetch)
        except (Unreadable, FetchError) as error:
            unread.append((error.reason, f"task {example.task}: {error}"))
            return example, []

    for example, readings in read_ahead(read, annotated) if model.needs_fetch else map(read, annotated):
        if not readings:
            continue
        learnt.add(data_hash(example.data))
        for reading in readings:
            answers = [example.answers.get(control.control_tag.name, []) for control in reading.controls]
            for turn in range(max(map(len, answers))):
                by_control = {
                    control.config_name: tuple(
                        value
                        for value in answer[turn]
                        if not isinstance(value, Shape) or value.item == (reading.view.item or 0)
                    )
                    for control, answer in zip(as_configured(model, reading), answers, strict=True)
                    if turn < len(answer)
                }
                values = tuple(value for own in by_control.values() for value in own)
                examples.append(Example(reading.view.data, values, by_control if len(model.controls) > 1 else {}))
                classes.update(label for value in values if (label := label_of(value)))
    return examples, classes, unread, learnt


def control_names(model: BoundModel, example: AnnotatedExample) -> list[str]:
    """Return the names of a model's controls in one task, with the copies that a Repeater makes."""
    return [control.control_tag.name for control in model.instances(example.data)]


def _labels(answer: Sequence[Value]) -> tuple[str, ...]:
    return tuple(sorted(value.label for value in answer if isinstance(value, Choice)))
