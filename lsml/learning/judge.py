"""How well what would be shown meets the annotations of held-out tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lsml.adapters.base import Adapter, Progress, silent
from lsml.binding import Binding, BoundModel
from lsml.controls.base import Control
from lsml.labeling.objects import Fetch
from lsml.learning.snapshot import AnnotatedExample
from lsml.metrics import Pair, judge
from lsml.prediction import predict_tasks
from lsml.values import Box, KeyPoint, Value

_BATCH = 256  # tasks judged at a time


def evaluate(
    binding: Binding,
    adapters: Mapping[str, Adapter],
    lessons: Sequence[AnnotatedExample],
    fetch: Fetch,
    progress: Progress = silent,
) -> dict[str, dict[str, Any]]:
    """How well what would be shown meets the annotations: `{control: {metric, value, examples, per_label, ...}}`."""
    pairs: dict[str, list[Pair]] = {name: [] for name in binding.controls}
    for begin in range(0, len(lessons), _BATCH):
        some = lessons[begin : begin + _BATCH]
        tasks = [{"id": lesson.task, "data": lesson.data} for lesson in some]
        outcomes = predict_tasks(binding, adapters, tasks, fetch, "", judging=True)
        for lesson, outcome in zip(some, outcomes, strict=True):
            judged: set[str] = set()
            for model in binding.models:
                for template, control in _with_templates(model, lesson.data):
                    name = control.control_tag.name
                    if name in judged:
                        continue  # several models answer it, and their combination is what is judged
                    judged.add(name)
                    guess = outcome.values.get(name, ())
                    around = _parents(lesson) if control.value_type is KeyPoint else ()
                    pairs[template.control_tag.name] += [
                        ((*truth, *around), guess) for truth in lesson.answers.get(name, ())
                    ]
        progress(min(1.0, (begin + _BATCH) / len(lessons)), f"judged {min(begin + _BATCH, len(lessons))} tasks")
    return {name: judge(control.value_type, pairs[name]) for name, control in binding.controls.items()}


def main_metric(metrics: Mapping[str, Mapping[str, Any]], names: set[str]) -> float | None:
    """The mean of the metrics of some controls, in [0, 1] or below; None where none of them could be judged."""
    values = [metrics[name]["value"] for name in sorted(names) if metrics[name]["value"] is not None]
    return sum(values) / len(values) if values else None


def _parents(lesson: AnnotatedExample) -> list[Value]:
    """The boxes that points of a task may name as their parents."""
    answers = (answer for annotated in lesson.answers.values() for answer in annotated)
    return [value for answer in answers for value in answer if isinstance(value, Box) and value.group]


def _with_templates(model: BoundModel, data: Mapping[str, Any]) -> list[tuple[Control, Control]]:
    """(the control as the config has it, its copy in this task); the same twice without a Repeater."""
    copies = model.instances(data)
    each = len(copies) // len(model.controls)
    return [(template, copy) for i, template in enumerate(model.controls) for copy in copies[i * each : (i + 1) * each]]
