"""The run ledger. A run, a training or a publishing, is a row. The queue only wakes a worker, and the ledger sends lost
wake-ups again.

    waiting -> running -> done | failed | cancelled

`lsml.store.claims` has how a worker takes one. At most one run of each kind of a project waits and one runs, by unique
indexes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from lsml.store.database import Table, durable

WAKE_AGAIN_S = 5.0  # a due run whose wake-up had no effect for this long is woken again
BATCH: Final = 500  # old runs that are deleted at once, so that other writers wait only a moment
WAKES = 10  # runs woken at a time: a wake-up makes a worker take the run whose turn it is
Kind = Literal["training", "publishing", "review"]
KINDS: Final[tuple[Kind, ...]] = ("training", "publishing", "review")
# Of runs that ended at a time or earlier, all but the last of each kind of a project that began.
_ENDED: Final = (
    "state IN ('done', 'failed', 'cancelled') AND coalesce(finished_at, created_at) <= ?"
    " AND (started_at IS NULL OR EXISTS (SELECT 1 FROM run later"
    " WHERE later.project = run.project AND later.kind = run.kind AND later.started_at > run.started_at))"
)
STATES = ("waiting", "running", "done", "failed", "cancelled")


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

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds that a running run still needs at its pace so far; None if unknown. `now`: since the epoch."""
        if self.state != "running" or self.started_at is None or self.progress <= 0:
            return None
        return max(0.0, now - self.started_at) * (1 - self.progress) / self.progress


COLUMNS = (
    "id, project, kind, state, cause, attempt, created_at, due_at, started_at, finished_at, cancel, progress, message, "
    "version"
)

_DUE: Final = (
    "kind = ? AND state = 'waiting' AND (due_at <= ? OR created_at > ?)"
    " AND project NOT IN (SELECT project FROM run WHERE kind = ? AND state = 'running')"
)


class Ledger(Table):
    """The part of the store that changes the states of runs, and with them their counts."""

    def _count_change(self, kind: str, was: str | None, state: str | None) -> None:
        """Count a run that changed its state; `was` is None for a new run, `state` for a deleted one."""
        for counted, more in ((was, -1), (state, 1)):
            if counted is not None:
                self._later(
                    "INSERT INTO run_count VALUES (?, ?, ?) ON CONFLICT (kind, state) DO UPDATE"
                    " SET number = run_count.number + excluded.number",
                    kind, counted, more,
                )  # fmt: skip


