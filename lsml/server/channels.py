"""waitress' connections as lsml needs them: whose time nobody can set, whose patience ends, and whose refusals are JSON.

waitress measures idleness by the wall clock: a clock that jumps ahead closed every connection, with the requests that were
just arriving on them, and one that is set back closed none until it had caught up.
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
from lsml.server.arrivals import ARRIVALS, REQUEST, Arrivals

_log = logging.getLogger(__name__)
IDLE_S = 120.0  # a connection on which nothing moves for so long is closed
ARRIVE_S = 300.0  # a request that is not here after so long is given up
QUICK_S = 0.003  # a prediction for one text takes a tenth of it
SMALL_BYTES = 16384  # a few tasks and their labeling config
LINGER_S = 10.0  # how long a sender may go on after it was refused, so that it gets to read why


class _Task(WSGITask):  # type: ignore[misc]  # waitress has no types
    """One request; while the server drains, its answer is the connection's last."""

    def build_response_header(self) -> bytes:
        if self.channel.draining.is_set():
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header

    def get_environment(self) -> dict[str, object]:
        """What the application is told of the request."""
        environment: dict[str, object] = super().get_environment()
        if self.channel.arrivals is not None:
            environment[ARRIVALS], environment[REQUEST] = self.channel.arrivals, self.request
        return environment

    def write(self, data: bytes) -> None:
        """Send a part of the body; the headers go with the first one, for each piece wakes the client."""
        channel = self.channel
        channel.holds = not self.wrote_header and bool(data)
        super().write(data)
        if channel.held:
            channel.write_soon(b"")


class _Refusal(ErrorTask):  # type: ignore[misc]  # waitress has no types
    """The answer to what waitress does not pass on: the sentence that lsml's own refusals have, as JSON."""

    def execute(self) -> None:
        error, adj = self.request.error, self.channel.adj
        said = "".join(character if character.isprintable() else " " for character in str(error.body))[:200]
        sentence = {
            413: too_large(adj.max_request_body_size - 1),
            431: f"the headers are larger than {adj.max_request_header_size:,} bytes; send fewer or shorter ones",
            500: "lsml failed; its log says more",
            501: "only `Transfer-Encoding: chunked` is read; send the body so, or with its Content-Length",
        }.get(error.code, f"the request is no valid HTTP: {said}; expected HTTP/1.1")
        body = msgspec.json.encode({"error": sentence})
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)
        self.channel.refused = True


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """One connection. `since` is when that began on which it is now, in monotonic seconds: to wait, or to send a request."""

    task_class = _Task
    error_task_class = _Refusal
    close_when_flushed: bool

    def __init__(self, draining: threading.Event, *args: object, **kwargs: object) -> None:
        self.draining = draining
        self.since = time.monotonic()
        self.refused = False
        self._lingers = False
        self.arrivals: Arrivals | None = None  # what its first request came with
        self.holds = False  # whether what is written next waits for what comes after it
        self.held = b""
        super().__init__(*args, **kwargs)

    @property
    def last_activity(self) -> float:
        """When something last moved, in monotonic seconds."""
        return self._moved

    @last_activity.setter
    def last_activity(self, _wall_clock: float) -> None:
        self._moved = time.monotonic()

    @property
    def busy(self) -> bool:
        """True if a request is at hand or on its way in, or an answer on its way out."""
        return bool(self.requests) or self.request is not None or self.total_outbufs_len > 0

    def stale(self, now: float) -> bool:
        """True if it was waited for long enough."""
        if self._lingers:
            return now - self.since > LINGER_S
        if self.requests and not self.total_outbufs_len:
            return False  # the application works on it
        return now - self.last_activity > IDLE_S or (self.request is not None and now - self.since > ARRIVE_S)

    def received(self, data: bytes) -> bool:
        """Take in what was read; whether it was of use."""
        if self._lingers:
            return False
        if self.request is None:
            self.since = time.monotonic()
        return bool(super().received(data))

    def service(self) -> None:
        """Answer the first request at hand."""
        super().service()
        self.arrivals = None
        self.since = time.monotonic()

    def write_soon(self, data: Any) -> int:
        """Send data, behind what is held."""
        if self.holds:
            self.holds, self.held = False, data
            return len(data)
        if self.held:
            data, self.held = self.held + data, b""
        return int(super().write_soon(data))

    def readable(self) -> bool:
        """True if to read more."""
        return self._lingers or bool(super().readable())

    def writable(self) -> bool:
        """True if there is something to send, or to close."""
        return self.will_close if self._lingers else bool(super().writable())

    def handle_write(self) -> None:
        """Send what there is. Who was refused may still be sending: to close now would reset the connection, and the
        sentence would be lost; so what comes is read and dropped for a while."""
        if self.refused and self.close_when_flushed and not self._lingers:
            self._flush_exception(self._flush_some)
            if not self.total_outbufs_len and not self.will_close:
                self.close_when_flushed, self._lingers, self.since = False, True, time.monotonic()
                with suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)
                return
        super().handle_write()


class Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress has no types
    """Who answers a request: the loop itself, between two looks at its connections, or a thread.

    The loop answers `/health`, and predictions of few tasks as long as those are quick: to hand each to a thread, and to be
    woken by it, costs as much as the prediction. One thread answers other quick requests one after another, for two would
    keep taking the interpreter from each other. A request that takes longer than QUICK_S, for it waits for the disk, for a
    model or for a file, no longer counts, and others are answered beside it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.claim = threading.Lock()  # held to begin a request as the loop, and to become the loop
        self.began: float | None = None  # when the loop began the request that it answers
        self.direct = True  # whether the loop may answer more than /health
        self._at_once: deque[Channel] = deque()
        self._began: dict[int, float] = {}  # by thread, when its request did
        self._watched = False  # whether a thread waits for a request to have taken too long
        self._quick = True  # whether the last small prediction was

    def add_task(self, channel: Channel) -> None:
        """Have the first request of a channel answered."""
        # What would have to wait for its connection must not be answered by the loop, which is what writes.
        if len(channel.requests) == 1 and not channel.total_outbufs_len:
            path = getattr(channel.requests[0], "path", "").rstrip("/")
            if path.endswith("/health") or (self.direct and self._quick and _is_small(channel, path)):
                self._at_once.append(channel)
                return
        with self.lock:
            self.queue.append(channel)
            if not self._watched:
                self.queue_cv.notify()

    @property
    def waiting(self) -> bool:
        """True if the loop has something to answer."""
        return bool(self._at_once)

    def answer(self, going_on: Callable[[], bool] = lambda: True) -> None:
        """Answer what the loop answers itself, as long as the caller is the loop: another thread may take over from one
        whose request takes long."""
        grouped = False
        while True:
            with self.claim:
                if not self._at_once or not going_on():
                    return
                if not grouped and len(self._at_once) > 1:
                    arrivals = Arrivals([channel.requests[0] for channel in self._at_once])
                    for channel in self._at_once:
                        channel.arrivals = arrivals
                grouped = True
                channel = self._at_once.popleft()
                self.began = time.monotonic()
            self._service(channel)
            with self.claim:
                if going_on():
                    self.began = None

    def handler_thread(self, number: int) -> None:
        """What each thread does until it is told to stop."""
        while (channel := self._next(number)) is not None:
            self._service(channel)

    def _service(self, channel: Channel) -> None:
        """Answer a channel's first request, and learn from a small prediction whether they are quick."""
        small = _is_small(channel, getattr(channel.requests[0], "path", "").rstrip("/"))
        began = time.monotonic()
        try:
            channel.service()
        except BaseException:
            self.logger.exception("a request failed outside of the application")
        if small:
            self._quick = time.monotonic() - began < QUICK_S

    def _next(self, number: int) -> Channel | None:
        """The next request that a thread may answer, once there is one; None where it is to stop."""
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
        """How long a thread that has nothing to do waits: None until there is a request, 0 where it may begin one."""
        if not self.queue:
            return None
        newest = max(self._began.values(), default=0.0)
        return max(0.0, newest + QUICK_S - time.monotonic())


def _is_small(channel: Channel, path: str) -> bool:
    """True if the first request of a channel asks for a prediction of a few tasks."""
    return path.endswith("/predict") and channel.requests[0].content_length <= SMALL_BYTES


def close_stale(connections: Mapping[int, object], now: float) -> None:
    """Close those that were waited for long enough."""
    for channel in list(connections.values()):
        if isinstance(channel, Channel) and channel.stale(now):
            channel.will_close = True


def make_room(connections: Mapping[int, object], most: int) -> None:
    """Where there are more than `most`, close those whose client has been waited for longest, so that new ones find room."""
    channels = [channel for channel in connections.values() if isinstance(channel, Channel)]
    excess = len(channels) - most
    if excess <= 0:
        return
    waiting = sorted((channel for channel in channels if not channel.requests), key=lambda channel: channel.since)
    _log.warning("%d connections are open: closing those whose client has been waited for longest", len(channels))
    for channel in waiting[:excess]:
        channel.will_close = True
