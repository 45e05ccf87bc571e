"""How well predicted spans meet the annotated ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lsml.metrics.rates import rates
from lsml.values import Span, Value


def judge_spans(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> dict[str, Any]:
    """Strict F1 over all spans together: right is what has the same start, end and label. The same span twice counts once.

    Where there was nothing to find and nothing was found, it is 1.
    """
    annotated: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for truth, guess in pairs:
        true, said = spans_of(truth), spans_of(guess)
        annotated.update(label for _, _, label in true)
        predicted.update(label for _, _, label in said)
        right.update(label for _, _, label in true & said)
    per_label = {
        label: rates(right[label], predicted[label], annotated[label])
        for label in sorted(annotated.keys() | predicted.keys())
    }
    together = rates(right.total(), predicted.total(), annotated.total())
    value: float | None = together["f1"] if per_label else 1.0
    return {
        "metric": "span_f1",
        "value": value if pairs else None,
        "examples": len(pairs),
        "per_label": per_label,
        "precision": together["precision"],
        "recall": together["recall"],
        "spans": annotated.total(),
    }


def spans_of(values: Sequence[Value]) -> set[tuple[int, int, str]]:
    """(start, end, label) of each span, once."""
    return {(value.start, value.end, value.label) for value in values if isinstance(value, Span)}
