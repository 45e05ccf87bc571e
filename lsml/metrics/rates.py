"""Precision, recall and F1 of one label, as a judge's `per_label` holds them."""

from __future__ import annotations


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
