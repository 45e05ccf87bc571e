"""The change of one annotation (new, changed or deleted), and the counters of its project."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from lsml.labeling.tasks import ReadAnnotation, SeenPrediction, number_of, time_key
from lsml.store.beginnings import Beginnings
from lsml.store.database import Database, Table
from lsml.store.submissions import SUBMITTED, Submissions

# How an annotation was deleted. By an event of Label Studio: a tombstone that nothing revives. By its absence in a reading,
# which a token that sees only part of a project causes, too: it is revived when it is read again.
TOLD, INFERRED = 1, 2


@dataclass(frozen=True)
class AnnotationSeen:
    """One annotation from an event or the API. `task_data` is None where the event has no task."""

    id: str
    task_id: str
    result: list[object]
    updated_at: str
    cancelled: bool = False
    ground_truth: bool = False
    accepted: bool = False
    untouched: bool = False
    unique_id: str | None = None
    annotator: str = ""
    lead_time_s: float | None = None
    seen: SeenPrediction | None = None
    task_data: Mapping[str, object] | None = None
    task_updated_at: str = ""

    @classmethod
    def of(cls, read: ReadAnnotation, task_id: str, data: Mapping[str, object] | None, task_updated_at: str) -> Self:
        """Return an annotation that has an id, with its task."""
        assert read.id is not None
        return cls(
            id=read.id, task_id=task_id, result=read.result, updated_at=read.updated_at, cancelled=read.skipped,
            ground_truth=read.ground_truth, accepted=read.accepted, untouched=read.untouched,
            unique_id=read.unique_id, annotator=number_of(read.annotator), lead_time_s=read.lead_time_s, seen=read.seen,
            task_data=data, task_updated_at=task_updated_at,
        )  # fmt: skip


class Changes(Table):
    """The changes of single annotations. The caller holds the transaction."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._submissions = Submissions(database)
        self._beginnings = Beginnings(database)

    def store_task(self, project: str, annotation: AnnotationSeen) -> None:
        """Store the task of an annotation, where it came with one that is newer than the known one."""
        if annotation.task_data is None:
            return
        data = json.dumps(annotation.task_data, ensure_ascii=True, separators=(",", ":"))
        stamp = time_key(annotation.task_updated_at)
        self._later(
            "INSERT INTO task (project, id, data, updated_at) VALUES (?, ?, ?, ?) ON CONFLICT (project, id) DO UPDATE"
            " SET data = excluded.data, updated_at = excluded.updated_at WHERE task.deleted = 0"
            " AND (task.data IS NULL OR excluded.updated_at > task.updated_at"
            " OR (excluded.updated_at = task.updated_at AND excluded.data > task.data))",
            project, annotation.task_id, data, stamp,
        )  # fmt: skip

    def store(self, project: str, annotation: AnnotationSeen) -> int:
        """Store an annotation that is newer than the known one. Return 1 where that changed something, else 0."""
        result = json.dumps(annotation.result, ensure_ascii=True, separators=(",", ":"))
        stamp = time_key(annotation.updated_at)
        accepted = int(annotation.accepted)
        if annotation.untouched and self._submissions.is_submitted(
            project, annotation.task_id, annotation.id, annotation.unique_id
        ):
            accepted = SUBMITTED
        state = (result, int(annotation.cancelled), int(annotation.ground_truth), accepted)
        row = self._row(
            "SELECT p.change, t.deleted, a.result, a.cancelled, a.ground_truth, a.accepted, a.updated_at, a.deleted"
            " FROM project p LEFT JOIN task t ON t.project = p.key AND t.id = ?"
            " LEFT JOIN annotation a ON a.project = p.key AND a.id = ? WHERE p.key = ?",
            annotation.task_id, annotation.id, project,
        )  # fmt: skip
        assert row is not None, "a project is touched before its annotations are stored"
        change, deleted, *known = row
        was_usable = was_accepted = False
        if known[0] is not None:
            *before, known_stamp, deleted_before = known
            if deleted_before == TOLD or stamp < known_stamp:
                return 0
            if tuple(before) == state and not deleted_before:
                self._later(
                    "UPDATE annotation SET updated_at = ?, annotator = coalesce(nullif(?, ''), annotator)"
                    " WHERE project = ? AND id = ?",
                    stamp, annotation.annotator, project, annotation.id,
                )  # fmt: skip
                return 0
            if stamp == known_stamp and not deleted_before and _rank(*state) < _rank(*before):
                return 0
            was_usable = not before[1] and not deleted_before
            was_accepted = was_usable and bool(before[3])
        usable = not annotation.cancelled and not deleted
        self._count(project, int(usable) - int(was_usable), int(usable and accepted > 0) - int(was_accepted))
        self._later(
            "INSERT INTO annotation (project, id, task, result, updated_at, cancelled, ground_truth, accepted,"
            " deleted, change, annotator) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project, id) DO UPDATE SET"
            " task = excluded.task, result = excluded.result, updated_at = excluded.updated_at,"
            " cancelled = excluded.cancelled, ground_truth = excluded.ground_truth, accepted = excluded.accepted,"
            " deleted = excluded.deleted, change = excluded.change, annotator = excluded.annotator",
            project, annotation.id, annotation.task_id, result, stamp, *state[1:], int(bool(deleted)),
            change + 1, annotation.annotator,
        )  # fmt: skip
        return 0 if deleted else 1

    def bury(self, project: str, id: str, how: int = TOLD) -> int:
        """Leave a tombstone for an annotation, known or not. Return 1 where that changed something, else 0."""
        known = self._row(
            "SELECT p.change, a.cancelled, a.deleted, a.accepted FROM annotation a JOIN project p ON p.key = a.project"
            " WHERE a.project = ? AND a.id = ?",
            project, id,
        )  # fmt: skip
        if known is not None and known[2]:
            if how < known[2]:
                self._later("UPDATE annotation SET deleted = ? WHERE project = ? AND id = ?", how, project, id)
            return 0
        self._beginnings.forget(project, id)
        change = 0
        if known is not None:
            change = known[0] + 1
            self._count(project, -int(not known[1]), -int(not known[1] and known[3] > 0))
        self._later(
            "INSERT INTO annotation (project, id, deleted, change) VALUES (?, ?, ?, ?) ON CONFLICT (project, id)"
            " DO UPDATE SET deleted = excluded.deleted, result = '[]', change = excluded.change",
            project, id, how, change,
        )  # fmt: skip
        return 0 if known is None else 1

    def _count(self, project: str, usable_by: int, accepted_by: int) -> None:
        """Count a new change, which changes the project's counters by so much."""
        self._later(
            "UPDATE project SET change = change + 1, usable = usable + ?, accepted = accepted + ? WHERE key = ?",
            usable_by, accepted_by, project,
        )  # fmt: skip


def _rank(*state: object) -> str:
    return hashlib.sha256("|".join(map(str, state)).encode()).hexdigest()
