"""Annotations that are probably wrong: those that contradict a model trained on all the others.

For labels of a closed list this is confident learning (Northcutt, Jiang, Chuang 2021, JAIR 70): a label is suspect if another
one is at least as likely here as it is on average for the tasks that have it. For spans, shapes and texts a task is suspect
if the prediction hardly agrees with the annotation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from lsml.adapters.base import Adapter, Progress, silent
from lsml.binding import Binding, BoundModel
from lsml.controls.base import Control
from lsml.errors import AdapterError, FetchError, NotEnoughData
from lsml.labeling import AnnotatedTask
from lsml.labeling.annotated import many
from lsml.labeling.objects import Fetch, Unreadable
from lsml.learning.examples import control_names
from lsml.learning.fit import SEED
from lsml.learning.judge import evaluate
from lsml.learning.refit import fitted_without
from lsml.learning.snapshot import AnnotatedExample, Snapshot, take_snapshot
from lsml.metrics import judge
from lsml.prediction.wording import holds, said
from lsml.values import Choice
from lsml.versions import data_hash, start

_FOLDS: Final = 5
_LEAST_TASKS: Final = 20  # tasks; with fewer, a model is too weak to contradict people
_HARDLY: Final = 0.3  # the F1 (or similar) of spans, shapes and texts below which a task is suspect


class Suspect(msgspec.Struct, frozen=True):
    """One answer to check. `given`: people's answer, `suggested`: the answer of a model trained on the others,
    `confidence`: the certainty of that, from 0 to 1; `quality`: the probability of the given answer, by which suspects
    are sorted.
    """

    task: str
    control: str
    given: str
    suggested: str
    quality: float
    confidence: float | None
    data: dict[str, object]


class Review(msgspec.Struct, frozen=True):
    """The suspects, the least likely first, and the number of checked tasks; `notes`: what was not checked, and why."""

    suspects: list[Suspect]
    tasks: int
    notes: list[str]


def in_json(suspect: Suspect, address: str | None) -> dict[str, object]:
    """Return a suspect for programs: with what its task holds, and its `url` below a project's address in Label Studio."""
    return {
        "task": suspect.task, "control": suspect.control, "given": suspect.given, "suggested": suspect.suggested,
        "quality": round(suspect.quality, 4),
        "confidence": None if suspect.confidence is None else round(suspect.confidence, 4),
        "holds": holds(suspect.data), "url": f"{address}/data?task={suspect.task}" if address else None,
    }  # fmt: skip


def review(binding: Binding, tasks: Iterable[AnnotatedTask], fetch: Fetch, progress: Progress = silent) -> Review:
    """Check every annotated task with models that did not learn it. Raises NotEnoughData where there are too few.

    Annotations marked as ground truth are trusted.
    """
    with TemporaryDirectory() as folder:
        snapshot = take_snapshot(tasks, binding, Path(folder) / "tasks.jsonl", fetch)
        examples = list(snapshot)
        if len(examples) < _LEAST_TASKS:
            raise NotEnoughData(
                f"not enough data: {len(examples)} tasks are annotated, and a review needs {_LEAST_TASKS}"
            )
        suspects: list[Suspect] = []
        notes: list[str] = []
        models = [model for model in binding.models if model.learns]
        for number, model in enumerate(models):

            def tell(share: float, message: str, begun: int = number) -> None:
                progress((begun + share) / len(models), message)

            try:
                suspects += _of_model(binding, model, snapshot, examples, fetch, tell)
            except (NotEnoughData, AdapterError) as error:
                notes.append(f"{model.key}: not reviewed: {error}")
    trusted = sum(example.ground_truth for example in examples)
    if trusted:
        notes.append(
            f"{trusted:,} of {many(len(examples), 'task')} trusted, not checked: Label Studio marks their annotations as "
            "ground truth, as it does with imported ones"
        )
    notes += [f"{model.key}: not reviewed: it cannot be trained" for model in binding.models if not model.learns]
    return Review(sorted(suspects, key=lambda one: one.quality), len(examples), notes)


