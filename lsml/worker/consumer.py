"""The worker: Huey wakes it, the run ledger decides which run is next, and each run has a process of its own.

Huey delivers a message at most once, and a killed worker's message is lost. So a message is only a run's id, and the
ledger holds the state: the sweeper returns lost runs to waiting and sends lost wake-ups again.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from types import FrameType
from typing import Any

from huey import Huey
from huey.consumer import Consumer

from lsml.errors import Unreachable
from lsml.learning.due import learners
from lsml.logs import project_id, recipe_name, run_id
from lsml.recipe import Recipe
from lsml.store import RunRow, Store, Superseded
from lsml.store.claims import HEARTBEAT_S
from lsml.store.queue import Queue
from lsml.store.runs import KINDS, Kind
from lsml.tracing import span, with_parent
from lsml.versions import sweep_attempt
from lsml.worker.notify import notify
from lsml.worker.processes import DONE, SUPERSEDED, UNREACHABLE, death, end, wait_briefly
from lsml.worker.sweeper import Sweeper

_log = logging.getLogger(__name__)
_PATIENCE_S = 1.0  # before a database that is away is asked again
_POLL_S = 0.1  # between two checks for a finished, cancelled or stopping training


class Crew:
    """The workers of one process. They stop together, and do one run of each kind at a time among them all."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.busy: dict[Kind, threading.Lock] = {kind: threading.Lock() for kind in KINDS}
        self.workers: list[Worker] = []

    def run_forever(self) -> None:
        """Work until SIGINT or SIGTERM, then return running work to the ledger. It must be called in the main thread."""
        told = False

        def stop(_number: int, _frame: FrameType | None) -> None:
            nonlocal told
            told = True

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        with ThreadPoolExecutor(len(self.workers)) as pool:
            working = {pool.submit(worker.run) for worker in self.workers}
            while working:
                # A signal that comes just as a wait begins is seen when it ends, so none may be long.
                ended, working = wait(working, _POLL_S, FIRST_COMPLETED)
                if told or ended:  # an error of one worker ends the process
                    self.stopping.set()
                for one in ended:
                    one.result()

    def wake_due(self, last: Worker) -> None:
        """Wake waiting runs. The worker that just did a run comes last, so that a busy one does not starve others."""
        for worker in sorted(self.workers, key=lambda one: one is last):
            worker.wake_due()


