"""The agreement of predicted with annotated spans."""

from __future__ import annotations

from collections.abc import Sequence

from lsml.metrics.rates import Metrics, judge_found
from lsml.values import Span, Value


def judge_spans(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> Metrics:
    """Return strict F1 over all spans together: a span is right if its start, end and label are. The same span twice
    counts once.

    Nothing annotated and nothing predicted counts 1.
    """
    found = [(spans_of(truth), spans_of(guess)) for truth, guess in pairs]
    scored = [
        (value.score, (value.start, value.end, value.label) in true)
        for (_, guess), (true, _) in zip(pairs, found, strict=True)
        for value in guess
        if isinstance(value, Span) and value.score is not None
    ]
    return judge_found(found, "span_f1", "spans", scored)


def spans_of(values: Sequence[Value]) -> set[tuple[int, int, str]]:
    """Return the set of (start, end, label) of spans."""
    return {(value.start, value.end, value.label) for value in values if isinstance(value, Span)}