def _of_model(
    binding: Binding,
    model: BoundModel,
    snapshot: Snapshot,
    examples: Sequence[AnnotatedExample],
    fetch: Fetch,
    progress: Progress,
) -> list[Suspect]:
    """Return one model's suspects, from folds that each learn without a fifth of the tasks; equal tasks are in one fold."""
    from sklearn.model_selection import GroupKFold

    own = [example for example in examples if any(name in example.answers for name in control_names(model, example))]
    groups = [data_hash(example.data).hex() for example in own]
    folds = min(_FOLDS, len(set(groups)))
    if folds < 2:
        raise NotEnoughData(f"{len(own)} different tasks have an annotation for it")
    everything = {example.task for example in examples}  # so that held-out tasks are training examples, too
    chosen = Choice in model.adapter_class.produces and not model.copied
    likely: dict[str, dict[str, float]] = {}
    suspects: list[Suspect] = []
    for number, (_, left) in enumerate(GroupKFold(folds, shuffle=True, random_state=SEED).split(own, groups=groups)):
        progress(number / folds, f"{model.key}: reviewing, part {number + 1} of {folds}")
        fold = [own[index] for index in left]
        adapter = fitted_without({data_hash(example.data) for example in fold}, model, snapshot, everything, fetch)
        if chosen:
            likely |= _likely(model, adapter, fold, fetch)
        else:
            suspects += _unmet(binding, model, adapter, fold, fetch)
    if chosen:
        for control in model.controls:
            suspects += _unlikely(control, own, likely)
    return suspects


def _likely(
    model: BoundModel, adapter: Adapter, fold: Sequence[AnnotatedExample], fetch: Fetch
) -> dict[str, dict[str, float]]:
    """Return the probability of each label that the model knows, by task; empty for a task that cannot be read."""
    found: dict[str, dict[str, float]] = {}
    for example in fold:
        try:
            reading = model.read({"id": example.task, "data": example.data}, fetch)[0]
        except (Unreadable, FetchError):
            continue
        (values,) = adapter.predict([reading.view.data])
        found[example.task] = {value.label: value.score or 0.0 for value in values if isinstance(value, Choice)}
    return found


def _unlikely(
    control: Control, examples: Sequence[AnnotatedExample], likely: Mapping[str, Mapping[str, float]]
) -> list[Suspect]:
    """Return suspects by confident learning; where a task may have several labels, for each label by itself."""
    name = control.control_tag.name
    given = [
        (example, {value.label for value in example.answers[name][-1] if isinstance(value, Choice)})
        for example in examples
        if name in example.answers and example.task in likely
    ]
    labels = sorted({label for _, answer in given for label in answer})
    single = all(len(answer) == 1 for _, answer in given)
    suspects: list[Suspect] = []
    if single:
        usual = {
            label: _mean([likely[example.task].get(label, 0.0) for example, answer in given if label in answer])
            for label in labels
        }
        for example, answer in given:
            (own,) = answer
            sure = {label: p for label, p in likely[example.task].items() if p >= usual.get(label, 2.0)}
            best = max(sure, key=lambda label: sure[label], default=own)
            if best != own and not example.ground_truth:
                quality = likely[example.task].get(own, 0.0)
                suspects.append(Suspect(example.task, name, own, best, quality, sure[best], example.data))
        return suspects
    for label in labels:
        there = _mean([likely[one.task].get(label, 0.0) for one, answer in given if label in answer])
        absent = _mean([1 - likely[one.task].get(label, 0.0) for one, answer in given if label not in answer])
        for example, answer in given:
            p = likely[example.task].get(label, 0.0)
            wrong = (1 - p >= absent and p < there) if label in answer else (p >= there and 1 - p < absent)
            if wrong and not example.ground_truth:
                more = answer ^ {label}
                quality = p if label in answer else 1 - p
                suspects.append(
                    Suspect(example.task, name, _listed(answer), _listed(more), quality, 1 - quality, example.data)
                )
    return suspects


def _unmet(
    binding: Binding, model: BoundModel, adapter: Adapter, fold: Sequence[AnnotatedExample], fetch: Fetch
) -> list[Suspect]:
    """Return the tasks whose prediction hardly agrees with the annotation."""
    adapters = {**start(binding).adapters, model.key: adapter}
    pairs = evaluate(binding, adapters, fold, fetch).pairs
    found = []
    for control in model.controls:
        name = control.control_tag.name
        for example, of_task in zip(fold, pairs[name], strict=True):
            value = judge(control.value_type, of_task)["value"] if of_task else None
            if value is None or value >= _HARDLY or example.ground_truth:
                continue
            people, guess = (said(side for pair in of_task for side in (pair[at],)) for at in (0, 1))
            found.append(Suspect(example.task, name, people, guess, max(0.0, float(value)), None, example.data))
    return found


def _mean(values: Sequence[float]) -> float:
    """Return the mean; more than any probability where there are no values."""
    return sum(values) / len(values) if values else 2.0


def _listed(labels: Iterable[str]) -> str:
    return ", ".join(sorted(labels)) or "nothing"
