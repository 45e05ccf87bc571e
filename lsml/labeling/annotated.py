"""The annotated tasks of an export; where there are none, the reason."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, cast

from lsml.errors import RequestError
from lsml.labeling import ControlTag
from lsml.labeling.tasks import AnnotatedTask, Annotation, ReadAnnotation, id_order, is_id, read_annotation
from lsml.wording import listed, one_line

REPLACED = "replaced"  # the key for earlier copies of a task that stands several times in a file


def task_id(task: Mapping[str, object]) -> str:
    """Return a task's id. Without one, return a hash of its data, so that the held-out tasks stay the same in every run."""
    if is_id(task.get("id")):
        return str(task["id"])
    data = json.dumps(task.get("data"), sort_keys=True)
    return "data-" + hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class AnnotatedTasks:
    """The tasks of an export with the annotations that count. The export is read anew for each iteration.

    `from_predictions`: predictions replace the annotations of a task that has none, or only skipped ones. `malformed`:
    a sentence for each entry that is not an annotation; filled by reading.
    """

    def __init__(self, tasks: Sequence[Mapping[str, object]], *, from_predictions: bool = False) -> None:
        self._tasks = tasks
        self._from_predictions = from_predictions
        self.malformed: list[str] = []

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[AnnotatedTask]:
        self.malformed = []
        for task in self._tasks:
            data = task.get("data")
            if not isinstance(data, Mapping):
                continue
            read, malformed = _read(task, "annotations")
            self.malformed += malformed
            if self._from_predictions and not read:
                read, malformed = _read(task, "predictions")
                self.malformed += malformed
            kept = _latest(read)
            if kept:
                copies = (
                    _latest(_read(copy, "annotations")[0])
                    for copy in cast("list[dict[str, object]]", task.get(REPLACED, []))
                )
                yield AnnotatedTask(task_id(task), dict(data), kept, tuple(chain.from_iterable(copies)))

    def unused(self, controls: Sequence[ControlTag]) -> list[str]:
        """Return a sentence for each kind of work that teaches nothing: entries that are not annotations, and regions of
        controls that are not among `controls`, which are all controls of a labeling config.
        """
        sentences = []
        if self.malformed:
            count = len(self.malformed)
            entries = "1 entry is" if count == 1 else f"{count} entries are"
            sentences.append(f"{entries} not an annotation and left out; the first: {self.malformed[0]}")
        tally = _Tally(controls)
        for task in self._tasks:
            tally.count(task)
        if tally.no_data:
            sentences.append(
                f"{many(len(tally.no_data), 'annotated task')} {are(len(tally.no_data))} left out: the data is no object "
                f"with the task's fields; the first: task {tally.no_data[0]}"
            )
        if tally.others:
            count = sum(tally.others.values())
            sentences.append(
                f"{many(count, 'region')} of {_named(tally.others)} {are(count)} left out: the labeling config has "
                "no such control; give the config of these annotations with --labeling-config"
            )
        return sentences

    def why_none(self, controls: Sequence[ControlTag], left_out: Sequence[str] = ()) -> str:
        """Return a sentence with the reasons why no task teaches `controls` anything, and what to do.

        `left_out`: sentences about annotations that could not be used.
        """
        tally = _Tally(controls)
        for task in self._tasks:
            tally.count(task)
        if not self._tasks:
            return "it has no tasks"
        selectors = ", ".join(control.selector for control in controls)
        causes = [*tally.causes(), *left_out]
        if not causes:
            causes = ["they are not annotated" if tally.bare else "their annotations are for other controls"]
        why = f": {'; '.join(causes)}" if causes else ""
        return f"none of its {many(len(self._tasks), 'task')} has an annotation for {selectors}{why}"


def _read(task: Mapping[str, object], key: str) -> tuple[list[ReadAnnotation], list[str]]:
    """Return the annotations under `key`, and a sentence for each entry that is none."""
    given = task.get(key)
    if given is None:
        return [], []
    if not isinstance(given, list):
        return [], [f"task {task_id(task)}: `{key}` is not a list of objects"]
    read, malformed = [], []
    for one in given:
        try:
            read.append(read_annotation(one, task.get("predictions")))
        except RequestError as error:
            malformed.append(f"task {task_id(task)}: {error}")
    return read, malformed


