"""The interpreter that all threads of the server share, and how long one thread may block the others."""

from __future__ import annotations

import gc
import sys
import threading
from collections import deque
from types import TracebackType
from typing import Final

COMPUTING: Final = (
    2  # requests of many tasks that compute at a time: one in Python, one in a library that releases its lock
)
_SWITCH_S: Final = 0.001  # Python's default is 0.005; each step of a response waits this long for each computing thread
_COLLECT_AFTER: Final = 10_000  # new objects; Python's default is 700, and a response of 250 tasks makes thousands

_frozen = 0  # the number of modules at the last call of `freeze_imported`
_tidying = threading.Lock()


def share() -> None:
    """Make threads switch often, and the garbage collector, which stops all of them, run rarely."""
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(_COLLECT_AFTER)


def freeze_imported() -> None:
    """Exclude imported modules from garbage collection.

    Libraries stay for good and hold a million objects: collecting those of scikit-learn stopped every thread for 0.16
    s, again and again under load. It costs nothing if no module was imported since the last call.
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
    """A lock that at most `most` threads hold at a time; the others wait in order of arrival."""

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
                self._waiting.popleft().release()  # handed over, so that no other thread gets in between
            else:
                self._free += 1


class LastInFirstOut:
    """A condition as `threading.Condition`, but `notify` wakes the thread that has waited least.

    Its memory and its connection to the database are still in the processor's caches. Under load, requests that went
    round sixteen threads took a fifth to a third more processor time.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._waiting: list[threading.Lock] = []

    def wait(self, timeout_s: float | None = None) -> None:
        """Release the lock, wait for a `notify` for at most `timeout_s` seconds, and acquire the lock again."""
        mine = threading.Lock()
        mine.acquire()
        self._waiting.append(mine)
        self._lock.release()
        try:
            mine.acquire(timeout=-1 if timeout_s is None else timeout_s)
        finally:
            self._lock.acquire()
            if mine in self._waiting:
                self._waiting.remove(mine)

    def notify(self) -> None:
        """Wake the thread that has waited least, if there is one. The caller holds the lock."""
        if self._waiting:
            self._waiting.pop().release()

    def notify_all(self) -> None:
        """Wake every waiting thread. The caller holds the lock."""
        while self._waiting:
            self.notify()
