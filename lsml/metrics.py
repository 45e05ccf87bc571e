"""One judge for each value type: how well predicted values meet the annotated ones. Higher is better, 1 is perfect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from lsml.values import Choice, Number, Value

Pair = tuple[Sequence[Value], Sequence[Value]]  # (annotated, predicted) values of one control in one task


def judge(value_type: type, pairs: Sequence[Pair]) -> dict[str, Any]:
    """`{metric, value, examples, per_label, ...}`; `value` is None without examples.

    Choice: macro F1 over the labels that were annotated or predicted, with accuracy (whole answers that are right) and
    `confusion` (annotated -> predicted -> count, where each has one label). Number: R2, with the mean absolute error.
    """
    judges: dict[type, Callable[[Sequence[Pair]], dict[str, Any]]] = {Choice: _judge_choices, Number: _judge_numbers}
    return judges[value_type](pairs)


def _judge_choices(pairs: Sequence[Pair]) -> dict[str, Any]:
    annotated: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    right: Counter[str] = Counter()
    confusion: dict[str, Counter[str]] = {}
    exact = 0
    for truth, guess in pairs:
        true = {value.label for value in truth if isinstance(value, Choice)}
        said = {value.label for value in guess if isinstance(value, Choice)}
        annotated.update(true)
        predicted.update(said)
        right.update(true & said)
        exact += true == said
        if len(true) == 1 and len(said) <= 1:
            confusion.setdefault(next(iter(true)), Counter())[next(iter(said), "")] += 1
    per_label = {}
    for label in sorted(annotated.keys() | predicted.keys()):
        precision = right[label] / predicted[label] if predicted[label] else 0.0
        recall = right[label] / annotated[label] if annotated[label] else 0.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        per_label[label] = {
            "precision": round(precision, 6),
            "recall": round(recall, 6),
            "f1": round(f1, 6),
            "examples": annotated[label],
        }
    return {
        "metric": "macro_f1",
        "value": round(sum(row["f1"] for row in per_label.values()) / len(per_label), 6) if per_label else None,
        "examples": len(pairs),
        "per_label": per_label,
        "accuracy": round(exact / len(pairs), 6) if pairs else None,
        "confusion": {label: dict(row) for label, row in sorted(confusion.items())},
    }


def _judge_numbers(pairs: Sequence[Pair]) -> dict[str, Any]:
    """A task without a predicted number counts as one that was told the mean."""
    truths = [next((v.value for v in truth if isinstance(v, Number)), None) for truth, _ in pairs]
    known = [truth for truth in truths if truth is not None]
    if not known:
        return {"metric": "r2", "value": None, "examples": 0, "per_label": {}, "mean_absolute_error": None}
    mean = sum(known) / len(known)
    squared = absolute = spread = 0.0
    for truth, (_, guess) in zip(truths, pairs, strict=True):
        if truth is None:
            continue
        said = next((v.value for v in guess if isinstance(v, Number)), mean)
        squared += (truth - said) ** 2
        absolute += abs(truth - said)
        spread += (truth - mean) ** 2
    # Where all annotated numbers are alike, R2 is undefined; the squared error itself then tells better from worse.
    value = 1 - squared / spread if spread else 1 - squared / len(known)
    return {
        "metric": "r2",
        "value": round(value, 6),
        "examples": len(known),
        "per_label": {},
        "mean_absolute_error": round(absolute / len(known), 6),
    }
