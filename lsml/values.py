"""What adapters and control tags exchange. Frozen, and self-checking: nonsense is refused when a value is built.

A score is a probability or confidence in [0, 1], or None where a model has none.
"""

from __future__ import annotations

import math
from typing import ClassVar

import msgspec


def _no_score(score: float) -> ValueError:
    return ValueError(f"a score must be between 0 and 1, got {score}")


# Values hold no containers, so the garbage collector need not look at them: a classifier makes thousands at once.
class Choice(msgspec.Struct, frozen=True, gc=False, tag="choice"):
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
        # Written out, not called: a classifier makes thousands at once. NaN fails it, too.
        if self.score is not None and not 0.0 <= self.score <= 1.0:
            raise _no_score(self.score)


class Number(msgspec.Struct, frozen=True, gc=False, tag="number"):
    """A finite number, in the unit that the annotators use."""

    value: float
    score: float | None = None
    title: ClassVar[str] = "a number"

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a number must be finite, got {self.value}")
        if self.score is not None and not 0.0 <= self.score <= 1.0:
            raise _no_score(self.score)


Value = Choice | Number
VALUE_TYPES: tuple[type[Choice] | type[Number], ...] = (Choice, Number)
