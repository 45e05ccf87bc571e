"""The run ledger. A run, a training or a publishing, is a row. The queue only wakes a worker, and the ledger sends lost
wake-ups again.

    waiting -> running -> done | failed | cancelled

A worker claims a run by compare-and-set, which takes a lease and raises `attempt`. A heartbeat extends the lease.
Every later write names (id, attempt), so a worker whose claim has ended changes nothing. `sweep` returns runs without a
worker to *waiting*. At most one run of each kind of a project waits and one runs, by unique indexes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from lsml.errors import LsmlError
from lsml.store.database import Table, durable

LEASE_S = 10.0
HEARTBEAT_S = 3.0
ATTEMPTS = 3
WAKE_AGAIN_S = 5.0  # a due run whose wake-up had no effect for this long is woken again
Kind = Literal["training", "publishing"]
KINDS: Final[tuple[Kind, ...]] = ("training", "publishing")
STATES = ("waiting", "running", "done", "failed", "cancelled")


class Superseded(LsmlError):
    """The error that this worker's claim on the run is gone: its lease ended, and another may have the run."""


@dataclass(frozen=True)
class RunRow:
    """One run. `progress` is a share in [0, 1]; `version` the number that a training added, if any."""

    id: str
    project: str
    kind: Kind
    state: str
    cause: str
    attempt: int
    created_at: float
    due_at: float
    started_at: float | None
    finished_at: float | None
    cancel: bool
    progress: float
    message: str
    version: int | None


_COLUMNS = (
    "id, project, kind, state, cause, attempt, created_at, due_at, started_at, finished_at, cancel, progress, message, "
    "version"
)


