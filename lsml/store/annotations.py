"""Annotations from Label Studio. Replays and reordering change nothing: the last state of each annotation counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from lsml.labeling import AnnotatedTask, Annotation
from lsml.labeling.tasks import ReadAnnotation, Shown, time_key
from lsml.recipe import LearnFrom
from lsml.store.beginnings import Beginnings
from lsml.store.database import Database, Table, durable
from lsml.store.people import ANNOTATOR, PERSON
from lsml.store.submissions import SUBMITTED, Submissions

# How an annotation was deleted. By an event of Label Studio: a tombstone that nothing revives. By its absence in a reading,
# which a token that sees only part of a project causes, too: it is revived when it is seen again.
_TOLD, _INFERRED = 1, 2
_EVERYBODY = LearnFrom()


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
    shown: Shown | None = None
    task_data: Mapping[str, object] | None = None
    task_updated_at: str = ""

    @classmethod
    def of(cls, read: ReadAnnotation, task_id: str, data: Mapping[str, object] | None, task_updated_at: str) -> Self:
        """Return an annotation that has an id, with its task."""
        assert read.id is not None
        return cls(
            id=read.id, task_id=task_id, result=read.result, updated_at=read.updated_at, cancelled=read.skipped,
            ground_truth=read.ground_truth, accepted=read.accepted, untouched=read.untouched,
            unique_id=read.unique_id, annotator=read.annotator, lead_time_s=read.lead_time_s, shown=read.shown,
            task_data=data, task_updated_at=task_updated_at,
        )  # fmt: skip


class Annotations(Table):
    """The annotations of every project."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._submissions = Submissions(database)
        self._beginnings = Beginnings(database)

    @durable
    def apply(self, project: str, seen: Iterable[AnnotationSeen]) -> int:
        """Store states that are newer than the known ones. Return the number of annotations that changed.

        Newer is a later `updated_at`. Of two states with the same time, the same one wins in any order.
        """
        changes = 0
        for annotation in seen:
            self._store_task(project, annotation)
            changes += self._store(project, annotation)
            stamp = time_key(annotation.updated_at)
            self._beginnings.keep(project, annotation.id, stamp, annotation.lead_time_s, annotation.shown)
        return changes

    @durable
    def delete(self, project: str, ids: Iterable[str]) -> int:
        """Leave a tombstone for each id, known or not. Return the number of annotations that changed."""
        return sum(self._bury(project, id) for id in ids)

    @durable
    def delete_tasks(self, project: str, ids: Iterable[str]) -> int:
        """Leave tombstones for tasks and all their annotations. Return the number of annotations that changed."""
        changes = 0
        for task_id in ids:
            self._run(
                "INSERT INTO task (project, id, deleted) VALUES (?, ?, 1)"
                " ON CONFLICT (project, id) DO UPDATE SET deleted = 1, data = NULL",
                project, task_id,
            )  # fmt: skip
            rows = self._rows(
                "SELECT id FROM annotation WHERE project = ? AND task = ? AND NOT deleted", project, task_id
            )
            changes += sum(self._bury(project, row[0]) for row in rows)
        return changes

    @durable
    def replace_task(self, project: str, task_id: str, seen: Iterable[AnnotationSeen]) -> int:
        """Make a task's annotations the ones seen: other known ones that are older were deleted without an event.

        Older means older than the task as read, so an annotation that a webhook brought during the reading stays.
        """
        kept = list(seen)
        changes = self.apply(project, kept)
        read_at = max((time_key(annotation.task_updated_at) for annotation in kept), default="")
        known = self._rows(
            "SELECT id FROM annotation WHERE project = ? AND task = ? AND NOT deleted AND updated_at <= ?",
            project, task_id, read_at,
        )  # fmt: skip
        gone = {row[0] for row in known} - {annotation.id for annotation in kept}
        return changes + sum(self._bury(project, id, _INFERRED) for id in gone)

    @durable
    def delete_unseen(self, project: str, seen_tasks: set[str], known_at: int) -> int:
        """Delete the annotations of tasks that a complete reading did not show, as their last annotation was deleted.

        `known_at`: the project's `change` when the reading began; later annotations stay.
        """
        rows = self._rows(
            "SELECT id, task FROM annotation WHERE project = ? AND NOT deleted AND change <= ?", project, known_at
        )
        return sum(self._bury(project, id, _INFERRED) for id, task in rows if task not in seen_tasks)

    def tasks(self, project: str) -> Iterator[AnnotatedTask]:
        """Yield every annotated task with its annotations that count, in task order, with one task in memory at a time.

        Skipped annotations and tasks without data are left out.
        """
        # One statement, so that everything belongs to one moment.
        cursor = self._database.execute_sql(
            f"SELECT t.id, t.data, a.id, a.result, a.updated_at, a.ground_truth, a.accepted, {ANNOTATOR}"  # noqa: S608 (ours)
            f" FROM annotation a JOIN task t ON t.project = a.project AND t.id = a.task {PERSON}"
            " WHERE a.project = ? AND NOT a.deleted AND NOT a.cancelled AND NOT t.deleted AND t.data IS NOT NULL"
            " ORDER BY t.id, a.updated_at, length(a.id), a.id",
            (project,),
        )
        current: tuple[str, str] | None = None
        annotations: list[Annotation] = []
        for task_id, data, id, result, updated_at, ground_truth, accepted, annotator in cursor:
            if current is not None and current[0] != task_id:
                yield AnnotatedTask(current[0], json.loads(current[1]), tuple(annotations))
                annotations = []
            current = (task_id, data)
            annotations.append(
                Annotation(
                    id,
                    json.loads(result),
                    updated_at,
                    bool(ground_truth),
                    accepted == 1,
                    submitted=accepted == SUBMITTED,
                    annotator=annotator,
                )
            )
        if current is not None:
            yield AnnotatedTask(current[0], json.loads(current[1]), tuple(annotations))

    def has_room(self, project: str, ids: Iterable[str], limit: int) -> bool:
        """Return True if a project with these annotations added has at most `limit`; deleted ones count, as each is a row."""
        wanted = set(ids)
        row = self._row("SELECT change FROM project WHERE key = ?", project)
        if (row[0] if row else 0) + len(wanted) <= limit:
            return True  # there are no more rows than changes, so rows need not be counted
        unknown = sum(
            self._row("SELECT 1 FROM annotation WHERE project = ? AND id = ?", project, id) is None for id in wanted
        )
        if unknown == 0 or unknown > limit:
            return unknown == 0
        kept = self._row("SELECT count(*) FROM annotation WHERE project = ?", project)
        return (kept[0] if kept else 0) + unknown <= limit

    def counts(self, project: str, learn_from: LearnFrom = _EVERYBODY) -> tuple[int, int]:
        """Return (usable annotations, annotations changed since the last run's snapshot began), of those that models learn
        from.
        """
        accepted = learn_from.accepted
        if learn_from.chosen or learn_from.refused or learn_from.ground_truth == "only":
            return self._counts_of(project, learn_from)
        row = self._row(
            "SELECT usable, accepted, (SELECT count(*) FROM annotation a WHERE a.project = p.key AND a.change > p.covered"
            " AND a.accepted <= ?) FROM project p WHERE p.key = ?",
            int(accepted), project,
        )  # fmt: skip
        if row is None:
            return 0, 0
        kept_out = self._submitted(project) if accepted else row[1]
        return row[0] - kept_out, row[2]

    def _counts_of(self, project: str, learn_from: LearnFrom) -> tuple[int, int]:
        """Return the same counts for some annotators or only ground truths, counted row by row."""
        rows = self._rows(
            f"SELECT {ANNOTATOR}, a.ground_truth, a.accepted, sum(NOT a.cancelled AND NOT a.deleted),"  # noqa: S608 (ours)
            f" sum(a.change > o.covered) FROM annotation a JOIN project o ON o.key = a.project {PERSON}"
            " WHERE a.project = ? GROUP BY 1, 2, 3",
            project,
        )
        kept = [
            (usable, changes)
            for annotator, ground_truth, accepted, usable, changes in rows
            if accepted <= learn_from.accepted
            and (ground_truth or learn_from.ground_truth != "only")
            and learn_from.hears(annotator)
        ]
        return sum(usable for usable, _ in kept), sum(changes for _, changes in kept)

    def _submitted(self, project: str) -> int:
        row = self._row(
            "SELECT count(*) FROM annotation WHERE project = ? AND accepted = ? AND NOT cancelled AND NOT deleted",
            project, SUBMITTED,
        )  # fmt: skip
        return int(row[0]) if row else 0

    def accepted(self, project: str) -> int:
        """Return the number of annotations that are predictions which nobody changed or spent time on."""
        row = self._row("SELECT accepted FROM project WHERE key = ?", project)
        return int(row[0]) if row else 0

    def _store_task(self, project: str, annotation: AnnotationSeen) -> None:
        if annotation.task_data is None:
            return
        data = json.dumps(annotation.task_data, ensure_ascii=True, separators=(",", ":"))
        stamp = time_key(annotation.task_updated_at)
        self._run(
            "INSERT INTO task (project, id, data, updated_at) VALUES (?, ?, ?, ?) ON CONFLICT (project, id) DO UPDATE"
            " SET data = excluded.data, updated_at = excluded.updated_at WHERE NOT task.deleted"
            " AND (task.data IS NULL OR excluded.updated_at > task.updated_at"
            " OR (excluded.updated_at = task.updated_at AND excluded.data > task.data))",
            project, annotation.task_id, data, stamp,
        )  # fmt: skip

    def _store(self, project: str, annotation: AnnotationSeen) -> int:
        result = json.dumps(annotation.result, ensure_ascii=True, separators=(",", ":"))
        stamp = time_key(annotation.updated_at)
        accepted = int(annotation.accepted)
        if annotation.untouched and self._submissions.is_submitted(
            project, annotation.task_id, annotation.id, annotation.unique_id
        ):
            accepted = SUBMITTED
        state = (result, int(annotation.cancelled), int(annotation.ground_truth), accepted)
        known = self._row(
            "SELECT result, cancelled, ground_truth, accepted, updated_at, deleted FROM annotation"
            " WHERE project = ? AND id = ?",
            project, annotation.id,
        )  # fmt: skip
        if known is not None:
            *before, known_stamp, deleted_before = known
            if deleted_before == _TOLD or stamp < known_stamp:
                return 0
            if tuple(before) == state and not deleted_before:
                self._run(
                    "UPDATE annotation SET updated_at = ?, annotator = ifnull(nullif(?, ''), annotator)"
                    " WHERE project = ? AND id = ?",
                    stamp, annotation.annotator, project, annotation.id,
                )  # fmt: skip
                return 0
            if stamp == known_stamp and not deleted_before and _rank(*state) < _rank(*before):
                return 0
        task = self._row("SELECT deleted FROM task WHERE project = ? AND id = ?", project, annotation.task_id)
        deleted = bool(task and task[0])
        self._run(
            "INSERT OR REPLACE INTO annotation (project, id, task, result, updated_at, cancelled, ground_truth, accepted,"
            " deleted, change, annotator) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            project, annotation.id, annotation.task_id, result, stamp, *state[1:], int(deleted),
            self._next_change(project), annotation.annotator,
        )  # fmt: skip
        was_usable = known is not None and not known[1] and not known[5]
        usable = not annotation.cancelled and not deleted
        was_accepted = known is not None and was_usable and bool(known[3])
        self._count_usable(project, int(usable) - int(was_usable), int(usable and accepted > 0) - int(was_accepted))
        return 0 if deleted else 1

    def _bury(self, project: str, id: str, how: int = _TOLD) -> int:
        known = self._row(
            "SELECT cancelled, deleted, accepted FROM annotation WHERE project = ? AND id = ?", project, id
        )
        if known is not None and known[1]:
            self._run("UPDATE annotation SET deleted = min(deleted, ?) WHERE project = ? AND id = ?", how, project, id)
            return 0
        self._beginnings.forget(project, id)
        change = self._next_change(project) if known is not None else 0
        self._run(
            "INSERT INTO annotation (project, id, deleted, change) VALUES (?, ?, ?, ?) ON CONFLICT (project, id)"
            " DO UPDATE SET deleted = excluded.deleted, result = '[]', change = excluded.change",
            project, id, how, change,
        )  # fmt: skip
        if known is None:
            return 0
        self._count_usable(project, -int(not known[0]), -int(not known[0] and known[2] > 0))
        return 1

    def _next_change(self, project: str) -> int:
        self._run("UPDATE project SET change = change + 1 WHERE key = ?", project)
        row = self._row("SELECT change FROM project WHERE key = ?", project)
        assert row is not None, "a project is touched before its annotations are stored"
        return int(row[0])

    def _count_usable(self, project: str, by: int, accepted_by: int) -> None:
        if by or accepted_by:
            self._run(
                "UPDATE project SET usable = usable + ?, accepted = accepted + ? WHERE key = ?",
                by,
                accepted_by,
                project,
            )


def _rank(*state: object) -> str:
    return hashlib.sha256("|".join(map(str, state)).encode()).hexdigest()
