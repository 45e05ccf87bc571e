"""The worker: Huey wakes it, the run ledger says what to do, and each training runs in a process of its own.

Huey delivers a message at most once and forgets what a killed worker held, so a message is only a run's id and the
ledger is the truth: the sweeper returns lost runs to waiting and sends lost wake-ups again.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huey import SqliteHuey
from huey.consumer import Consumer

from lsml.binding import Binding, bind
from lsml.binding.configs import known_config
from lsml.errors import Cancelled, LsmlError, NotEnoughData
from lsml.labeling import parse_labeling_config
from lsml.learning.due import learners, request_if_due
from lsml.learning.run import Inputs
from lsml.learning.run import run as train_and_publish
from lsml.logs import run_id
from lsml.recipe import Recipe, load_recipe
from lsml.store import LOCAL, ProjectRow, RunRow, Store, Superseded
from lsml.store.queue import Queue
from lsml.store.runs import HEARTBEAT_S
from lsml.studio.connection import fetcher, read_annotations
from lsml.versions import sweep_attempt, sweep_folders

_log = logging.getLogger(__name__)
_SWEEP_S = 1.0
_NICENESS = 10  # of a training
_POLL_S = 0.1  # how soon a finished, cancelled or stopping training is noticed
_CHILD_DONE, _CHILD_SUPERSEDED = 0, 75


def binding_of(recipe: Recipe, project: ProjectRow | None) -> Binding:
    """The recipe bound to the labeling config that counts for a project."""
    stored = project.labeling_config if project else None
    xml = known_config(recipe, stored=stored, of_project=project is not None and project.key != LOCAL)
    return bind(recipe, parse_labeling_config(xml) if xml else None)


class Worker:
    """Claims runs and has them trained, one at a time, until told to stop.

    `command` starts the process that trains: it is given the run's id and attempt.
    """

    def __init__(self, recipe: Recipe, store: Store, queue: Queue, command: list[str]) -> None:
        self._recipe = recipe
        self._store = store
        self._queue = queue
        self._command = command
        self._stopping = threading.Event()
        queue.answer(self.work)

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
        if self._stopping.is_set():
            return
        run = self._store.runs.claim(id)
        if run is None:
            return
        at_hand = run_id.set(run.id)
        _log.info("run %s of project %s: attempt %d", run.id, run.project, run.attempt)
        try:
            self._see_through(run)
        except Superseded as error:
            _log.warning("%s; leaving it to whoever has it", error)
        finally:
            run_id.reset(at_hand)
            self._wake_due()

    def _see_through(self, run: RunRow) -> None:
        timeout_s = max((training.timeout_s for training in learners(self._recipe)), default=0) or 6 * 3600
        child = subprocess.Popen(
            [*self._command, "--run", f"{run.id}:{run.attempt}"],
            # The child ends when this pipe does: an orphan must not train on.
            stdin=subprocess.PIPE,
            start_new_session=True,
            env=_leaving_a_core(),
        )
        began = beaten = time.monotonic()
        try:
            while child.poll() is None:
                if self._stopping.wait(_POLL_S):
                    _end(child)
                    self._store.runs.hand_back(run.id, run.attempt)
                    _log.info("run %s: handed back to the ledger", run.id)
                    return
                now = time.monotonic()
                if now - began > timeout_s:
                    _end(child)
                    self._store.runs.finish(
                        run.id, run.attempt, "failed", f"took longer than {timeout_s:g} s (timeout)"
                    )
                    return
                row = self._store.runs.get(run.id)
                if row is None or row.state != "running" or row.attempt != run.attempt:
                    # The training process wrote the end, and is about to leave; or somebody else has the run.
                    _wait_briefly(child)
                    return
                if row.cancel:
                    _end(child)
                    self._store.runs.finish(run.id, run.attempt, "cancelled", "cancelled")
                    _log.info("run %s: cancelled", run.id)
                    return
                if now - beaten >= HEARTBEAT_S:
                    beaten = now
                    self._store.runs.beat(run.id, run.attempt)
        finally:
            _end(child)
            sweep_attempt(self._store, run)
        if child.returncode not in (_CHILD_DONE, _CHILD_SUPERSEDED):
            self._store.runs.lose(run.id, run.attempt, _death(child.returncode))
            _log.error("run %s: %s", run.id, _death(child.returncode))

    def _wake_due(self) -> None:
        for id in self._store.runs.due():
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
        self._wake_due()

    def _want_all(self) -> None:
        """Read everything once: what was annotated or deleted while nobody listened is only found that way."""
        for project in self._store.projects.all():
            self._store.projects.want_sync(project.key, whole=True)
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

    def __init__(self, huey: SqliteHuey, stopping: threading.Event) -> None:
        super().__init__(huey, workers=1, periodic=False, worker_type="thread", max_delay=1.0, shutdown_timeout=8)
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


def _leaving_a_core() -> dict[str, str]:
    """The environment of a training: its linear algebra leaves one core to requests, unless the user says otherwise.

    OpenBLAS has its threads wait by spinning, which held requests up for 6 ms, and gained a fit of text-classifier nothing.
    """
    return {"OPENBLAS_NUM_THREADS": str(max(1, (os.cpu_count() or 1) - 1)), **os.environ}


def _end(child: subprocess.Popen[bytes]) -> None:
    """Stop a training process and everything that it started."""
    if child.stdin is not None:
        child.stdin.close()
    if child.poll() is None:
        try:
            if os.name == "posix":
                os.killpg(child.pid, signal.SIGKILL)
            else:
                child.kill()
        except ProcessLookupError:
            pass
    child.wait()


def _wait_briefly(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(timeout=3)
    except subprocess.TimeoutExpired:
        _log.warning("the training process %d lingers; ending it", child.pid)


def _death(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; perhaps it ran out of memory" if name == "SIGKILL" else ""
        return f"the training process was killed by {name}{hint}"
    return f"the training process ended with exit code {code}"


def step_back() -> None:
    """Let others have the processor first: somebody waits for a prediction, nobody for a training."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)


