"""The outcome of each task: its prediction, with regions of every control that annotators would see, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from lsml.binding import Binding
from lsml.controls.base import Control, Region
from lsml.labeling import Condition
from lsml.prediction.columns import ControlValues, ValuesByControl
from lsml.prediction.ids import with_ids
from lsml.values import Number, Value, label_of


class Outcome(msgspec.Struct):
    """The outcome of one task. `prediction` is None where no model could predict it; `values` are the visible ones, by
    control.

    `dropped` holds the reasons for no prediction, and for what was left out: (reason, sentence). `unread`: the same for
    each model, by key, that could not read the task. `label_scores`: where they are asked for, the score of each label of
    choices, by control.
    """

    prediction: dict[str, Any] | None = None
    values: dict[str, list[Value]] = {}
    dropped: list[tuple[str, str]] = []
    unread: dict[str, tuple[str, str]] = {}
    label_scores: dict[str, dict[str, float]] = {}


def write_predictions(
    binding: Binding,
    tasks: Sequence[Mapping[str, Any]],
    columns: ValuesByControl,
    outcomes: Sequence[Outcome],
    model_version: str,
    *,
    judging: bool,
    drawn: Sequence[object],
) -> None:
    """Set the prediction of each task that has an answer: the regions that annotators would see, and the lowest certainty.

    The regions of earlier stages stay. `drawn`: the regions that a person made, which the prediction answers.
    """
    scoring = binding.recipe.scoring
    chosen: list[tuple[ControlValues, dict[int, list[Value]]]] = []
    least: dict[int, float] = {}
    for column in columns:
        tag = column.control.control_tag
        name, counts = tag.name, scoring.counts(tag.tag, column.control.config_name)
        of_column: dict[int, list[Value]] = {}
        for index, values, certainty in column.chosen(tasks, scoring.by, judging=judging):
            of_column[index] = values
            by_control = outcomes[index].values
            by_control[name] = [*by_control[name], *values] if name in by_control else values
            if counts and certainty is not None and certainty <= least.get(index, certainty):
                least[index] = certainty
        chosen.append((column, of_column))
    names = {column.control.control_tag.name for column in columns}
    results: dict[int, list[Region]] = {index: [] for _, of_column in chosen for index in of_column}
    if any(columns.controls[name].control_tag.conditions for name in names):
        for index in results:
            _hide(names, columns.controls, outcomes[index])
    for column, of_column in chosen:
        _write(column, of_column, tasks, outcomes, results)
    for index, result in results.items():
        before = outcomes[index].prediction
        if before is None:
            result = with_ids(result, drawn)
        else:
            result = [*before["result"], *with_ids(result, drawn, {region["id"] for region in before["result"]})]
            if "score" in before:
                least[index] = min(before["score"], least.get(index, 1.0))
        prediction = outcomes[index].prediction = {"result": result, "model_version": model_version}
        if index in least:
            score = least[index]
            prediction["score"] = score if 0.0 <= score <= 1.0 else min(1.0, max(0.0, score))


def write_label_scores(columns: ValuesByControl, outcomes: Sequence[Outcome]) -> None:
    """Set the score of each label of choices, by control, where there are any."""
    for column in columns:
        for index in column.readings:
            if scores := column.label_scores(index):
                outcomes[index].label_scores[column.control.control_tag.name] = scores


def _write(
    column: ControlValues,
    chosen: Mapping[int, list[Value]],
    tasks: Sequence[Mapping[str, Any]],
    outcomes: Sequence[Outcome],
    results: Mapping[int, list[Region]],
) -> None:
    """Add a column's regions to the result of each task in which annotators see its control."""
    readings = column.readings
    name = column.control.control_tag.name
    for index, values in chosen.items():
        outcome = outcomes[index]
        if name not in outcome.values:
            continue
        reading = readings[index]
        control = column.control
        if control not in reading.controls:  # a region of another task can have the same id
            control = next(one for one in reading.controls if one.control_tag.name == name)
        for region, problem in control.write(values, reading.object_tag.name, reading.view, tasks[index]["data"]):
            if problem is None:
                results[index].append(region)
            else:
                outcome.dropped.append(("invalid region", f"{control.control_tag.selector}: {problem}"))


def _hide(names: AbstractSet[str], controls: Mapping[str, Control], outcome: Outcome) -> None:
    """Remove the values of those of the named controls that annotators do not see."""
    everything = dict(outcome.values)
    for name in [name for name in everything if name in names]:
        tag = controls[name].control_tag
        if not all(_holds(condition, everything, controls, controls[name]) for condition in tag.conditions):
            outcome.dropped.append(("hidden", f"{tag.selector} is hidden by its visibleWhen"))
            del outcome.values[name]


def _holds(
    condition: Condition, chosen: Mapping[str, Sequence[Value]], controls: Mapping[str, Control], asking: Control
) -> bool:
    """Return True if annotators see a control under `visibleWhen`, given what is shown for the others."""
    if condition.when == "region-selected":
        return False  # a prediction of the whole task has no selected region
    if condition.when not in ("choice-selected", "choice-unselected"):
        return True
    names = [condition.tag_name] if condition.tag_name else list(chosen)
    if condition.tag_name and asking.anchor:  # the answer of another control for the same region or page
        names.append(f"{condition.tag_name}@{asking.anchor.id}")
    selections = {(name, _label(value)) for name in names if name in chosen for value in chosen[name]}
    # A condition names a choice by its value or by its alias.
    labels = {label for _, label in selections}
    for name in names:
        if name in chosen:
            control = controls[name]
            for label in control.control_tag.labels:
                if (name, control.name_of(label)) in selections:
                    labels |= {label.value, label.name}
    selected = bool(labels & set(condition.values)) if condition.values else bool(labels)
    return selected == (condition.when == "choice-selected")


def _label(value: Value) -> str:
    return str(value.value) if isinstance(value, Number) else label_of(value) or ""
