"""How well predicted choices meet the annotated ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lsml.metrics.rates import rates
from lsml.values import Choice, Value


def judge_choices(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> dict[str, Any]:
    """Macro F1 over the labels that were annotated or predicted, with accuracy (whole answers that are right) and
    `confusion` (annotated -> predicted -> count, where each has one label)."""
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
        "confusion": {label: dict(row) for label, row in sorted(confusion.items())},
    }
