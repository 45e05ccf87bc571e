"""The comparison of two predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from lsml.values import Choice, Span, Value


def places(values: Sequence[Value]) -> list[tuple[int, int]]:
    """Return (start, end) of each span."""
    return [(value.start, value.end) for value in values if isinstance(value, Span)]


_BESIDE = frozenset({"score", "group", "aspect"})  # fields that may differ between equal answers


def alike(one: Any, other: Any, tolerance: float = 1e-6, *, exactly: bool = False) -> bool:
    """Return True if two values are equal. Numbers may differ by `tolerance`; `exactly` compares scores and groups, too."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= tolerance
    if type(one) is not type(other):
        return False
    if isinstance(one, msgspec.Struct):
        names = [name for name in one.__struct_fields__ if exactly or name not in _BESIDE]
        return all(alike(getattr(one, name), getattr(other, name), tolerance, exactly=exactly) for name in names)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(
            alike(ours, theirs, tolerance, exactly=exactly) for ours, theirs in zip(one, other, strict=True)
        )
    return bool(one == other)


def labels_of(values: Sequence[Value]) -> tuple[str, ...]:
    """Return the labels of the choices, in alphabetical order."""
    return tuple(sorted(value.label for value in values if isinstance(value, Choice)))


def best_of(values: Sequence[Value], *, multiple: bool) -> tuple[str, ...]:
    """Return the label of the choice with the highest score; if `multiple`, every label with a score of at least 0.5."""
    choices = [value for value in values if isinstance(value, Choice)]
    if multiple:
        return labels_of([value for value in choices if (value.score or 0.0) >= 0.5])
    return labels_of([max(choices, key=lambda value: value.score or 0.0)]) if choices else ()
