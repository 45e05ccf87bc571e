"""Precision, recall and F1 of one label, as a judge's `per_label` holds them, and of all labels together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any


def rates(right: int, predicted: int, annotated: int) -> dict[str, float]:
    """Of `predicted` answers `right` met one of the `annotated` ones, which are the `examples`. 0 where nothing is known."""
    precision = right / predicted if predicted else 0.0
    recall = right / annotated if annotated else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {
        "precision": round(precision, 6),
        "recall": round(recall, 6),
        "f1": round(f1, 6),
        "examples": annotated,
    }


def judge_found(met: Iterable[tuple[set[Any], set[Any]]], metric: str, counted: str) -> dict[str, Any]:
    """F1 over all that was annotated and predicted together, and of each label.

    `met`: of each example what was annotated and what was predicted, tuples that end in the label; what is in both is right.
    `counted`: what the number of annotated ones is called. Where there was nothing to find and nothing was found, it is 1.
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
    }
