"""How well predicted spans meet the annotated ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lsml.metrics.rates import judge_found
from lsml.values import Span, Value


def judge_spans(pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]]) -> dict[str, Any]:
    """Strict F1 over all spans together: right is what has the same start, end and label. The same span twice counts once.

    Where there was nothing to find and nothing was found, it is 1.
    """
    return judge_found(((spans_of(truth), spans_of(guess)) for truth, guess in pairs), "span_f1", "spans")


def spans_of(values: Sequence[Value]) -> set[tuple[int, int, str]]:
    """(start, end, label) of each span, once."""
    return {(value.start, value.end, value.label) for value in values if isinstance(value, Span)}