def train_run(recipe_path: Path, store: Store, id: str, attempt: int) -> int:
    """Train one claimed run in this process and write its end to the ledger; the exit code for the worker."""
    at_hand = run_id.set(id)
    try:
        return _train_claimed(recipe_path, store, id, attempt)
    finally:
        run_id.reset(at_hand)


def _train_claimed(recipe_path: Path, store: Store, id: str, attempt: int) -> int:
    run = store.runs.get(id)
    if run is None or run.attempt != attempt or run.state != "running":
        _log.warning("run %s: attempt %d is not the one that runs", id, attempt)
        return _CHILD_SUPERSEDED
    try:
        _train_and_publish(load_recipe(recipe_path), store, run)
    except Superseded as error:
        _log.warning("%s; its result is dropped", error)
        return _CHILD_SUPERSEDED
    except Cancelled:
        store.runs.finish(id, attempt, "cancelled", "cancelled")
    except LsmlError as error:
        _log.warning("run %s failed: %s", id, error)
        store.runs.finish(id, attempt, "failed", str(error))
    except Exception as error:
        _log.exception("run %s failed", id)
        store.runs.finish(id, attempt, "failed", f"{type(error).__name__}: {error}; see the log of `lsml work`")
    return _CHILD_DONE


def _train_and_publish(recipe: Recipe, store: Store, run: RunRow) -> None:
    project = store.projects.get(run.project)
    if project is None:
        raise NotEnoughData(f"not enough data: project {run.project} has no annotations")
    store.check_room(recipe.server.limits.free_disk_bytes)
    report = _Reporter(store, run)
    report(0.0, "reading annotations")
    read_annotations(store, recipe, project)
    store.runs.cover(run.id, run.attempt)
    project = store.projects.get(run.project)
    binding = binding_of(recipe, project)
    with fetcher(recipe, project).hold() as fetch:
        made = train_and_publish(
            Inputs(
                store=store, project=run.project, binding=binding, models=binding.trainable,
                tasks=store.annotations.tasks(run.project), fetch=fetch,
                keep=max(training.keep for training in learners(recipe)), claim=run, progress=report,
            )
        )  # fmt: skip
    _log.info("run %s: made v%d of project %s; %s", run.id, made.number, run.project, made.card.verdict)


class _Reporter:
    """Progress into the ledger, once a second at most."""

    def __init__(self, store: Store, run: RunRow) -> None:
        self._store = store
        self._run = run
        self._reported = 0.0

    def __call__(self, share: float, message: str) -> None:
        now = time.monotonic()
        if now - self._reported >= 1.0:
            self._reported = now
            self._store.runs.report(self._run.id, self._run.attempt, share, message)