class Runs(Table):
    """The runs of every project."""

    # Leases as `sweep` first saw them: (id, attempt, lease_until) -> time.monotonic().
    _leases: Mapping[tuple[object, ...], float] = MappingProxyType({})

    def get(self, id: str) -> RunRow | None:
        """Return a run, or None."""
        row = self._row(f"SELECT {_COLUMNS} FROM run WHERE id = ?", id)  # noqa: S608 (columns are ours)
        return RunRow(*row) if row else None

    def counts(self, kind: Kind = "training") -> dict[str, int]:
        """Return the number of runs of a kind, by state."""
        return dict(self._rows("SELECT state, count(*) FROM run WHERE kind = ? GROUP BY state", kind))

    def of_project(self, project: str, limit: int = 20, *, kind: Kind = "training") -> list[RunRow]:
        """Return a project's runs of a kind, newest first."""
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM run WHERE project = ? AND kind = ? ORDER BY created_at DESC LIMIT ?",  # noqa: S608 (ours)
            project, kind, limit,
        )  # fmt: skip
        return [RunRow(*row) for row in rows]

    def last(self, project: str, kind: Kind) -> RunRow | None:
        """Return the most interesting run of a kind: the running one, else the last that began, else the waiting one; or
        None.
        """
        row = self._row(
            f"SELECT {_COLUMNS} FROM run WHERE project = ? AND kind = ?"  # noqa: S608 (columns are ours)
            " ORDER BY state = 'running' DESC, started_at DESC NULLS LAST, created_at DESC LIMIT 1",
            project, kind,
        )  # fmt: skip
        return RunRow(*row) if row else None

    @durable
    def request(
        self, project: str, cause: str, *, kind: Kind = "training", quiet_s: float = 0.0,
        earliest: Callable[[float], float] = lambda made: made,
    ) -> RunRow:  # fmt: skip
        """Return the project's waiting run of a kind, new or existing, with a new due time.

        With `quiet_s` it is due when no request came for that long, but at the latest ten times that after it was made,
        and not before `earliest` of the time it was made; a due run stays due. Without, it is due now. A waiting
        publishing also clears the project's request for one.
        """
        now = time.time()
        if kind == "publishing":
            self._run("UPDATE project SET publish_wanted = 0 WHERE key = ?", project)
        self._run(
            "INSERT INTO run (id, project, kind, state, cause, created_at, due_at) VALUES (?, ?, ?, 'waiting', ?, ?, ?)"
            " ON CONFLICT (project, kind) WHERE state = 'waiting' DO NOTHING",
            uuid.uuid4().hex, project, kind, cause, now, max(now + quiet_s, earliest(now)) if quiet_s > 0 else now,
        )  # fmt: skip
        if quiet_s > 0:
            waiting = self._waiting(project, kind)
            due_at = max(min(now + quiet_s, waiting.created_at + 10 * quiet_s), earliest(waiting.created_at))
            self._run("UPDATE run SET due_at = ? WHERE id = ? AND due_at > ?", due_at, waiting.id, now)
        else:
            self._run(
                "UPDATE run SET due_at = ?, cause = ? WHERE project = ? AND kind = ? AND state = 'waiting' AND due_at > ?",
                now, cause, project, kind, now,
            )  # fmt: skip
        return self._waiting(project, kind)

    def _waiting(self, project: str, kind: Kind) -> RunRow:
        row = self._row(
            f"SELECT {_COLUMNS} FROM run WHERE project = ? AND kind = ? AND state = 'waiting'",  # noqa: S608 (columns are ours)
            project, kind,
        )  # fmt: skip
        assert row is not None
        return RunRow(*row)

    @durable
    def due(self, kind: Kind) -> list[str]:
        """Return ids of the runs of a kind to wake now: due, their project idle, and not woken a moment ago. Note that
        they are woken.

        A run that was made later than now is due: the clock was set back, so its due time means nothing.
        """
        now = time.time()
        rows = self._rows(
            "SELECT id FROM run WHERE kind = ? AND state = 'waiting' AND (due_at <= ? OR created_at > ?)"
            " AND (woken_at IS NULL OR woken_at < ? OR woken_at > ?)"
            " AND project NOT IN (SELECT project FROM run WHERE kind = ? AND state = 'running') ORDER BY due_at",
            kind, now, now, now - WAKE_AGAIN_S, now + WAKE_AGAIN_S, kind,
        )  # fmt: skip
        for (id,) in rows:
            self._run("UPDATE run SET woken_at = ? WHERE id = ?", now, id)
        return [row[0] for row in rows]

    @durable
    def unwake(self, id: str) -> None:
        """Note that a run's wake-up had no effect, so that it may be woken again at once."""
        self._run("UPDATE run SET woken_at = NULL WHERE id = ? AND state = 'waiting'", id)

    @durable
    def claim(self, id: str) -> RunRow | None:
        """Claim a due run, and return it: it runs from now, with a lease.

        None where another worker has it, it is not due, or another run of its kind and project runs. Annotations that
        changed until now count as covered by a training; later ones count for the next run.
        """
        now = time.time()
        claimed = self._run(
            "UPDATE run SET state = 'running', attempt = attempt + 1, started_at = ?, lease_until = ?, progress = 0,"
            " message = '' WHERE id = ? AND state = 'waiting' AND (due_at <= ? OR created_at > ?)"
            " AND project NOT IN (SELECT other.project FROM run other WHERE other.kind = run.kind AND other.state = 'running')",
            now, now + LEASE_S, id, now, now,
        )  # fmt: skip
        if not claimed:
            return None
        run = self.get(id)
        assert run is not None
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
            time.time() + LEASE_S, id, attempt,
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
            state, message[:2000], version, time.time(), state, id, attempt,
        ):  # fmt: skip
            raise Superseded(f"run {id}: attempt {attempt} lost its lease")

    @durable
    def hand_back(self, id: str, attempt: int) -> None:
        """Return a stopping worker's run to the ledger; it costs no attempt."""
        row = self._row("SELECT 1 FROM run WHERE id = ? AND attempt = ? AND state = 'running'", id, attempt)
        if row is not None:
            self._return_to_waiting(id, "handed back by a worker that stopped")

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
        now, tick = time.time(), time.monotonic()
        rows = self._rows("SELECT id, attempt, lease_until FROM run WHERE state = 'running'")
        self._leases = {row: self._leases.get(row, tick) for row in rows}
        lost = [row for row in rows if row[2] < now or tick - self._leases[row] > LEASE_S]
        for id, attempt, _ in lost:
            self.lose(id, attempt, "worker lost")
        return [row[0] for row in lost]

    @durable
    def cancel(self, id: str) -> RunRow | None:
        """Cancel a waiting run at once; ask a running one to stop. Return the run after that, or None."""
        self._run(
            "UPDATE run SET state = 'cancelled', cancel = 1, finished_at = ?, message = 'cancelled before it began'"
            " WHERE id = ? AND state = 'waiting'",
            time.time(), id,
        )  # fmt: skip
        self._run("UPDATE run SET cancel = 1 WHERE id = ? AND state = 'running'", id)
        return self.get(id)

    @durable
    def cancel_project(self, project: str) -> None:
        """Cancel every waiting and running run of a project."""
        for (id,) in self._rows("SELECT id FROM run WHERE project = ? AND state IN ('waiting', 'running')", project):
            self.cancel(id)

    def _return_to_waiting(self, id: str, why: str) -> None:
        """Return a run to waiting, unless a person cancelled it. It replaces a younger waiting run of its kind and project."""
        row = self._row("SELECT project, kind, cancel FROM run WHERE id = ?", id)
        assert row is not None
        project, kind, cancelled = row
        if cancelled:
            self._run(
                "UPDATE run SET state = 'cancelled', finished_at = ?, lease_until = NULL, message = 'cancelled' WHERE id = ?",
                time.time(), id,
            )  # fmt: skip
            return
        self._run(
            "UPDATE run SET state = 'cancelled', finished_at = ?, message = ? WHERE project = ? AND kind = ?"
            " AND state = 'waiting'",
            time.time(), f"covered by run {id}", project, kind,
        )  # fmt: skip
        self._run(
            "UPDATE run SET state = 'waiting', due_at = ?, woken_at = NULL, lease_until = NULL, message = ? WHERE id = ?",
            time.time(), why, id,
        )  # fmt: skip
