"""Tasks in, predictions out: every bound model runs, each control takes what it can write, bad tasks cost only themselves."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from lsml.adapters.base import Adapter
from lsml.binding import Binding, BoundModel, Reading
from lsml.controls.base import Control, Region
from lsml.errors import FetchError, LsmlError
from lsml.labeling import Condition
from lsml.objects import Fetch, Unreadable, needs_fetch
from lsml.values import Choice, Number, Value

_log = logging.getLogger(__name__)
_FETCHERS = 8  # downloads at a time for one request


@dataclass
class Outcome:
    """What became of one task. `prediction` is None where nothing could predict it; `dropped` says why, and counts
    what was left out: (reason, sentence)."""

    prediction: dict[str, Any] | None = None
    dropped: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Answer:
    """What the models said about one control of one task, first in rank first."""

    control: Control
    to_name: str
    by_rank: list[tuple[BoundModel, list[Value]]] = field(default_factory=list)


def predict_tasks(
    binding: Binding,
    adapters: Mapping[str, Adapter],
    tasks: Sequence[Mapping[str, Any]],
    fetch: Fetch,
    model_version: str,
) -> list[Outcome]:
    """One outcome for each task, in order. `adapters` holds one for each of the binding's models, by key."""
    outcomes = [Outcome() for _ in tasks]
    answers: list[dict[str, _Answer]] = [{} for _ in tasks]
    if not binding.models:
        for outcome in outcomes:
            outcome.dropped.append(("unbound", binding.state()))
        return outcomes
    for model in binding.models:
        adapter = adapters[model.key]
        if not adapter.ready:
            for outcome in outcomes:
                outcome.dropped.append(("untrained", f"{model.key} has learnt nothing yet"))
            continue
        _run_model(model, adapter, tasks, fetch, outcomes, answers, binding.recipe.server.limits.text)
    for task, outcome, by_control in zip(tasks, outcomes, answers, strict=True):
        if by_control:
            outcome.prediction = _write(binding, task, by_control, outcome, model_version)
    return outcomes


def _run_model(
    model: BoundModel,
    adapter: Adapter,
    tasks: Sequence[Mapping[str, Any]],
    fetch: Fetch,
    outcomes: Sequence[Outcome],
    answers: Sequence[dict[str, _Answer]],
    longest: int,
) -> None:
    readings = _read_all(model, tasks, fetch, outcomes, longest)
    where = [(index, reading) for index, of_task in enumerate(readings) for reading in of_task]
    predicted = _predict_all(model, adapter, where, outcomes)
    for (index, reading), values in zip(where, predicted, strict=True):
        if values is None:
            continue
        translated = model.translate(values)
        for control in reading.controls:
            name = control.control_tag.name
            answer = answers[index].setdefault(name, _Answer(control, reading.object_tag.name))
            own = [value for value in translated if isinstance(value, control.value_type)]
            answer.by_rank.append((model, own))


def _read_all(
    model: BoundModel, tasks: Sequence[Mapping[str, Any]], fetch: Fetch, outcomes: Sequence[Outcome], longest: int
) -> list[list[Reading]]:
    def read(pair: tuple[Mapping[str, Any], Outcome]) -> list[Reading]:
        task, outcome = pair
        try:
            readings = model.read(task, fetch)
            if any(isinstance(reading.data, str) and len(reading.data) > longest for reading in readings):
                raise Unreadable(
                    "too long", f"its text has more than {longest} characters (server.limits.text of the recipe)"
                )
            return readings
        except Unreadable as error:
            outcome.dropped.append((error.reason, _of_task(task, error)))
        except FetchError as error:
            outcome.dropped.append(("not fetched", _of_task(task, error)))
        return []

    pairs = list(zip(tasks, outcomes, strict=True))
    if needs_fetch(model.object_tag) and len(tasks) > 1:
        with ThreadPoolExecutor(_FETCHERS, thread_name_prefix="fetch") as pool:
            return list(pool.map(read, pairs))
    return [read(pair) for pair in pairs]


def _predict_all(
    model: BoundModel, adapter: Adapter, where: Sequence[tuple[int, Reading]], outcomes: Sequence[Outcome]
) -> list[list[Value] | None]:
    """The adapter's values for each reading; None where it failed on one. A batch that fails is tried one by one."""
    if not where:
        return []
    try:
        return list(_checked(model, adapter, [reading.data for _, reading in where]))
    except Exception:
        _log.warning("%s failed on a batch of %d; trying its tasks one by one", model.key, len(where), exc_info=True)
    predicted: list[list[Value] | None] = []
    for index, reading in where:
        try:
            predicted.append(_checked(model, adapter, [reading.data])[0])
        except Exception as error:
            _log.exception("%s failed on one task", model.key)
            outcomes[index].dropped.append(("adapter failed", f"{model.key} failed: {type(error).__name__}"))
            predicted.append(None)
    return predicted


