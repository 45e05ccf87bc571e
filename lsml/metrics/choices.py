"""The agreement of predicted with annotated choices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lsml.metrics.calibration import calibration
from lsml.metrics.rates import Metrics, rates
from lsml.values import Choice, Value


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
    scored = [
        (value.score, value.label in _labels(truth))
        for truth, guess in pairs
        for value in guess
        if isinstance(value, Choice) and value.score is not None
    ]
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
        **calibration(scored),
        "confusion": {label: dict(row) for label, row in sorted(confusion.items())},
    }


def _labels(values: Sequence[Value]) -> set[str]:
    return {value.label for value in values if isinstance(value, Choice)}
