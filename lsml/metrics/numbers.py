"""The agreement of predicted with annotated numbers."""

from __future__ import annotations

from collections.abc import Sequence

from lsml.metrics.rates import Metrics
from lsml.values import Number, Value


def judge_numbers(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> Metrics:
    """Return R2 and the mean absolute error. A task without a predicted number counts as if the mean was predicted."""
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
    # If all annotated numbers are equal, R2 is undefined; the squared error still compares versions.
    value = 1 - squared / spread if spread else 1 - squared / len(known)
    return {
        "metric": "r2",
        "value": round(value, 6),
        "examples": len(known),
        "per_label": {},
        "mean_absolute_error": round(absolute / len(known), 6),
    }