def _checked(model: BoundModel, adapter: Adapter, batch: list[Any]) -> list[list[Value]]:
    predicted = adapter.predict(batch)
    if len(predicted) != len(batch):
        raise LsmlError(f"{model.key} answered {len(predicted)} lists of values for {len(batch)} tasks")
    return predicted


def _of_task(task: Mapping[str, Any], error: LsmlError) -> str:
    return f"task {task['id']}: {error}" if "id" in task else str(error)


def _write(
    binding: Binding, task: Mapping[str, Any], answers: Mapping[str, _Answer], outcome: Outcome, model_version: str
) -> dict[str, Any]:
    """A prediction: regions of every control that annotators would see, and the certainty of the least sure one."""
    data = task["data"]
    chosen: dict[str, list[Value]] = {}
    certainties: list[float] = []
    for name, answer in answers.items():
        values, certainty = _combine(binding, answer, data)
        chosen[name] = values
        if certainty is not None:
            certainties.append(certainty)
    result: list[Region] = []
    for name, answer in answers.items():
        if not all(_holds(condition, chosen, answers) for condition in answer.control.control_tag.conditions):
            outcome.dropped.append(("hidden", f"{answer.control.control_tag.selector} is hidden by its visibleWhen"))
            continue
        for region in answer.control.encode(chosen[name], answer.to_name):
            problem = binding.check(region, answer.control, data)
            if problem is None:
                result.append({"id": f"{name}-{len(result)}", **region})
            else:
                outcome.dropped.append(("invalid region", f"{answer.control.control_tag.selector}: {problem}"))
    prediction: dict[str, Any] = {"result": result, "model_version": model_version}
    if certainties:
        prediction["score"] = min(1.0, max(0.0, min(certainties)))
    return prediction


def _combine(binding: Binding, answer: _Answer, data: Mapping[str, Any]) -> tuple[list[Value], float | None]:
    """What a control shows, and how sure its model is.

    Where one answer holds, the first model that has one wins; where several may, the first model that knows a label
    decides about it.
    """
    control = answer.control
    if len(answer.by_rank) > 1 and control.multiple:
        decided: dict[str, Value] = {}
        owner: dict[str, BoundModel] = {}
        for model, values in answer.by_rank:
            for value in values:
                if isinstance(value, Choice) and value.label not in decided:
                    decided[value.label] = value
                    owner[value.label] = model
        everything = control.possible(list(decided.values()), data)
        shown = control.select(everything, lambda label: owner[label].threshold(control)(label))
        return shown, control.certainty(everything, binding.recipe.score)
    first: tuple[list[Value], float | None] | None = None
    for model, answered in answer.by_rank:
        values = control.possible(answered, data)
        fewer = len(values) < len(answered)
        if fewer and not control.multiple and not control.open and _best(answered) != _best(values):
            # What the model holds most likely was taken out of the config: the next best would be a wrong label.
            first = first or ([], control.certainty(values, binding.recipe.score))
            continue
        shown = control.select(values, model.threshold(control))
        certainty = control.certainty(values, binding.recipe.score)
        if shown:
            return shown, certainty
        first = first or (shown, certainty)
    return first or ([], None)


def _best(values: Sequence[Value]) -> str | None:
    """The label with the highest score; one without a score only where none has one."""
    best, highest = None, -2.0
    for value in values:
        if isinstance(value, Choice):
            score = -1.0 if value.score is None else value.score
            if score > highest:
                best, highest = value.label, score
    return best


def _holds(condition: Condition, chosen: Mapping[str, Sequence[Value]], answers: Mapping[str, _Answer]) -> bool:
    """Whether annotators see a control under `visibleWhen`, given what is shown for the others."""
    if condition.when == "region-selected":
        return False  # a prediction of the whole task has no selected region
    if condition.when not in ("choice-selected", "choice-unselected"):
        return True
    names = [condition.tag_name] if condition.tag_name else list(chosen)
    shown = {(name, _label(value)) for name in names if name in chosen for value in chosen[name]}
    # A condition names a choice by its value or by its alias.
    labels = {label for _, label in shown}
    for name in names:
        tags = answers[name].control.control_tag.labels if name in answers else ()
        labels |= {tag.value for tag in tags if (name, tag.name) in shown}
    selected = bool(labels & set(condition.values)) if condition.values else bool(labels)
    return selected == (condition.when == "choice-selected")


def _label(value: Value) -> str:
    return str(value.value) if isinstance(value, Number) else value.label
