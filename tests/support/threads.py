"""Threads that end while the garbage collector is off, so that nothing of them is tidied up by it."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def ended_threads(target: Callable[[], object]) -> Iterator[None]:
    """Hold the collector off from before five threads, one after another, ran `target` and ended."""
    gc.disable()
    try:
        for _ in range(5):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        yield
    finally:
        gc.enable()
