"""The work of a worker beside its runs: it sees to lost runs and lost wake-ups, and reads earlier annotations."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lsml.errors import LsmlError, Unreachable
from lsml.learning.due import request_if_due
from lsml.store import Store
from lsml.store.claims import LEASE_S
from lsml.studio.connection import read_annotations, studio_of
from lsml.versions import sweep_folders
from lsml.worker.publishing import want_publishing

if TYPE_CHECKING:
    from lsml.worker.consumer import Worker

_log = logging.getLogger(__name__)
_SWEEP_S: Final = 1.0


class Sweeper:
    """Two threads beside a worker, until it stops. Errors are logged, and what failed is tried again."""

    def __init__(self, worker: Worker, store: Store, stopping: threading.Event) -> None:
        self._worker = worker
        self._store = store
        self._stopping = stopping
        self._patient_until = 0.0

    def start(self) -> None:
        """Start the threads. Reading has one of its own, as a large project takes minutes."""
        for name, steps in (
            ("sweeper", (self._sweep_folders, self._sweep)),
            ("reader", (self._want_all, self._read_wanted)),
        ):
            threading.Thread(target=self._keep, args=steps, name=name, daemon=True).start()

    def _keep(self, first: Callable[[], None], each: Callable[[], None]) -> None:
        """Do `first`, then `each` every second, until stopped."""
        self._worker.say_whose()
        now = first
        while not self._stopping.is_set():
            try:
                now()
                now = each
            except (LsmlError, OSError) as error:  # the disk or the bucket refuses
                _log.warning("%s failed: %s; trying again", now.__name__.strip("_"), error)
            except Exception:
                _log.exception("%s failed; trying again", now.__name__.strip("_"))
            self._stopping.wait(_SWEEP_S)

    def _sweep_folders(self) -> None:
        sweep_folders(self._store)

    def _sweep(self) -> None:
        try:
            self._store.workers.beat(*self._worker.queues)
            # Of all workers, one at a time looks at every project and every lease.
            sweeps = self._store.workers.takes_turn("sweep", 0.9 * _SWEEP_S)
        except Unreachable:
            self._patient_until = time.monotonic() + LEASE_S
            raise
        if sweeps:
            # Nobody could extend a lease while the database was away.
            for id in self._store.claims.sweep() if time.monotonic() > self._patient_until else ():
                _log.warning("run %s lost its worker", id)
            want_publishing(self._worker.recipe, self._store)
        self._worker.wake_due()

    def _want_all(self) -> None:
        """Ask for a reading of every project, which finds annotations that changed while lsml was not running."""
        projects, recipe = self._store.projects, self._worker.recipe
        # With thousands of projects, one transaction each would take a minute.
        projects.want_syncs_from_start(
            row.key for row in projects.all() if row.studio_id is not None and studio_of(recipe, row) is not None
        )
        projects.want_publishings()  # there may be new tasks
        # A server may have died between storing an annotation and requesting the run that it made due.
        for project in projects.changed():
            request_if_due(self._store, recipe, project.key)

    def _read_wanted(self) -> None:
        """Read earlier annotations, for projects that ask for it."""
        projects = self._store.projects
        for key in [row.key for row in projects.to_read()]:
            if self._stopping.is_set():
                return
            # Of several workers one reads it, so that a fleet that starts reads each project once. Another may have asked to
            # read it from the start, while the ones before it were read.
            if projects.begin_sync(key) and (project := projects.get(key)) is not None:
                read_annotations(self._store, self._worker.recipe, project)
                request_if_due(self._store, self._worker.recipe, key)
