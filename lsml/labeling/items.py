"""Items of one task that people compare: the two objects of a Pairwise, or those of a List."""

from __future__ import annotations

import msgspec


class Items(msgspec.Struct, frozen=True):
    """Texts or images to compare, and the name of each, by which an answer tells them apart: `left` and `right` for a
    Pairwise, the ids in a List. `paths`: those of the images, which then have no texts.
    """

    names: tuple[str, ...]
    texts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        items = len(self.paths or self.texts)
        if len(self.names) != items:
            raise ValueError(f"each item needs a name, got {len(self.names)} names for {items} items")
        if self.paths and self.texts:
            raise ValueError("items are texts or images, got both")
