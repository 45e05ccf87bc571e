"""The scaling of features for a linear head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from lsml.adapters.parts.state import as_array

if TYPE_CHECKING:
    from lsml.arrays import Array


class Scale(NamedTuple):
    """The scaling of features for a linear head: their `middle` (features,), and the mean distance of elements from it.

    One distance serves all features: with few examples, a feature that hardly varies must not count as much as one
    that varies a lot.
    """

    middle: Array
    spread: float

    @classmethod
    def of_rows(cls, rows: Array) -> Scale:
        """Return the scaling of rows (elements, features)."""
        spread = float((rows.var(axis=0).sum()) ** 0.5)
        return cls(rows.mean(axis=0), spread if spread > 1e-6 else 1.0)

    @classmethod
    def restore(cls, state: Sequence[object], width: int) -> Scale:
        """Return the scaling of `width` features that was saved as a list. Raises TypeError or ValueError for anything else."""
        middle, spread = as_array(state[0]), as_array(state[1]).item()
        if middle.shape != (width,) or not spread > 0:
            raise ValueError("its parts differ in size")
        return cls(middle, spread)

    def apply(self, rows: Array) -> Array:
        """Return scaled rows, of a length of about 1."""
        return (rows - self.middle) / self.spread
