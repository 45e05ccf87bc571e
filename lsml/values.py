"""What adapters and control tags exchange. Frozen, and self-checking: nonsense is refused when a value is built.

A score is a probability or confidence in [0, 1], or None where a model has none.
"""

from __future__ import annotations

import math
from typing import ClassVar

import msgspec


def _check_score(score: float | None) -> None:
    if score is not None and not 0.0 <= score <= 1.0:  # NaN fails this, too
        raise ValueError(f"a score must be between 0 and 1, got {score}")


class Choice(msgspec.Struct, frozen=True, tag="choice"):
    """One label of a closed list, for the whole of what an object tag shows.

    `label` is the name as Label Studio stores it: a choice's alias, else its value; for a Taxonomy, the path
    as `lsml.labeling.join_path` writes it.
    """

    label: str
    score: float | None = None
    title: ClassVar[str] = "one or several labels"

    def __post_init__(self) -> None:
        if not self.label:
            raise ValueError("a choice needs a label")
        _check_score(self.score)


class Number(msgspec.Struct, frozen=True, tag="number"):
    """A finite number, in the unit that the annotators use."""

    value: float
    score: float | None = None
    title: ClassVar[str] = "a number"

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a number must be finite, got {self.value}")
        _check_score(self.score)


Value = Choice | Number
VALUE_TYPES: tuple[type[Choice] | type[Number], ...] = (Choice, Number)
