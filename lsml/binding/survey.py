"""The effect of a labeling config, and of a recipe's `was`, on the labels of annotations, counted before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from lsml.binding.bind import Binding
from lsml.binding.learn import near_labels, strange_controls
from lsml.binding.prompts import regions_of
from lsml.controls.base import Control
from lsml.labeling import AnnotatedTask
from lsml.labeling.needed import without_regions
from lsml.labeling.remarks import Misread, Reason, Remark


class LabelCounts(msgspec.Struct):
    """Counts of the labels of one control in annotations.

    `labels`: each label of the config, under any of its names; `renamed`: those with another name, in a sentence;
    `dropped`: names without a label; `near`: labels similar to these.
    """

    control: str
    labels: dict[str, int]
    renamed: dict[str, int]
    dropped: dict[str, int]
    near: dict[str, tuple[str, ...]] = {}


class Survey(msgspec.Struct):
    """The labels of a number of annotated tasks. `others`: regions of controls that the labeling config does not have, by
    name.
    """

    tasks: int
    controls: list[LabelCounts]
    others: dict[str, int]


def survey(binding: Binding, tasks: Iterable[AnnotatedTask]) -> Survey:
    """Return counts of the labels in tasks' annotations, for each control of a binding. The tasks' data is not read."""
    counts = {name: LabelCounts(control.control_tag.selector, dict.fromkeys(control.labels, 0), {}, {})
              for name, control in binding.controls.items() if control.labels or control.open}  # fmt: skip
    known = [control_tag.name for control_tag in binding.config.controls] if binding.config else []
    others: Counter[str] = Counter()
    surveyed = 0
    for surveyed, task in enumerate(tasks, 1):  # noqa: B007 - used after the loop
        seen: set[str] = set()
        for names in strange_controls(task.annotations, known).values():
            others.update(names)
        for model in binding.models:
            for template, control in model.copies(without_regions(task.data)):
                found = counts.get(template.control_tag.name)
                if found is not None and control.control_tag.name not in seen:
                    seen.add(control.control_tag.name)
                    for annotation in task.annotations:
                        _count(found, control, annotation.result)
    for found in counts.values():
        found.near = {name: near_labels(name, tuple(found.labels)) for name in found.dropped}
    return Survey(surveyed, list(counts.values()), dict(others.most_common()))


def _count(found: LabelCounts, control: Control, result: list[object]) -> None:
    """Add the labels of one annotation."""
    for region in regions_of(control, result):
        remarks: list[Remark] = []
        try:
            labels = control.named(region, remarks)
        except Misread:
            continue  # it has no label, so none is lost
        for label in labels:
            found.labels[label] = found.labels.get(label, 0) + 1
        for reason, subject in remarks:
            if reason in (Reason.RENAMED, Reason.OTHER_CAPITALS):
                found.renamed[subject] = found.renamed.get(subject, 0) + 1
            elif reason == Reason.UNKNOWN_LABEL:
                found.dropped[subject] = found.dropped.get(subject, 0) + 1
