"""Answers as short texts, for tables that people read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lsml.values import Choice, Moment, Number, Span, Text, Value, label_of

_SHOWN: Final = 140  # the most characters of a task


def said(answers: Iterable[Sequence[Value]]) -> str:
    """Return answers in short, `2 x Cat, Dog`; `nothing` without any."""
    told = Counter(_told(value) for answer in answers for value in answer)
    return ", ".join(what if count == 1 else f"{count} x {what}" for what, count in sorted(told.items())) or "nothing"


def holds(data: Mapping[str, object]) -> str:
    """Return a task's texts, cut to one line; of a `data:` URL its media type."""
    texts = " | ".join(
        value.partition(",")[0].partition(";")[0] if value.startswith("data:") else value
        for value in data.values()
        if isinstance(value, str)
    )
    line = " ".join(texts.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."


def _told(value: Value) -> str:
    if isinstance(value, Choice):
        return value.label
    if isinstance(value, Number):
        return f"{value.value:g}"
    if isinstance(value, Text):
        return value.text[:_SHOWN]
    if isinstance(value, Moment):
        return value.at
    if isinstance(value, Span):
        return f"{value.label} at {value.start} to {value.end}"
    return label_of(value) or type(value).__name__.lower()
