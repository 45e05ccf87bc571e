"""A cache of recently used values in the server's memory."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

V = TypeVar("V")
_KEPT = 256  # bindings and loaded versions in memory


class Recent(Generic[V]):
    """The most recently used values by key; all threads share them."""

    def __init__(self, size: int = _KEPT) -> None:
        self._values: LRUCache[Hashable, V] = LRUCache(size)
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        """Return the value, or None."""
        with self._lock:
            return self._values.get(key)

    def put(self, key: Hashable, value: V) -> V:
        """Keep `value`, unless another thread came first. Return the kept value."""
        with self._lock:
            return self._values.setdefault(key, value)

    def replace(self, key: Hashable, value: V) -> None:
        """Keep `value`, replacing any other."""
        with self._lock:
            self._values[key] = value

    def drop(self, key: Hashable) -> None:
        """Remove a key, known or not."""
        with self._lock:
            self._values.pop(key, None)
