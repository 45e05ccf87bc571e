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
    return judge_found(((spans_of(truth), spans_of(guess)) for truth, guess in pairs), "span_f1", "spans")


def spans_of(values: Sequence[Value]) -> set[tuple[int, int, str]]:
    """Return the set of (start, end, label) of spans."""
    return {(value.start, value.end, value.label) for value in values if isinstance(value, Span)}
