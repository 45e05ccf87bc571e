"""A deadline for a whole HTTP response. An HTTP client limits each read alone, so that a server which sends a byte now and
then, also of its headers, would never end.
"""

from __future__ import annotations

import contextlib
import socket
import threading
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
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._socket = None  # another file may get its number

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note the socket of a connection that httpx opened."""
        if event.endswith(_NEW):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self.passed:
                    self._shut()

    def _pass(self) -> None:
        with self._lock:
            self.passed = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the other side was quicker
                self._socket.shutdown(socket.SHUT_RDWR)