class Runs(Ledger):
    """The runs of every project."""

    def get(self, id: str) -> RunRow | None:
        """Return a run, or None."""
        row = self._row(f"SELECT {COLUMNS} FROM run WHERE id = ?", id)  # noqa: S608 (columns are ours)
        return RunRow(*row) if row else None

    def counts(self, kind: Kind = "training") -> dict[str, int]:
        """Return the number of runs of a kind, by state."""
        return dict(self._rows("SELECT state, number FROM run_count WHERE kind = ? AND number > 0", kind))

    def overdue_s(self) -> dict[str, float]:
        """Return by kind for how many seconds the first of the waiting runs has been due; 0 where none is."""
        now = self._database.now()
        rows = self._rows(
            "SELECT kind, min(due_at) FROM run WHERE state = 'waiting' AND due_at <= ? GROUP BY kind", now
        )
        return {**dict.fromkeys(KINDS, 0.0), **{kind: now - due_at for kind, due_at in rows}}

    def open_counts(self) -> dict[str, int]:
        """Return by kind the number of runs that workers are needed for now: those that are due, and those being done."""
        rows = self._rows(
            "SELECT kind, count(*) FROM run WHERE state = 'running' OR state = 'waiting' AND due_at <= ? GROUP BY kind",
            self._database.now(),
        )
        return {**dict.fromkeys(KINDS, 0), **dict(rows)}

    def of_project(self, project: str, limit: int = 20, *, kind: Kind = "training") -> list[RunRow]:
        """Return a project's runs of a kind, newest first."""
        rows = self._rows(
            f"SELECT {COLUMNS} FROM run WHERE project = ? AND kind = ? ORDER BY created_at DESC LIMIT ?",  # noqa: S608 (ours)
            project, kind, limit,
        )  # fmt: skip
        return [RunRow(*row) for row in rows]

    def last(self, project: str, kind: Kind) -> RunRow | None:
        """Return the most interesting run of a kind: the running one, else the last that began, else the waiting one; or
        None.
        """
        for which in ("AND state = 'running'", "ORDER BY started_at DESC NULLS LAST, created_at DESC LIMIT 1"):
            row = self._row(f"SELECT {COLUMNS} FROM run WHERE project = ? AND kind = ? {which}", project, kind)  # noqa: S608 (ours)
            if row is not None:
                return RunRow(*row)
        return None

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
        now = self._database.now()
        if kind == "publishing":
            self._run("UPDATE project SET publish_wanted = 0 WHERE key = ?", project)
        if self._run(
            "INSERT INTO run (id, project, kind, state, cause, created_at, due_at) VALUES (?, ?, ?, 'waiting', ?, ?, ?)"
            " ON CONFLICT (project, kind) WHERE state = 'waiting' DO NOTHING",
            uuid.uuid4().hex, project, kind, cause, now, max(now + quiet_s, earliest(now)) if quiet_s > 0 else now,
        ):  # fmt: skip
            self._count_change(kind, None, "waiting")
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
            f"SELECT {COLUMNS} FROM run WHERE project = ? AND kind = ? AND state = 'waiting'",  # noqa: S608 (columns are ours)
            project, kind,
        )  # fmt: skip
        assert row is not None
        return RunRow(*row)

    def first_due(self, kind: Kind) -> str | None:
        """Return the id of the run of a kind whose turn it is: that of an idle project which is due the longest; or None.

        A project has one waiting run, so one with many annotations gets no more turns than one with few.
        """
        now = self._database.now()
        row = self._row(f"SELECT id FROM run WHERE {_DUE} ORDER BY due_at, created_at LIMIT 1", kind, now, now, kind)  # noqa: S608 (ours)
        return row[0] if row else None

    @durable
    def due(self, kind: Kind) -> list[str]:
        """Return ids of runs of a kind to wake now, at most WAKES: due, their project idle, and not woken a moment ago. Note
        that they are woken.

        A run that was made later than now is due: the clock was set back, so its due time means nothing.
        """
        now = self._database.now()
        rows = self._rows(
            f"SELECT id FROM run WHERE {_DUE} AND (woken_at IS NULL OR woken_at < ? OR woken_at > ?)"  # noqa: S608 (ours)
            " ORDER BY due_at, created_at LIMIT ?",
            kind, now, now, kind, now - WAKE_AGAIN_S, now + WAKE_AGAIN_S, WAKES,
        )  # fmt: skip
        for (id,) in rows:
            self._run("UPDATE run SET woken_at = ? WHERE id = ?", now, id)
        return [row[0] for row in rows]

    @durable
    def unwake(self, id: str) -> None:
        """Note that a run's wake-up had no effect, so that it may be woken again at once."""
        self._run("UPDATE run SET woken_at = NULL WHERE id = ? AND state = 'waiting'", id)

    @durable
    def cancel(self, id: str) -> RunRow | None:
        """Cancel a waiting run at once; ask a running one to stop. Return the run after that, or None."""
        waited = self._run(
            "UPDATE run SET state = 'cancelled', cancel = 1, finished_at = ?, message = 'cancelled before it began'"
            " WHERE id = ? AND state = 'waiting'",
            self._database.now(), id,
        )  # fmt: skip
        self._run("UPDATE run SET cancel = 1 WHERE id = ? AND state = 'running'", id)
        run = self.get(id)
        if waited and run is not None:
            self._count_change(run.kind, "waiting", "cancelled")
        return run

    @durable
    def delete_ended(self, age_s: float) -> list[str]:
        """Delete runs that ended `age_s` seconds ago or earlier, at most BATCH. Return their ids.

        The last run of each kind of a project that began stays, as `last` returns it.
        """
        before = self._database.now() - age_s
        rows = self._rows(f"SELECT id, kind, state FROM run WHERE {_ENDED} LIMIT ?", before, BATCH)  # noqa: S608 (ours)
        for id, kind, state in rows:
            self._run("DELETE FROM run WHERE id = ?", id)
            self._count_change(kind, state, None)
        return [row[0] for row in rows]

    def count_ended(self, age_s: float) -> int:
        """Return the number of runs that `delete_ended` would delete."""
        ((count,),) = self._rows(f"SELECT count(*) FROM run WHERE {_ENDED}", self._database.now() - age_s)  # noqa: S608 (ours)
        return int(count)

    @durable
    def cancel_project(self, project: str) -> None:
        """Cancel every waiting and running run of a project."""
        for (id,) in self._rows("SELECT id FROM run WHERE project = ? AND state IN ('waiting', 'running')", project):
            self.cancel(id)