class Worker:
    """A worker that claims runs of one recipe and has them done, until its crew stops.

    `command` starts the process of a run: it gets the run's id and attempt. `named`: the queue of `storage.queues` that it
    serves, None for that without a name; `every`: it serves all.
    """

    def __init__(
        self, recipe: Recipe, store: Store, queue: Queue, command: list[str], crew: Crew,
        named: str | None = None, *, every: bool = False,
    ) -> None:  # fmt: skip
        self.recipe = recipe
        self._named = named
        self._every = every
        self._store = store
        self._queue = queue
        self._command = command
        self._crew = crew
        self._stopping = crew.stopping
        self._busy = crew.busy
        crew.workers.append(self)
        queue.on_wake(self.work)

    def use(self, recipe: Recipe) -> None:
        """Use a changed recipe from now on. A current training keeps the old one."""
        self.recipe = recipe
        self._store.projects.want_publishings()  # changed options may change predictions

    def run(self) -> None:
        """Work in this thread until the crew stops, then return running work to the ledger."""
        self.say_whose()
        consumer = _Consumer(self._queue.huey, self._stopping)
        Sweeper(self, self._store, self._stopping).start()
        consumer.run()

    def say_whose(self) -> None:
        """Prefix this thread's log with the recipe's name, where there are several."""
        recipe_name.set(self.recipe.name if len(self._crew.workers) > 1 else None)

    def work(self, id: str) -> None:
        """Claim a run and do it. It is safe to call for any id, any number of times."""
        self.say_whose()
        try:
            self._take(id)
        except Unreachable as error:
            # A lease that could not be given back ends by itself, and the sweeper wakes somebody.
            _log.warning("run %s: %s", id, error)

    def _take(self, id: str) -> None:
        waiting = self._store.runs.get(id)
        if waiting is None or waiting.kind not in self._kinds or self._stopping.is_set():
            return
        # One run of each kind at a time. While another is at work, this run stays waiting, and is woken when that one ends.
        busy = self._busy[waiting.kind]
        if not busy.acquire(blocking=False):
            self._store.runs.unwake(id)
            return
        try:
            # Whichever run was woken, the one whose turn it is comes first.
            run = self._store.claims.claim(self._store.runs.first_due(waiting.kind) or id)
            if run is None or run.id != id:
                self._store.runs.unwake(id)
            if run is not None:
                self._do(run)
        finally:
            busy.release()
            self._crew.wake_due(self)

    def _do(self, run: RunRow) -> None:
        """Do a claimed run to its end."""
        at_hand = run_id.set(run.id)
        about = project_id.set(run.project)
        _log.info("run %s (%s) of project %s: attempt %d", run.id, run.kind, run.project, run.attempt)
        try:
            with span(f"run a {run.kind}", run=run.id, project=run.project, attempt=run.attempt):
                self._see_through(run)
            ended = self._store.runs.get(run.id)
            if ended is not None and ended.attempt == run.attempt:
                notify(self.recipe, self._store, ended)
        except Superseded as error:
            _log.warning("%s; another worker has it", error)
        finally:
            run_id.reset(at_hand)
            project_id.reset(about)

    def _see_through(self, run: RunRow) -> None:
        timeout_s = max((training.timeout_s for training in learners(self.recipe)), default=0) or 6 * 3600
        if run.kind == "publishing":
            timeout_s = math.inf  # Label Studio may be away for a night, and there may be a million tasks
        child = subprocess.Popen(
            [*self._command, "--run", f"{run.id}:{run.attempt}"],
            # The child ends when this pipe closes, so that no orphan goes on training.
            stdin=subprocess.PIPE,
            start_new_session=True,
            env=with_parent(os.environ),
        )
        began = beaten = time.monotonic()
        try:
            while child.poll() is None:
                if self._stopping.wait(_POLL_S):
                    end(child)
                    self._store.claims.hand_back(run.id, run.attempt)
                    _log.info("run %s: returned to the ledger", run.id)
                    return
                now = time.monotonic()
                if now - began > timeout_s:
                    end(child)
                    self._store.claims.finish(
                        run.id, run.attempt, "failed", f"took longer than {timeout_s:g} s (timeout)"
                    )
                    return
                try:
                    if self._is_over(run, child):
                        return
                    if now - beaten >= HEARTBEAT_S:
                        self._store.claims.beat(run.id, run.attempt)
                        beaten = now
                except Unreachable as error:
                    # The run goes on: when the database is back, the lease says whose it is.
                    _log.warning("run %s: %s", run.id, error)
                    self._stopping.wait(_PATIENCE_S)
        finally:
            end(child)
            self._sweep_attempt(run)
        if child.returncode == UNREACHABLE:
            self._store.claims.hand_back(run.id, run.attempt, death(child.returncode))
            _log.warning("run %s: %s", run.id, death(child.returncode))
        elif child.returncode not in (DONE, SUPERSEDED):
            self._store.claims.lose(run.id, run.attempt, death(child.returncode))
            _log.error("run %s: %s", run.id, death(child.returncode))

    def _sweep_attempt(self, run: RunRow) -> None:
        """Remove what a process of a training left. Where the store is away, the log says so, and a later sweep does it."""
        if run.kind != "training":
            return
        try:
            sweep_attempt(self._store, run)
        except (Unreachable, OSError) as error:
            _log.warning("run %s: its leftovers cannot be removed now: %s", run.id, error)

    def _is_over(self, run: RunRow, child: subprocess.Popen[bytes]) -> bool:
        """Return True, once its process has ended, if the run is no longer this worker's or somebody cancelled it."""
        row = self._store.runs.get(run.id)
        if row is None or row.state != "running" or row.attempt != run.attempt:
            # Its process wrote the end and is about to exit, or another worker has the run.
            wait_briefly(child)
            return True
        if row.cancel:
            end(child)
            self._store.claims.finish(run.id, run.attempt, "cancelled", "cancelled")
            _log.info("run %s: cancelled", run.id)
            return True
        return False

    @property
    def queues(self) -> tuple[str | None, ...]:
        """The queues that this worker serves."""
        return self.recipe.storage.queues.named if self._every else (self._named,)

    @property
    def _kinds(self) -> tuple[Kind, ...]:
        """The kinds of runs that this worker does."""
        return tuple(kind for kind in KINDS if getattr(self.recipe.storage.queues, kind) in self.queues)

    def wake_due(self) -> None:
        """Wake up for waiting runs of its kinds that no worker of this process is doing."""
        for kind in self._kinds:
            if not self._busy[kind].locked():
                for id in self._store.runs.due(kind):
                    self._queue.wake(id)


class _Consumer(Consumer):  # type: ignore[misc]  # huey has no types
    """Huey's consumer without its own signals: the current work ends itself when it sees `stopping`."""

    def __init__(self, huey: Huey, stopping: threading.Event) -> None:
        super().__init__(
            huey, workers=len(KINDS), periodic=False, worker_type="thread", max_delay=1.0, shutdown_timeout=8
        )
        self._stopping = stopping

    def _set_signal_handlers(self) -> None:
        """Leave signals to the crew, as they belong to the main thread."""

    def loop(self, health_check_ts: float | None = None) -> Any:
        """Do one turn of Huey's own loop. Raises Huey's ConsumerStopped once everything has stopped."""
        if self._stopping.wait(0.1) and not self.stop_flag.is_set():
            self.stop(graceful=True)
        return super().loop(health_check_ts)
