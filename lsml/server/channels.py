"""waitress' connections with a monotonic clock, time limits, and refusals as JSON.

waitress measures idleness by the wall clock: if the clock jumped ahead, it closed every connection, even with arriving
requests, and if the clock was set back, it closed none until the clock had caught up.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask

from lsml.server.app import too_large
from lsml.server.arrivals import ARRIVALS, BUSY, REQUEST, Arrivals
from lsml.server.interpreter import LastInFirstOut

_log = logging.getLogger(__name__)
IDLE_S = 120.0  # a connection without data for this long is closed
ARRIVE_S = 300.0  # the longest time for a request to arrive
QUICK_S = 0.003  # a prediction for one text takes a tenth of this
SMALL_BYTES = 16384  # a few tasks and their labeling config
LINGER_S = 10.0  # how long a client may keep sending after a refusal, so that it can read the reason


class _Task(WSGITask):  # type: ignore[misc]  # waitress has no types
    """One request; while the server stops, its response is the connection's last."""

    def build_response_header(self) -> bytes:
        if self.channel.draining.is_set():
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header

    def get_environment(self) -> dict[str, object]:
        """Return the WSGI environment of the request."""
        environment: dict[str, object] = super().get_environment()
        if self.channel.arrivals is not None:
            environment[ARRIVALS], environment[REQUEST] = self.channel.arrivals, self.request
        if self.channel.refuses:
            environment[BUSY] = True
        return environment

    def write(self, data: bytes) -> None:
        """Send a part of the body; the headers go with the first part, as each packet wakes the client."""
        channel = self.channel
        channel.holds = not self.wrote_header and bool(data)
        super().write(data)
        if channel.held:
            channel.write_soon(b"")


class _Refusal(ErrorTask):  # type: ignore[misc]  # waitress has no types
    """The response to a request that waitress refuses: a JSON sentence, like lsml's own refusals."""

    def execute(self) -> None:
        error, adj = self.request.error, self.channel.adj
        said = "".join(character if character.isprintable() else " " for character in str(error.body))[:200]
        sentence = {
            413: too_large(adj.max_request_body_size - 1),
            431: f"the headers are larger than {adj.max_request_header_size:,} bytes; send fewer or shorter ones",
            500: "lsml failed; its log has the details",
            501: "only `Transfer-Encoding: chunked` is supported; use it, or send a Content-Length",
        }.get(error.code, f"the request is not valid HTTP: {said}; expected HTTP/1.1")
        body = msgspec.json.encode({"error": sentence})
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)
        self.channel.refused = True


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """One connection. `since`: the start of its current state (waiting, or sending a request), in monotonic seconds."""

    task_class = _Task
    error_task_class = _Refusal
    close_when_flushed: bool

    def __init__(self, draining: threading.Event, *args: object, **kwargs: object) -> None:
        self.draining = draining
        self.since = time.monotonic()
        self.refused = False
        self._lingers = False
        self.arrivals: Arrivals | None = None  # the requests that arrived with its first one
        self.refuses = False  # True if its first request came while too many waited
        self.holds = False  # True if the next data is sent together with the data after it
        self.held = b""
        super().__init__(*args, **kwargs)

    @property
    def last_activity(self) -> float:
        """The time of the last transfer, in monotonic seconds."""
        return self._last_transfer

    @last_activity.setter
    def last_activity(self, _wall_clock: float) -> None:
        self._last_transfer = time.monotonic()

    @property
    def busy(self) -> bool:
        """True if a request is being answered or received, or a response being sent."""
        return bool(self.requests) or self.request is not None or self.total_outbufs_len > 0

    def stale(self, now: float) -> bool:
        """Return True if it has exceeded a time limit."""
        if self._lingers:
            return now - self.since > LINGER_S
        if self.requests and not self.total_outbufs_len:
            return False  # the application works on it
        return now - self.last_activity > IDLE_S or (self.request is not None and now - self.since > ARRIVE_S)

    def received(self, data: bytes) -> bool:
        """Process received data. Return True if it was used."""
        if self._lingers:
            return False
        if self.request is None:
            self.since = time.monotonic()
        return bool(super().received(data))

    def service(self) -> None:
        """Answer the first request."""
        super().service()
        self.since = time.monotonic()

    def write_soon(self, data: Any) -> int:
        """Send data, after data that is held back."""
        if self.holds:
            self.holds, self.held = False, data
            return len(data)
        if self.held:
            data, self.held = self.held + data, b""
        return int(super().write_soon(data))

    def readable(self) -> bool:
        """Return True if more data should be read."""
        return self._lingers or bool(super().readable())

    def writable(self) -> bool:
        """Return True if there is something to send, or to close."""
        return self.will_close if self._lingers else bool(super().writable())

    def handle_write(self) -> None:
        """Send pending data.

        A client that was refused may still be sending. Closing now would reset the connection and lose the sentence, so
        its data is read and dropped for a while.
        """
        if self.refused and self.close_when_flushed and not self._lingers:
            self._flush_exception(self._flush_some)
            if not self.total_outbufs_len and not self.will_close:
                self.close_when_flushed, self._lingers, self.since = False, True, time.monotonic()
                with suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)
                return
        super().handle_write()


class Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress has no types
    """The assignment of a request to the loop itself, between two looks at its connections, or to a thread.

    The loop answers `/health`, and predictions of few tasks as long as they are quick, as a thread's wake-ups cost as
    much as the prediction. One thread answers other quick requests one after another, as two would compete for the
    interpreter. A request that takes longer than QUICK_S, as it waits for the disk, for a model or for a file, no
    longer counts, and others are answered beside it. If `most_waiting` wait for a thread, the loop refuses further
    predictions.
    """

    def __init__(self, most_waiting: int = 64) -> None:
        super().__init__()
        self._most_waiting = most_waiting
        self.queue_cv = LastInFirstOut(self.lock)
        self.claim = threading.Lock()  # held for beginning a request as the loop, and for becoming the loop
        self.began: float | None = None  # the start of the loop's current request
        self.direct = True  # True if the loop may answer more than /health
        self._at_once: deque[Channel] = deque()
        self._began: dict[int, float] = {}  # thread -> the start of its request
        self._watched = False  # True if a thread waits until a request has taken too long
        self._quick = True  # True if the last small prediction was quick

    def add_task(self, channel: Channel) -> None:
        """Assign the first request of a channel."""
        channel.arrivals, channel.refuses = None, False  # those of the request before
        # The loop must not answer a request that waits for its connection, as the loop itself writes to it.
        if len(channel.requests) == 1 and not channel.total_outbufs_len:
            path = getattr(channel.requests[0], "path", "").rstrip("/")
            # Each of those that wait is one request of a connection, so the number need not be exact.
            channel.refuses = path.endswith("/predict") and len(self.queue) >= self._most_waiting
            quick = self.direct and self._quick and _is_small(channel, path)
            if path.endswith("/health") or channel.refuses or quick:
                self._at_once.append(channel)
                return
        with self.lock:
            self.queue.append(channel)
            if not self._watched:
                self.queue_cv.notify()

    @property
    def waiting(self) -> bool:
        """True if the loop has a request to answer."""
        return bool(self._at_once)

    def respond(self, going_on: Callable[[], bool] = lambda: True) -> None:
        """Answer the loop's own requests, while the caller is the loop: another thread may become the loop if a request
        takes long.
        """
        grouped = False
        while True:
            with self.claim:
                if not self._at_once or not going_on():
                    return
                # A refused one is answered with nobody, and may be large.
                together = [] if grouped else [channel for channel in self._at_once if not channel.refuses]
                if len(together) > 1:
                    arrivals = Arrivals([channel.requests[0] for channel in together])
                    for channel in together:
                        channel.arrivals = arrivals
                grouped = True
                channel = self._at_once.popleft()
                self.began = time.monotonic()
            self._service(channel)
            with self.claim:
                if going_on():
                    self.began = None

    def handler_thread(self, number: int) -> None:
        """Answer requests in a thread until it is stopped."""
        while (channel := self._next(number)) is not None:
            self._service(channel)

    def _service(self, channel: Channel) -> None:
        """Answer a channel's first request, and note for a small prediction whether it was quick."""
        small = not channel.refuses and _is_small(channel, getattr(channel.requests[0], "path", "").rstrip("/"))
        began = time.monotonic()
        try:
            channel.service()
        except BaseException:
            self.logger.exception("a request failed outside the application")
        if small:
            self._quick = time.monotonic() - began < QUICK_S

    def _next(self, number: int) -> Channel | None:
        """Wait for the next request that a thread may answer, and return it; None when the thread must stop."""
        with self.lock:
            self._began.pop(number, None)
            while not self.stop_count and (wait_s := self._wait_s()) != 0:
                watching = wait_s is not None and not self._watched
                self._watched = self._watched or watching
                self.active_count -= 1
                self.queue_cv.wait(wait_s if watching else None)
                self.active_count += 1
                self._watched = self._watched and not watching
            if self.stop_count:
                self.active_count -= 1
                self.stop_count -= 1
                self.threads.discard(number)
                self.thread_exit_cv.notify()
                return None
            self._began[number] = time.monotonic()
            channel: Channel = self.queue.popleft()
            if self.queue and not self._watched:
                self.queue_cv.notify()
            return channel

    def _wait_s(self) -> float | None:
        """Return the seconds that an idle thread waits: None until there is a request, 0 if it may begin one."""
        if not self.queue:
            return None
        newest = max(self._began.values(), default=0.0)
        return max(0.0, newest + QUICK_S - time.monotonic())


def _is_small(channel: Channel, path: str) -> bool:
    """Return True if the first request of a channel is a prediction of a few tasks."""
    return path.endswith("/predict") and channel.requests[0].content_length <= SMALL_BYTES


def close_stale(connections: Mapping[int, object], now: float) -> None:
    """Close connections that exceeded a time limit."""
    for channel in list(connections.values()):
        if isinstance(channel, Channel) and channel.stale(now):
            channel.will_close = True


def make_room(connections: Mapping[int, object], most: int) -> None:
    """Close the longest waiting connections beyond `most`, so that there is room for new ones."""
    channels = [channel for channel in connections.values() if isinstance(channel, Channel)]
    excess = len(channels) - most
    if excess <= 0:
        return
    waiting = sorted((channel for channel in channels if not channel.requests), key=lambda channel: channel.since)
    _log.warning("%d connections are open: closing those that have been idle longest", len(channels))
    for channel in waiting[:excess]:
        channel.will_close = True
