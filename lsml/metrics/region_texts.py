"""The character error rate of texts that were read in shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lsml.metrics.texts import edits
from lsml.values import Shape, Value
from lsml.values.matching import Overlaps

if TYPE_CHECKING:
    pass

_FOUND = 0.5  # overlap from which a predicted shape is the annotated one


def character_error_rate(
    pairs: Sequence[tuple[Sequence[Value], Sequence[Value]]],
    overlaps: Overlaps,
) -> float | None:
    """Return the edits between the texts that people wrote in shapes and those that were read there, as a share of the
    former.

    Labels do not matter. A shape that was not found counts as read empty. White space is folded. None where people
    wrote nothing.
    """
    wrong = written = 0
    for truth, guess in pairs:
        theirs = [value for value in truth if isinstance(value, Shape) and value.text]
        ours = [value for value in guess if isinstance(value, Shape)]
        shared = overlaps(theirs, ours).tolist() if theirs and ours else [[]] * len(theirs)
        for shape, row in zip(theirs, shared, strict=True):
            text = _folded(shape.text)
            there = [(share, one.text) for share, one in zip(row, ours, strict=False) if one.item == shape.item]
            best, read = max(there, key=lambda pair: pair[0], default=(0.0, None))
            written += len(text)
            wrong += edits(text, _folded(read) if best >= _FOUND else "")
    return round(wrong / written, 6) if written else None


def _folded(text: str | None) -> str:
    return " ".join((text or "").split())
