"""The loop that reads and writes every connection, and its thread; a slow request hands it to another thread."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from waitress import wasyncore

from lsml.server.channels import QUICK_S, Dispatcher, close_stale, make_room

CONNECTIONS: Final = 400  # idle and half-sent connections count; beyond it, those that wait longest are closed
_POLL = hasattr(select, "poll")  # select() fails with descriptors above 1023; Windows has no poll()
_AT_REST_S: Final = 0.2  # between turns of an idle server; on Windows a signal waits this long
_STALE_S: Final = 1.0  # between checks for connections that exceeded a time limit
_SPARE: Final = 4  # threads that wait to become the loop again
_RESTED: Final = 100  # turns without a request before the watch checks rarely


class Loop:
    """The loop: one thread at a time reads the connections, and answers small predictions itself, which is fastest.

    A request may be slow, as a version is loaded or a file fetched. The main thread watches, and makes another thread
    the loop if a request takes longer than QUICK_S. Signals always reach the main thread.
    """

    def __init__(self, channels: dict[int, object], dispatcher: Dispatcher) -> None:
        self._channels = channels
        self._dispatcher = dispatcher
        self._turns: SimpleQueue[threading.Event] = SimpleQueue()  # for threads that become the loop
        self._spare = 0  # how many threads that were the loop wait for another turn
        self._counting = threading.Lock()
        self._role = threading.Lock()  # held while connections are read
        self._owner = 0  # the identity of the loop's thread
        self._busy = threading.Event()  # ends the rest of the watch
        self._resting = False
        self._fault: BaseException | None = None
        self._checked = time.monotonic()

    def watch(self, going_on: Callable[[], bool]) -> None:
        """Run the loop in threads until `going_on` is false. Raises the error that ended the loop, which only a fault of
        lsml causes.
        """
        self._begin()
        quiet = 0
        while going_on():
            if self._fault is not None:
                raise self._fault
            began = self._dispatcher.began
            if began is not None and time.monotonic() - began > QUICK_S:
                self._begin()
            quiet = quiet + 1 if began is None else 0
            if quiet <= _RESTED:
                time.sleep(QUICK_S)
                continue
            self._busy.clear()
            self._resting = True
            self._busy.wait(_AT_REST_S)
            self._resting = False
            quiet = _RESTED if not self._busy.is_set() else 0

    def take(self) -> None:
        """Make the caller the loop; it answers no more than /health."""
        self._dispatcher.direct = False
        with self._dispatcher.claim:
            self._owner = threading.get_ident()
            self._dispatcher.began = None
        with self._role:
            return  # the other thread has finished its turn

    def look(self, timeout_s: float) -> None:
        """Read and write connections; wait at most `timeout_s` for data."""
        wasyncore.loop(timeout=timeout_s, use_poll=_POLL, map=self._channels, count=1)

    def wake(self, pull: Callable[[], None]) -> None:
        """Wake the loop, unless the caller is the loop."""
        if threading.get_ident() != self._owner:
            pull()

    def _begin(self) -> None:
        """Make another thread the loop: one that was it before and has its connection to the database, else a new one."""
        begun = threading.Event()
        with self._counting:
            spare = self._spare > 0
            self._spare -= spare
        if not spare:
            threading.Thread(target=self._serve, name="loop", daemon=True).start()
        self._turns.put(begun)
        begun.wait()

    def _serve(self) -> None:
        """Be the loop in turns, as long as few other threads wait for one."""
        while True:
            self._run(self._turns.get())
            with self._counting:
                if self._spare >= _SPARE:
                    return
                self._spare += 1

    def _run(self, begun: threading.Event) -> None:
        """Be the loop until another thread is."""
        me = threading.get_ident()
        with self._dispatcher.claim:
            self._owner = me
            self._dispatcher.began = None
        begun.set()

        def mine() -> bool:
            return self._owner == me

        try:
            while self._step(mine):
                if self._resting and self._dispatcher.waiting:
                    self._busy.set()
        except BaseException as fault:
            self._fault = fault

    def _step(self, mine: Callable[[], bool]) -> bool:
        """Answer waiting requests, and do one turn; return False if another thread is the loop by now."""
        self._dispatcher.respond(mine)
        with self._role:
            if not mine():
                return False
            self.look(_AT_REST_S)
            make_room(self._channels, CONNECTIONS)
            if (now := time.monotonic()) - self._checked > _STALE_S:
                self._checked = now
                close_stale(self._channels, now)
        return True
