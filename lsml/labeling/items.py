"""Items of one task that people compare: the two objects of a Pairwise, or those of a List."""

from __future__ import annotations

import msgspec


class Items(msgspec.Struct, frozen=True):
    """Texts to compare, and the name of each, by which an answer tells them apart: `left` and `right` for a
    Pairwise, the ids in a List.
    """

    names: tuple[str, ...]
    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.texts):
            raise ValueError(f"each item needs a name, got {len(self.names)} names for {len(self.texts)} texts")
