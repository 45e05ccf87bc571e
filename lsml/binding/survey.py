"""What a labeling config, and a recipe's `was`, make of the labels of annotations, counted before anything learns them."""

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
    """How often annotations name the labels of one control.

    `labels`: each label of the config, under whatever name; `renamed`: of these, what was written otherwise, in a sentence;
    `dropped`: names that no label has; `near`: labels that are written like these.
    """

    control: str
    labels: dict[str, int]
    renamed: dict[str, int]
    dropped: dict[str, int]
    near: dict[str, tuple[str, ...]] = {}


class Survey(msgspec.Struct):
    """The labels of so many annotated tasks. `others`: regions of controls that the labeling config lacks, by their name."""

    tasks: int
    controls: list[LabelCounts]
    others: dict[str, int]


def survey(binding: Binding, tasks: Iterable[AnnotatedTask]) -> Survey:
    """What a binding makes of the labels in tasks' annotations, control by control. Nothing that tasks show is read."""
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
    """Add what one annotation says."""
    for region in regions_of(control, result):
        remarks: list[Remark] = []
        try:
            labels = control.named(region, remarks)
        except Misread:
            continue  # it names no label, so that none is lost
        for label in labels:
            found.labels[label] = found.labels.get(label, 0) + 1
        for reason, subject in remarks:
            if reason in (Reason.RENAMED, Reason.OTHER_CAPITALS):
                found.renamed[subject] = found.renamed.get(subject, 0) + 1
            elif reason == Reason.UNKNOWN_LABEL:
                found.dropped[subject] = found.dropped.get(subject, 0) + 1
