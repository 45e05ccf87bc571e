"""The agreement of predicted with annotated choices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from lsml.metrics.rates import Metrics, rates
from lsml.values import Choice, Value

_MOST_GROUPS: Final = 10
_LEAST_OF_A_GROUP: Final = 10  # choices; with fewer, the accuracy of a group means little


def judge_choices(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> Metrics:
    """Return macro F1 over the labels that were annotated or predicted.

    Beside it: accuracy (whole answers that are right), `calibration` and its error, and `confusion` (annotated -> predicted ->
    count, over tasks with one label on each side).
    """
    annotated: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    right: Counter[str] = Counter()
    confusion: dict[str, Counter[str]] = {}
    exact = 0
    for truth, guess in pairs:
        true, said = _labels(truth), _labels(guess)
        annotated.update(true)
        predicted.update(said)
        right.update(true & said)
        exact += true == said
        if len(true) == 1 and len(said) <= 1:
            confusion.setdefault(next(iter(true)), Counter())[next(iter(said), "")] += 1
    groups = calibration(
        [
            (value.score, value.label in _labels(truth))
            for truth, guess in pairs
            for value in guess
            if isinstance(value, Choice) and value.score is not None
        ]
    )
    per_label = {
        label: rates(right[label], predicted[label], annotated[label])
        for label in sorted(annotated.keys() | predicted.keys())
    }
    return {
        "metric": "macro_f1",
        "value": round(sum(row["f1"] for row in per_label.values()) / len(per_label), 6) if per_label else None,
        "examples": len(pairs),
        "per_label": per_label,
        "accuracy": round(exact / len(pairs), 6) if pairs else None,
        "calibration_error": calibration_error(groups),
        "calibration": groups,
        "confusion": {label: dict(row) for label, row in sorted(confusion.items())},
    }


def calibration(scored: Sequence[tuple[float, bool]]) -> list[dict[str, float]]:
    """Return groups of (score, right) pairs, lowest scores first: mean `score`, share that is `right`, and `count`.

    Choices are sorted by score into up to ten groups of equal size: Naeini et al., "Obtaining Well Calibrated
    Probabilities Using Bayesian Binning", 2015. Nothing with fewer choices than one group takes.
    """
    import numpy as np

    if len(scored) < _LEAST_OF_A_GROUP:
        return []
    scores, right = np.array(sorted(scored, key=lambda one: one[0]), dtype=float).T
    groups = min(_MOST_GROUPS, len(scored) // _LEAST_OF_A_GROUP)
    return [
        {"score": round(float(score.mean()), 6), "right": round(float(of_group.mean()), 6), "count": len(score)}
        for score, of_group in zip(np.array_split(scores, groups), np.array_split(right, groups), strict=True)
    ]


def calibration_error(groups: Sequence[Mapping[str, float]]) -> float | None:
    """Return the expected calibration error of groups of `calibration`: the mean gap between scores and the share that is
    right. None without groups.
    """
    count = sum(group["count"] for group in groups)
    return (
        round(sum(group["count"] * abs(group["score"] - group["right"]) for group in groups) / count, 6)
        if count
        else None
    )


def _labels(values: Sequence[Value]) -> set[str]:
    return {value.label for value in values if isinstance(value, Choice)}
