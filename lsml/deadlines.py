"""A deadline for a whole HTTP response. An HTTP client limits each read alone, so that a server which sends a byte now and
then, also of its headers, would never end.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import socket
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

_NEW: Final = ("connect_tcp.complete", "start_tls.complete")  # events that bring another socket


class Deadline:
    """A moment at which the connections of one request are shut, so that a read which waits ends with an error or nothing.

    `with Deadline(30) as deadline:` send a request with the extension `{"trace": deadline.trace}` of httpx, and ask
    afterwards if it has `passed`: then the response is not whole.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._seconds = seconds
        self._open = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._open = True
        _clock().add(time.monotonic() + self._seconds, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._open = False
            self._socket = None  # another file may get its number

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note the socket of a connection that httpx opened."""
        if event.endswith(_NEW):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self.passed:
                    self._shut()

    def pass_now(self) -> None:
        """Shut the connection, if the request still runs."""
        with self._lock:
            if self._open:
                self.passed = True
                self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the other side was quicker
                # Not by TLS's own method, which first ends the encryption: a thread that sends would send on in clear text.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Clock:
    """The thread that waits for the deadlines of a process: one of its own for each would cost more than the request."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Deadline]] = []  # a heap; those whose requests ended leave it when due
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="lsml-deadlines", daemon=True).start()

    def add(self, at: float, deadline: Deadline) -> None:
        """Let a deadline pass at a moment of the monotonic clock."""
        with self._changed:
            heapq.heappush(self._waiting, (at, next(self._numbers), deadline))
            if self._waiting[0][2] is deadline:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting or self._waiting[0][0] > time.monotonic():
                    self._changed.wait(self._waiting[0][0] - time.monotonic() if self._waiting else None)
                _, _, due = heapq.heappop(self._waiting)
            due.pass_now()


_CLOCKS: Final[dict[int, _Clock]] = {}  # by process: no thread survives a fork
_MAKING: Final = threading.Lock()


def _clock() -> _Clock:
    found = _CLOCKS.get(os.getpid())
    if found is None:
        with _MAKING:
            found = _CLOCKS.get(os.getpid()) or _Clock()
            _CLOCKS[os.getpid()] = found
    return found
