"""Loaded models that several adapters use at once: made once for all their current users, freed after the last of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class Pool(Generic[T]):
    """Loaded models by what makes them equal."""

    def __init__(self) -> None:
        self._held: WeakValueDictionary[Hashable, T] = WeakValueDictionary()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the model of a key, which `make` makes where nobody uses it yet."""
        with self._lock:
            found = self._held.get(key)
            if found is None:
                found = self._held[key] = make()
            return found
