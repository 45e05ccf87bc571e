"""The claims of workers on runs.

A worker claims a run by compare-and-set, which takes a lease and raises `attempt`. A heartbeat extends the lease.
Every later write names (id, attempt), so a worker whose claim has ended changes nothing. `sweep` returns runs without a
worker to *waiting*.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType

from lsml.errors import LsmlError
from lsml.store.database import durable
from lsml.store.runs import COLUMNS, Ledger, RunRow

LEASE_S = 10.0
HEARTBEAT_S = 3.0
ATTEMPTS = 3


class Superseded(LsmlError):
    """The error that this worker's claim on the run is gone: its lease ended, and another may have the run."""


class Claims(Ledger):
    """The claims on the runs of every project."""

    # Leases as `sweep` first saw them: (id, attempt, lease_until) -> time.monotonic().
    _leases: Mapping[tuple[object, ...], float] = MappingProxyType({})

    @durable
    def claim(self, id: str) -> RunRow | None:
        """Claim a due run, and return it: it runs from now, with a lease.

        None where another worker has it, it is not due, or another run of its kind and project runs. Annotations that
        changed until now count as covered by a training; later ones count for the next run.
        """
        now = self._database.now()
        claimed = self._run(
            "UPDATE run SET state = 'running', attempt = attempt + 1, started_at = ?, lease_until = ?, progress = 0,"
            " message = '' WHERE id = ? AND state = 'waiting' AND (due_at <= ? OR created_at > ?)"
            " AND project NOT IN (SELECT other.project FROM run other WHERE other.kind = run.kind AND other.state = 'running')",
            now, now + LEASE_S, id, now, now,
        )  # fmt: skip
        if not claimed:
            return None
        row = self._row(f"SELECT {COLUMNS} FROM run WHERE id = ?", id)  # noqa: S608 (columns are ours)
        assert row is not None
        run = RunRow(*row)
        self._count_change(run.kind, "waiting", "running")
        if run.kind == "training":
            self._run("UPDATE project SET covered = change WHERE key = ?", run.project)
        return run

    @durable
    def cover(self, id: str, attempt: int) -> None:
        """Count every change until now as covered, as the snapshot begins."""
        self._run(
            "UPDATE project SET covered = change WHERE key = (SELECT project FROM run WHERE id = ? AND attempt = ?"
            " AND state = 'running')",
            id, attempt,
        )  # fmt: skip

    @durable
    def beat(self, id: str, attempt: int) -> None:
        """Extend the lease. Raises Superseded where the claim is gone."""
        if not self._run(
            "UPDATE run SET lease_until = ? WHERE id = ? AND attempt = ? AND state = 'running'",
            self._database.now() + LEASE_S, id, attempt,
        ):  # fmt: skip
            raise Superseded(f"run {id}: attempt {attempt} lost its lease")

    @durable
    def report(self, id: str, attempt: int, progress: float, message: str) -> None:
        """Store a run's progress. A lost claim is no error here, as `finish` checks it."""
        self._run(
            "UPDATE run SET progress = ?, message = ? WHERE id = ? AND attempt = ? AND state = 'running'",
            progress, message[:500], id, attempt,
        )  # fmt: skip

    @durable
    def finish(self, id: str, attempt: int, state: str, message: str, version: int | None = None) -> None:
        """End a run, if (id, attempt) still has the claim. Raises Superseded where it is gone: then nothing is written."""
        assert state in ("done", "failed", "cancelled"), state
        if not self._run(
            "UPDATE run SET state = ?, message = ?, version = ?, finished_at = ?, lease_until = NULL,"
            " progress = CASE WHEN ? = 'done' THEN 1 ELSE progress END WHERE id = ? AND attempt = ? AND state = 'running'",
            state, message[:2000], version, self._database.now(), state, id, attempt,
        ):  # fmt: skip
            raise Superseded(f"run {id}: attempt {attempt} lost its lease")
        row = self._row("SELECT kind FROM run WHERE id = ?", id)
        assert row is not None
        self._count_change(row[0], "running", state)

    @durable
    def hand_back(self, id: str, attempt: int, why: str = "returned by a worker that stopped") -> None:
        """Return a run to the ledger that its worker cannot do; it costs no attempt."""
        row = self._row("SELECT 1 FROM run WHERE id = ? AND attempt = ? AND state = 'running'", id, attempt)
        if row is not None:
            self._return_to_waiting(id, why)

    @durable
    def lose(self, id: str, attempt: int, why: str) -> None:
        """Return a run whose process died to waiting, or fail it after its last attempt.

        A publishing that made progress continues where it was, so only deaths in a row without progress count.
        """
        if not self._run(
            "UPDATE run SET losses = CASE WHEN kind = 'publishing' AND progress > 0 THEN 0 ELSE losses + 1 END"
            " WHERE id = ? AND attempt = ? AND state = 'running'",
            id, attempt,
        ):  # fmt: skip
            return
        row = self._row("SELECT losses FROM run WHERE id = ?", id)
        assert row is not None
        if row[0] >= ATTEMPTS:
            self.finish(id, attempt, "failed", f"{why}, {row[0]} times; see the log of `lsml work`")
        else:
            self._return_to_waiting(id, why)

    @durable
    def sweep(self) -> list[str]:
        """Return runs whose lease ended to waiting, or fail them after their last attempt. Return their ids.

        A lease that this process saw unchanged for its whole length has ended, too: the clock was set back meanwhile.
        """
        now, tick = self._database.now(), time.monotonic()
        rows = self._rows("SELECT id, attempt, lease_until FROM run WHERE state = 'running'")
        self._leases = {row: self._leases.get(row, tick) for row in rows}
        lost = [row for row in rows if row[2] < now or tick - self._leases[row] > LEASE_S]
        for id, attempt, _ in lost:
            self.lose(id, attempt, "worker lost")
        return [row[0] for row in lost]

    def _return_to_waiting(self, id: str, why: str) -> None:
        """Return a run to waiting, unless a person cancelled it. It replaces a younger waiting run of its kind and project."""
        row = self._row("SELECT project, kind, cancel FROM run WHERE id = ?", id)
        assert row is not None
        project, kind, cancelled = row
        if cancelled:
            self._run(
                "UPDATE run SET state = 'cancelled', finished_at = ?, lease_until = NULL, message = 'cancelled' WHERE id = ?",
                self._database.now(), id,
            )  # fmt: skip
            self._count_change(kind, "running", "cancelled")
            return
        if self._run(
            "UPDATE run SET state = 'cancelled', finished_at = ?, message = ? WHERE project = ? AND kind = ?"
            " AND state = 'waiting'",
            self._database.now(), f"covered by run {id}", project, kind,
        ):  # fmt: skip
            self._count_change(kind, "waiting", "cancelled")
        self._run(
            "UPDATE run SET state = 'waiting', due_at = ?, woken_at = NULL, lease_until = NULL, message = ? WHERE id = ?",
            self._database.now(), why, id,
        )  # fmt: skip
        self._count_change(kind, "running", "waiting")
