"""Annotations of one moment in a file: one JSON line for each annotated task, and a hash of the content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from lsml.binding import Binding, LeftOut, Tally, Taught
from lsml.labeling import AnnotatedTask
from lsml.labeling.objects import Fetch, read_ahead
from lsml.labeling.remarks import Reason, Remark
from lsml.recipe import share_of
from lsml.values import Value


class AnnotatedExample(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task's data with the regions that models need, and its annotated values by control name: one answer, or several
    under `several: all`.

    `ground_truth`: True if one of the annotations is marked as ground truth.
    """

    task: str
    data: dict[str, object]
    answers: dict[str, list[tuple[Value, ...]]]
    ground_truth: bool = False

    @property
    def share(self) -> float:
        """The task's number in [0, 1), by a hash of its id: tasks below `holdout` are the validation set."""
        return share_of(self.task)


def read_examples(
    binding: Binding, tasks: Iterable[AnnotatedTask], fetch: Fetch
) -> tuple[list[AnnotatedExample], tuple[LeftOut, ...]]:
    """Return (examples of annotated tasks, counts of what was left out), in memory."""
    tally = Tally()
    examples: list[AnnotatedExample] = []
    weights: Mapping[str, float] = {}
    if binding.weighs:
        tasks = list(tasks)
        weights = binding.weigh(tasks, fetch)
    for task in tasks:
        taught = binding.learn(task, fetch, weights)
        tally.add(task.id, taught)
        if taught.answers:
            examples.append(_example(binding, task, taught))
    return examples, tally.report()


def _example(binding: Binding, task: AnnotatedTask, taught: Taught) -> AnnotatedExample:
    """Return the example of a task, whatever the source of its annotations."""
    # A score that lsml published is not part of the task's data.
    score_field = binding.recipe.publish.field if binding.recipe.publish is not None else None
    data = {name: held for name, held in taught.data.items() if name != score_field}
    return AnnotatedExample(
        task.id, data, taught.answers, any(annotation.ground_truth for annotation in task.annotations)
    )


@dataclass(frozen=True)
class Snapshot:
    """Examples on disk, in their original order. `digest` is the SHA-256 of the file; `left_out`: counts of annotations
    that could not be used.
    """

    path: Path
    digest: str
    tasks: int
    left_out: tuple[LeftOut, ...] = ()

    def __iter__(self) -> Iterator[AnnotatedExample]:
        """Yield the examples, read again each time, so that only the caller keeps any in memory."""
        decoder = msgspec.json.Decoder(AnnotatedExample)
        with self.path.open("rb") as lines:
            for line in lines:
                yield decoder.decode(line)


class _Kept:
    """Annotated tasks in a file, which can be read more than once."""

    def __init__(self, tasks: Iterable[AnnotatedTask], path: Path) -> None:
        self.path = path
        encoder = msgspec.json.Encoder()
        with path.open("wb") as file:
            for task in tasks:
                try:
                    file.write(encoder.encode(task) + b"\n")
                except UnicodeEncodeError:
                    # Half of a surrogate pair: JSON's own escapes hold it.
                    file.write(json.dumps(msgspec.to_builtins(task)).encode() + b"\n")

    def __iter__(self) -> Iterator[AnnotatedTask]:
        with self.path.open("rb") as lines:
            for line in lines:
                yield msgspec.convert(json.loads(line), AnnotatedTask)


def take_snapshot(
    tasks: Iterable[AnnotatedTask],
    binding: Binding,
    path: Path,
    fetch: Fetch,
    watch: Callable[[int], None] = lambda _count: None,
) -> Snapshot:
    """Write the examples of tasks to `path`, with few tasks in memory at a time. `watch` gets the number of tasks read.

    Annotations that cannot be used are left out and counted.
    """
    digest = hashlib.sha256()
    encoder = msgspec.json.Encoder()
    written = 0
    tally = Tally()
    weights: Mapping[str, float] = {}
    if binding.weighs:
        # The iterator of tasks can be read only once, but they are needed twice.
        tasks = _Kept(tasks, path.with_name(f"{path.name}.tasks"))
        weights = binding.weigh(tasks, fetch)
    with path.open("wb") as file:

        def learn(task: AnnotatedTask) -> tuple[AnnotatedTask, Taught]:
            return task, binding.learn(task, fetch, weights)

        waits = any(model.needs_fetch and model.reads_view for model in binding.models)
        learnt = read_ahead(learn, tasks) if waits else map(learn, tasks)
        for count, (task, taught) in enumerate(learnt, 1):
            line = None
            if taught.answers:
                try:
                    line = encoder.encode(_example(binding, task, taught)) + b"\n"
                except UnicodeEncodeError:
                    # Half of a surrogate pair, as a file or an older lsml may hold: any correction would change the text.
                    broken = [
                        (binding.controls[name], Remark(Reason.NOT_UNICODE))
                        for name in taught.answers
                        if name in binding.controls
                    ]
                    taught = replace(taught, answers={}, remarks=(*taught.remarks, *broken))
            tally.add(task.id, taught)
            if line is not None:
                digest.update(line)
                file.write(line)
                written += 1
            watch(count)
    if isinstance(tasks, _Kept):
        tasks.path.unlink()
    return Snapshot(path, digest.hexdigest(), written, tally.report())
