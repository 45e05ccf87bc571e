"""Precision, recall and F1 of one label, for a judge's `per_label`, and of all labels together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from typing import Any

from lsml.metrics.calibration import calibration

# The result of a metric: `metric`, `value` (None without examples), `examples`, `per_label` and further keys. It is kept in
# cards, and older ones have fewer keys.
Metrics = dict[str, Any]


def rates(right: int, predicted: int, annotated: int) -> dict[str, float]:
    """Return precision, recall and F1, and `examples`, the number of annotated answers. A rate of nothing is 0.

    `right` of the `predicted` answers match one of the `annotated` ones.
    """
    precision = right / predicted if predicted else 0.0
    recall = right / annotated if annotated else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {
        "precision": round(precision, 6),
        "recall": round(recall, 6),
        "f1": round(f1, 6),
        "examples": annotated,
    }


def judge_found(
    met: Iterable[tuple[Set[tuple[Any, ...]], Set[tuple[Any, ...]]]],
    metric: str,
    counted: str,
    scored: Sequence[tuple[float, bool]],
) -> Metrics:
    """Return F1 over everything that was annotated and predicted, and of each label; and the calibration of scores.

    `met`: for each example the annotated and the predicted items, tuples that end in the label; an item in both is
    right. `counted`: the name for the number of annotated ones. `scored`: (score, right) of each predicted item that has
    a score. Nothing annotated and nothing predicted counts 1.
    """
    annotated: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    right: Counter[str] = Counter()
    examples = 0
    for true, said in met:
        examples += 1
        annotated.update(one[-1] for one in true)
        predicted.update(one[-1] for one in said)
        right.update(one[-1] for one in true & said)
    per_label = {
        label: rates(right[label], predicted[label], annotated[label])
        for label in sorted(annotated.keys() | predicted.keys())
    }
    together = rates(right.total(), predicted.total(), annotated.total())
    value: float | None = together["f1"] if per_label else 1.0
    return {
        "metric": metric,
        "value": value if examples else None,
        "examples": examples,
        "per_label": per_label,
        "precision": together["precision"],
        "recall": together["recall"],
        counted: annotated.total(),
        **calibration(scored),
    }
