"""The one interpreter that all threads of the server share: how long one may keep the others from it."""

from __future__ import annotations

import gc
import sys
import threading
from collections import deque
from types import TracebackType
from typing import Final

COMPUTING: Final = (
    2  # requests of many tasks that compute at a time: one in Python, one in a library that lets go of it
)
_SWITCH_S: Final = 0.001  # Python's own is 0.005; each step of an answer waits so long for each thread that computes
_COLLECT_AFTER: Final = 10_000  # new objects; Python's own is 700, and an answer of 250 tasks makes thousands

_frozen = 0  # how many modules were there when it was last tidied
_tidying = threading.Lock()


def share() -> None:
    """Have threads take turns often, and the garbage collector, which stops all of them, look seldom."""
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(_COLLECT_AFTER)


def freeze_imported() -> None:
    """Take what was imported out of the sight of the garbage collector.

    Libraries stay for good and hold a million objects: to look through those of scikit-learn stopped every thread for 0.16 s,
    again and again under load. Costs nothing where no module came since the last call.
    """
    global _frozen
    if len(sys.modules) == _frozen or not _tidying.acquire(blocking=False):
        return
    try:
        _frozen = len(sys.modules)
        gc.collect()
        gc.freeze()
    finally:
        _tidying.release()


class FairSemaphore:
    """At most `most` threads at a time are inside of it; the others get in by the order in which they came."""

    def __init__(self, most: int = COMPUTING) -> None:
        self._lock = threading.Lock()
        self._free = most
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()  # handed on: nobody can step in between
            else:
                self._free += 1
