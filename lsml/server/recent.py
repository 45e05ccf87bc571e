"""A cache of recently used values in the server's memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")
_KEPT = 256  # bindings and loaded versions in memory


class Recent(Generic[V]):
    """The most recently used values by key; all threads share them."""

    def __init__(self, size: int = _KEPT) -> None:
        self._size = size
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        """Return the value, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: V) -> V:
        """Keep `value`, unless another thread came first. Return the kept value."""
        with self._lock:
            kept = self._values.setdefault(key, value)
            self._used(key)
            return kept

    def replace(self, key: Hashable, value: V) -> None:
        """Keep `value`, replacing any other."""
        with self._lock:
            self._values[key] = value
            self._used(key)

    def drop(self, key: Hashable) -> None:
        """Remove a key, known or not."""
        with self._lock:
            self._values.pop(key, None)

    def _used(self, key: Hashable) -> None:
        """Mark a key as used last, and remove the least recently used keys beyond the size."""
        self._values.move_to_end(key)
        while len(self._values) > self._size:
            self._values.popitem(last=False)
