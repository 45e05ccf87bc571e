"""The agreement of visible predictions with the annotations of held-out tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from lsml.adapters.base import Adapter, Progress, silent
from lsml.binding import Binding
from lsml.controls.base import Region
from lsml.labeling.objects import Fetch
from lsml.learning.snapshot import AnnotatedExample
from lsml.metrics import Metrics, Pair, judge
from lsml.prediction import Outcome, Predictor, predict_tasks
from lsml.values import Box, KeyPoint, Value

_BATCH = 256  # tasks evaluated at a time


@dataclass(frozen=True)
class Judged:
    """`metrics` by control: `{metric, value, examples, per_label, ...}`, on `tasks` tasks.

    `pairs` by control: for each example the annotated and the visible values; empty for some. `unread`: (reason,
    sentence) of each task that no model of a control could read.
    """

    metrics: dict[str, Metrics]
    pairs: dict[str, list[list[Pair]]]
    tasks: int
    unread: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class JudgedTask:
    """One task with people's answers and the visible predictions.

    `pairs` by control: the annotated and the visible values; without the controls that no model could read. `regions`:
    the visible ones in Label Studio's form. `unread`: (reason, sentence) if a control could not be read.
    """

    example: AnnotatedExample
    pairs: dict[str, list[Pair]]
    regions: list[Region]
    unread: tuple[str, str] | None = None


def evaluate(
    binding: Binding,
    adapters: Mapping[str, Adapter],
    examples: Sequence[AnnotatedExample],
    fetch: Fetch,
    progress: Progress = silent,
) -> Judged:
    """Return the agreement of visible predictions with the annotations.

    A task that cannot be read is left out, as it is no wrong answer. A model's failure on a task that it read counts as
    one.
    """
    pairs: dict[str, list[list[Pair]]] = {name: [] for name in binding.controls}
    unread: list[tuple[str, str]] = []
    tasks = 0
    for number, task in enumerate(judged_tasks(binding, adapters, examples, fetch), 1):
        for name, of_tasks in pairs.items():
            of_tasks.append(task.pairs.get(name, []))
        if task.unread is not None:
            unread.append(task.unread)
        tasks += task.unread is None or bool(task.pairs)
        if number % _BATCH == 0 or number == len(examples):
            progress(number / len(examples), f"judged {number} tasks")
    metrics = {
        name: judge(control.value_type, list(chain.from_iterable(pairs[name])))
        for name, control in binding.controls.items()
    }
    return Judged(metrics, pairs, tasks, tuple(unread))


def judged_tasks(
    binding: Binding, adapters: Mapping[str, Adapter], examples: Sequence[AnnotatedExample], fetch: Fetch
) -> Iterator[JudgedTask]:
    """Yield each task with what models answer, in order. They are predicted some at a time."""
    predictor = Predictor(binding, adapters, fetch)
    for begin in range(0, len(examples), _BATCH):
        some = examples[begin : begin + _BATCH]
        asked = [{"id": example.task, "data": example.data} for example in some]
        outcomes = predict_tasks(predictor, asked, judging=True)
        for example, outcome in zip(some, outcomes, strict=True):
            pairs = _pairs(binding, example, outcome)
            unread = {name: why for name in pairs if (why := _unread(binding, adapters, outcome, name)) is not None}
            read = {name: found for name, found in pairs.items() if name not in unread}
            regions = outcome.prediction["result"] if outcome.prediction is not None else []
            yield JudgedTask(example, read, regions, next(reversed(unread.values()), None))


def _pairs(binding: Binding, example: AnnotatedExample, outcome: Outcome) -> dict[str, list[Pair]]:
    """Return the annotated and the visible values of one task, by the control's name in the config."""
    pairs: dict[str, list[Pair]] = {}
    judged: set[str] = set()
    for model in binding.models:
        for template, control in model.copies(example.data):
            name = control.control_tag.name
            if name in judged or name not in example.answers:
                continue  # several models may serve it, and their combination is evaluated
            judged.add(name)
            guess = outcome.values.get(name, ())
            around = _parents(example) if control.value_type is KeyPoint else ()
            pairs.setdefault(template.control_tag.name, []).extend(
                ((*truth, *around), guess) for truth in example.answers[name]
            )
    return pairs


def _unread(binding: Binding, adapters: Mapping[str, Adapter], outcome: Outcome, name: str) -> tuple[str, str] | None:
    """Return the reason why no model of a control could read the task; None where one could, or where there is no model."""
    asked = [
        model.key
        for model in binding.models
        if adapters[model.key].ready and name in (control.control_tag.name for control in model.controls)
    ]
    unread = [outcome.unread[key] for key in asked if key in outcome.unread]
    return unread[0] if asked and len(unread) == len(asked) else None


def unread_sentence(unread: Sequence[tuple[str, str]]) -> str:
    """Return how many tasks could not be read, the reasons, and the first task."""
    reasons = ", ".join(sorted({reason for reason, _ in unread}))
    tasks = "1 task" if len(unread) == 1 else f"{len(unread)} tasks"
    return f"{tasks} could not be read ({reasons}), the first of them: {unread[0][1]}"


def mean_metric(metrics: Mapping[str, Metrics], names: set[str]) -> float | None:
    """Return the mean of the metrics of some controls; None where none of them could be judged."""
    values = [metrics[name]["value"] for name in sorted(names) if metrics[name]["value"] is not None]
    return sum(values) / len(values) if values else None


def _parents(example: AnnotatedExample) -> list[Value]:
    """Return the boxes that points of a task may have as their parents."""
    answers = (answer for annotated in example.answers.values() for answer in annotated)
    return [value for answer in answers for value in answer if isinstance(value, Box) and value.group]