def _latest(read: Sequence[ReadAnnotation]) -> tuple[Annotation, ...]:
    """Return the annotations that count, oldest first; of two states of one annotation, the later."""
    states: dict[str, ReadAnnotation] = {}
    for index, one in enumerate(read):
        id = str(index) if one.id is None else one.id
        if id not in states or one.updated_at >= states[id].updated_at:
            states[id] = one
    kept = [
        Annotation(
            id,
            one.result,
            one.updated_at,
            one.ground_truth,
            one.accepted,
            annotator=one.annotator,
            lead_time_s=one.lead_time_s,
            seen=one.seen,
        )
        for id, one in states.items()
        if not one.skipped
    ]
    return tuple(sorted(kept, key=lambda one: (one.updated_at, id_order(one.id))))


@dataclass
class _Tally:
    """Counts of the reasons why tasks teach `controls` nothing."""

    controls: Sequence[ControlTag]
    skipped: int = 0
    empty: int = 0
    drafts: int = 0
    predictions: int = 0
    bare: int = 0
    no_data: list[str] = field(default_factory=list)  # ids of annotated tasks
    others: Counter[str] = field(default_factory=Counter)  # from_name
    malformed: list[str] = field(default_factory=list)

    def count(self, task: Mapping[str, object]) -> None:
        read, malformed = _read(task, "annotations")
        self.malformed += malformed
        self.skipped += sum(one.skipped for one in read)
        kept = [one for one in read if not one.skipped]
        if kept and not isinstance(task.get("data"), Mapping):
            self.no_data.append(task_id(task))
            return
        for one in kept:
            self._count_result(one.result)
        if read or malformed:
            return
        if _holds(task, "drafts"):
            self.drafts += 1
        elif _holds(task, "predictions"):
            self.predictions += 1
        else:
            self.bare += 1

    def _count_result(self, result: Sequence[object]) -> None:
        regions = [region for region in result if isinstance(region, Mapping) and "from_name" in region]
        if not regions:
            self.empty += 1
        for region in regions:
            name = str(region["from_name"])
            if not any(_is_named(control, name) for control in self.controls):
                self.others[name] += 1

    def causes(self) -> list[str]:
        """Return a part of a sentence for each reason, with what to do."""
        causes = []
        if self.no_data:
            causes.append(f"{many(len(self.no_data), 'annotated task')} {_has(len(self.no_data))} no data")
        if self.others:
            causes.append(
                f"its annotations are for {_named(self.others)}, which the labeling config lacks or which has no "
                "adapter in the recipe; give the config of these annotations with --labeling-config"
            )
        if self.skipped:
            causes.append(f"{many(self.skipped, 'annotation')} {are(self.skipped)} skipped")
        if self.empty:
            causes.append(f"{many(self.empty, 'annotation')} {are(self.empty)} empty")
        if self.drafts:
            causes.append(
                f"{many(self.drafts, 'task')} {_has(self.drafts)} only drafts; submit them in Label Studio, and "
                "export again"
            )
        if self.predictions:
            causes.append(
                f"{many(self.predictions, 'task')} {_has(self.predictions)} only predictions of a model; to use them "
                "as annotations, add --from-predictions"
            )
        if self.malformed:
            causes.append(self.malformed[0])
        return causes


def _holds(task: Mapping[str, object], key: str) -> bool:
    given = task.get(key)
    return isinstance(given, list) and bool(given)


def _is_named(control: ControlTag, name: str) -> bool:
    """Return True if `name` is the control's, or that of a copy that a Repeater makes of it."""
    if control.repeater is None:
        return name == control.name
    pattern = re.escape(control.name)
    repeater: Any = control.repeater
    while repeater is not None:
        pattern = pattern.replace(re.escape(repeater.index_flag), r"\d+")
        repeater = repeater.outer
    return re.fullmatch(pattern, name) is not None


def _named(counted: Counter[str]) -> str:
    return listed(f"`{one_line(name)}`" for name, _ in counted.most_common())


def many(count: int, what: str) -> str:
    """Return a count with its noun: `1 task`, `3 tasks`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def are(count: int) -> str:
    """Return the verb of a count: `is` or `are`."""
    return "is" if count == 1 else "are"


def _has(count: int) -> str:
    return "has" if count == 1 else "have"
