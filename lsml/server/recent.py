"""What a server keeps in memory because it was used lately."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")
_KEPT = 256  # bindings and loaded versions in memory


class Recent(Generic[V]):
    """The most recently used values by key, the same object for everybody; thread-safe."""

    def __init__(self, size: int = _KEPT) -> None:
        self._size = size
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        """The value, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: V) -> V:
        """Keep `value`, unless another thread came first; what is kept."""
        with self._lock:
            kept = self._values.setdefault(key, value)
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
            return kept

    def replace(self, key: Hashable, value: V) -> None:
        """Keep `value`, whatever was there."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)

    def drop(self, key: Hashable) -> None:
        """Forget a key, known or not."""
        with self._lock:
            self._values.pop(key, None)
