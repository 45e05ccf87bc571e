"""Embeddings of images by the content of their files, within a budget of bytes: the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Embedding(NamedTuple):
    """All that a decoder needs of an image: its features, and its size in pixels (columns, rows)."""

    features: tuple[Tensor, ...]
    size: tuple[int, int]

    @property
    def bytes(self) -> int:
        """The memory of the features."""
        return sum(part.nbytes for part in self.features)


class Embeddings:
    """At most `budget` bytes of embeddings. Its user holds a lock."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._held: OrderedDict[str, Embedding] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: str) -> Embedding | None:
        """Return the embedding of a key, if it is still there."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def put(self, key: str, embedding: Embedding) -> None:
        """Keep an embedding, instead of those that were used least recently. One beyond the budget is not kept."""
        if embedding.bytes > self._budget:
            return
        self._held[key] = embedding
        self.bytes += embedding.bytes
        self.keep_within(self._budget)

    def keep_within(self, budget: int) -> None:
        """Keep at most a budget of bytes from now on."""
        self._budget = budget
        while self.bytes > self._budget:
            _, gone = self._held.popitem(last=False)
            self.bytes -= gone.bytes
