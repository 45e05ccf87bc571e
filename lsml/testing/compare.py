"""The comparison of two predictions, and the search for pickles in a saved folder."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from lsml.values import Choice, Span, Value

_PICKLE_NAMES = (".pkl", ".pickle", ".joblib")


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


def no_pickles(directory: Path) -> None:
    """Assert that a saved folder holds no pickle, which could run code when it is loaded."""
    for path in directory.rglob("*"):
        if not path.is_file():
            continue
        names = [path.name]
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names += archive.namelist()
        pickled = [name for name in names if name.endswith(_PICKLE_NAMES)]
        head = path.read_bytes()[:2]
        assert not pickled and not (head[:1] == b"\x80" and head[1:] <= b"\x05"), f"{path.name} is a pickle"
