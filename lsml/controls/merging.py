"""Several models' answers for one control as one answer: their union, or their vote."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import mean, median
from typing import Any, Literal

import msgspec

from lsml.controls.base import Control, ModelValues
from lsml.controls.regions import RegionControl
from lsml.values import Choice, Number, Value, label_of

Merging = Literal["union", "vote"]
_NEVER = 2.0  # a threshold that no score reaches


def merged(control: Control, by_model: Sequence[ModelValues], data: Mapping[str, object], how: Merging) -> ModelValues:
    """Return several models' answers for a control, in a task with such data, as one answer."""
    possible = [ModelValues(control.possible(of_model.values, data), of_model.threshold) for of_model in by_model]
    if isinstance(control, RegionControl):
        together = _merged_regions(
            [control.select(of_model.values, of_model.threshold) for of_model in possible], how, control.same_place
        )
        decided = [of_model.decisions for of_model in by_model if of_model.decisions is not None]
        decisions = [score for some in decided for score in some] if decided else None
        return msgspec.structs.replace(together, decisions=decisions)
    if control.value_type is Choice:
        return _merged_classes(possible, how)
    return _merged_numbers(possible, how) if control.value_type is Number else _merged_others(possible, how)


def _score(value: Any) -> float:
    return 1.0 if value.score is None else float(value.score)


def _merged_classes(by_model: Sequence[ModelValues], how: Merging) -> ModelValues:
    """Return labels with probabilities from several models.

    union: for each label the highest, shown where one model would show it. vote: the mean over the models that
    answered, compared with the mean of their thresholds.
    """
    voters = [of_model for of_model in by_model if of_model.values]
    scores = [{v.label: _score(v) for v in of_model.values if isinstance(v, Choice)} for of_model in voters]
    labels = list(dict.fromkeys(label for found in scores for label in found))
    if how == "vote":
        means = [Choice(label, mean(found.get(label, 0.0) for found in scores)) for label in labels]
        return ModelValues(
            means, lambda label: mean(of_model.threshold(label) for of_model in voters) if voters else 0.0
        )
    best = {label: max(found[label] for found in scores if label in found) for label in labels}
    shown = {
        label
        for of_model, found in zip(voters, scores, strict=True)
        for label, score in found.items()
        if score >= of_model.threshold(label)
    }
    # A label that one model would show must not be hidden by a surer model with a higher threshold.
    return ModelValues(
        [Choice(label, best[label]) for label in labels], lambda label: 0.0 if label in shown else _NEVER
    )


def _merged_numbers(by_model: Sequence[ModelValues], how: Merging) -> ModelValues:
    """Return one number from several models. union: the one with the highest score; vote: the median, with the mean score."""
    numbers = [
        value
        for of_model in by_model
        for value in of_model.values[:1]
        if isinstance(value, Number) and _score(value) >= of_model.threshold("")
    ]
    if not numbers:
        return ModelValues([], lambda _label: 0.0)
    if how == "union":
        return ModelValues([max(numbers, key=_score)], lambda _label: 0.0)
    told = Number(median(number.value for number in numbers), mean(map(_score, numbers)))
    return ModelValues([told], lambda _label: 0.0)


def _merged_regions(
    found: Sequence[Sequence[Value]], how: Merging, same_place: Callable[[Value, Value], bool]
) -> ModelValues:
    """Return regions from several models.

    union: all of them, of those with one label at one place the one with the highest score. vote: those that more than
    half of the models found, with their mean score, where a model that did not find one counts 0.
    """
    groups: list[dict[int, Value]] = []
    for model, values in enumerate(found):
        for value in values:
            group = next((one for one in groups if model not in one and _alike(one, value, same_place)), None)
            if group is None:
                groups.append({model: value})
            else:
                group[model] = value
    if how == "vote":
        groups = [group for group in groups if 2 * len(group) > len(found)]
    kept: list[Value] = []
    for group in groups:
        surest: Any = max(group.values(), key=_score)
        if how == "vote":
            surest = msgspec.structs.replace(surest, score=sum(map(_score, group.values())) / len(found))
        kept.append(surest)
    return ModelValues(kept, lambda _label: 0.0)


def _alike(group: dict[int, Value], value: Value, same_place: Callable[[Value, Value], bool]) -> bool:
    return any(label_of(other) == label_of(value) and same_place(value, other) for other in group.values())


def _merged_others(by_model: Sequence[ModelValues], how: Merging) -> ModelValues:
    """Return one of several answers that cannot be combined. union: the highest score; vote: the most frequent, else that."""
    said = [value for of_model in by_model for value in of_model.values[:1] if _score(value) >= of_model.threshold("")]
    plain = [msgspec.structs.replace(value, score=None) for value in said]
    ranked = sorted(
        said,
        key=lambda value: (plain.count(msgspec.structs.replace(value, score=None)) * (how == "vote"), _score(value)),
    )
    return ModelValues(ranked[-1:], lambda _label: 0.0)
