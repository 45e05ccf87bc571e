"""Huey wakes the worker, the run ledger says what to do, and each run has a process of its own.

Huey delivers a message at most once and forgets what a killed worker held, so a message is only a run's id and the
ledger is the truth: the sweeper returns lost runs to waiting and sends lost wake-ups again.
"""

from __future__ import annotations

import logging
import math
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from huey import Huey
from huey.consumer import Consumer

from lsml.learning.due import learners, request_if_due
from lsml.logs import run_id
from lsml.recipe import Recipe
from lsml.store import RunRow, Store, Superseded
from lsml.store.queue import Queue
from lsml.store.runs import HEARTBEAT_S, KINDS, Kind
from lsml.studio.connection import read_annotations
from lsml.versions import sweep_attempt, sweep_folders
from lsml.worker.processes import DONE, SUPERSEDED, death, end, leaving_a_core, wait_briefly
from lsml.worker.publishing import want_publishing

_log = logging.getLogger(__name__)
_SWEEP_S = 1.0
_POLL_S = 0.1  # how soon a finished, cancelled or stopping training is noticed


class Worker:
    """Claims runs and has them done, one of each kind at a time, until told to stop.

    `command` starts the process of a run: it is given the run's id and attempt.
    """

    def __init__(self, recipe: Recipe, store: Store, queue: Queue, command: list[str]) -> None:
        self._recipe = recipe
        self._store = store
        self._queue = queue
        self._command = command
        self._stopping = threading.Event()
        self._busy: dict[Kind, threading.Lock] = {kind: threading.Lock() for kind in KINDS}
        queue.answer(self.work)

    def use(self, recipe: Recipe) -> None:
        """Go on with a changed recipe. What is trained at the moment ends as it began."""
        self._recipe = recipe
        for project in self._store.projects.all():
            self._store.projects.want_publishing(project.key)  # other options answer otherwise

    def run_forever(self) -> None:
        """Work in this thread, which must be the main one, until SIGINT or SIGTERM; then hand back what runs."""
        consumer = _Consumer(self._queue.huey, self._stopping)
        # Reading has a thread of its own: a large project takes minutes.
        for name, steps in (
            ("sweeper", (self._sweep_folders, self._sweep)),
            ("reader", (self._want_all, self._read_wanted)),
        ):
            threading.Thread(target=self._keep, args=steps, name=name, daemon=True).start()
        try:
            consumer.run()
        finally:
            self._stopping.set()

    def work(self, id: str) -> None:
        """Claim a run and see it through. Safe to call for any id, any number of times."""
        waiting = self._store.runs.get(id)
        if waiting is None or self._stopping.is_set():
            return
        # One of each kind at a time. Who finds another at work leaves the run, which is woken when that one ends.
        busy = self._busy[waiting.kind]
        if not busy.acquire(blocking=False):
            self._store.runs.unwake(id)
            return
        try:
            run = self._store.runs.claim(id)
            if run is not None:
                self._do(run)
        finally:
            busy.release()
            self._wake_due()

    def _do(self, run: RunRow) -> None:
        """See a claimed run through."""
        at_hand = run_id.set(run.id)
        _log.info("run %s (%s) of project %s: attempt %d", run.id, run.kind, run.project, run.attempt)
        try:
            self._see_through(run)
        except Superseded as error:
            _log.warning("%s; leaving it to whoever has it", error)
        finally:
            run_id.reset(at_hand)

    def _see_through(self, run: RunRow) -> None:
        timeout_s = max((training.timeout_s for training in learners(self._recipe)), default=0) or 6 * 3600
        if run.kind == "publishing":
            timeout_s = math.inf  # Label Studio may be away for a night, and there may be a million tasks
        child = subprocess.Popen(
            [*self._command, "--run", f"{run.id}:{run.attempt}"],
            # The child ends when this pipe does: an orphan must not train on.
            stdin=subprocess.PIPE,
            start_new_session=True,
            env=leaving_a_core(),
        )
        began = beaten = time.monotonic()
        try:
            while child.poll() is None:
                if self._stopping.wait(_POLL_S):
                    end(child)
                    self._store.runs.hand_back(run.id, run.attempt)
                    _log.info("run %s: handed back to the ledger", run.id)
                    return
                now = time.monotonic()
                if now - began > timeout_s:
                    end(child)
                    self._store.runs.finish(
                        run.id, run.attempt, "failed", f"took longer than {timeout_s:g} s (timeout)"
                    )
                    return
                row = self._store.runs.get(run.id)
                if row is None or row.state != "running" or row.attempt != run.attempt:
                    # Its process wrote the end, and is about to leave; or somebody else has the run.
                    wait_briefly(child)
                    return
                if row.cancel:
                    end(child)
                    self._store.runs.finish(run.id, run.attempt, "cancelled", "cancelled")
                    _log.info("run %s: cancelled", run.id)
                    return
                if now - beaten >= HEARTBEAT_S:
                    beaten = now
                    self._store.runs.beat(run.id, run.attempt)
        finally:
            end(child)
            sweep_attempt(self._store, run)
        if child.returncode not in (DONE, SUPERSEDED):
            self._store.runs.lose(run.id, run.attempt, death(child.returncode))
            _log.error("run %s: %s", run.id, death(child.returncode))

    def _wake_due(self) -> None:
        for kind in KINDS:
            if not self._busy[kind].locked():
                for id in self._store.runs.due(kind):
                    self._queue.wake(id)

    def _keep(self, first: Callable[[], None], each: Callable[[], None]) -> None:
        """Do `first`, then `each` every second, until told to stop; what fails is logged and tried again."""
        now = first
        while not self._stopping.is_set():
            try:
                now()
                now = each
            except Exception:
                _log.exception("%s failed; trying again", now.__name__.strip("_"))
            self._stopping.wait(_SWEEP_S)

    def _sweep_folders(self) -> None:
        sweep_folders(self._store)

    def _sweep(self) -> None:
        self._store.workers.beat()
        for id in self._store.runs.sweep():
            _log.warning("run %s lost its worker", id)
        for project in self._store.projects.all():
            want_publishing(self._recipe, self._store, project)
        self._wake_due()

    def _want_all(self) -> None:
        """Read everything once: what was annotated or deleted while nobody listened is only found that way."""
        for project in self._store.projects.all():
            self._store.projects.want_sync(project.key, whole=True)
            self._store.projects.want_publishing(project.key)  # tasks may have come meanwhile
            # A server may have died between an annotation and the run that it made due.
            request_if_due(self._store, self._recipe, project.key)

    def _read_wanted(self) -> None:
        """Read annotations made before lsml was connected, for projects that ask for it."""
        for project in self._store.projects.all():
            if project.sync_wanted and not self._stopping.is_set():
                read_annotations(self._store, self._recipe, project)
                request_if_due(self._store, self._recipe, project.key)


class _Consumer(Consumer):  # type: ignore[misc]  # huey has no types
    """Huey's consumer, which stops alike for SIGINT and SIGTERM: the work at hand ends itself when it sees `stopping`."""

    def __init__(self, huey: Huey, stopping: threading.Event) -> None:
        super().__init__(
            huey, workers=len(KINDS), periodic=False, worker_type="thread", max_delay=1.0, shutdown_timeout=8
        )
        self._stopping = stopping

    def _set_signal_handlers(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def _stop(self, _number: int, _frame: Any) -> None:
        self._stopping.set()

    def loop(self, health_check_ts: float | None = None) -> Any:
        """One turn of Huey's own loop; raises its ConsumerStopped once everything has stopped."""
        if self._stopping.wait(0.1) and not self.stop_flag.is_set():
            self.stop(graceful=True)
        return super().loop(health_check_ts)
