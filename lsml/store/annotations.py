"""Annotations from Label Studio. Replays and reordering change nothing: the last state of each annotation counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from lsml.labeling import AnnotatedTask, Annotation
from lsml.labeling.tasks import time_key
from lsml.recipe import LearnFrom
from lsml.store.beginnings import Beginnings
from lsml.store.changes import INFERRED, AnnotationSeen, Changes
from lsml.store.database import Database, Table, durable
from lsml.store.people import ANNOTATOR, PERSON
from lsml.store.submissions import SUBMITTED

_EVERYBODY = LearnFrom()


class Annotations(Table):
    """The annotations of every project."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._changes = Changes(database)
        self._beginnings = Beginnings(database)

    @durable
    def apply(self, project: str, seen: Iterable[AnnotationSeen]) -> int:
        """Store states that are newer than the known ones. Return the number of annotations that changed.

        Newer is a later `updated_at`. Of two states with the same time, the same one wins in any order.
        """
        changes = 0
        for annotation in seen:
            self._changes.store_task(project, annotation)
            changes += self._changes.store(project, annotation)
            stamp = time_key(annotation.updated_at)
            self._beginnings.keep(project, annotation.id, stamp, annotation.lead_time_s, annotation.seen)
        return changes

    @durable
    def delete(self, project: str, ids: Iterable[str]) -> int:
        """Leave a tombstone for each id, known or not. Return the number of annotations that changed."""
        return sum(self._changes.bury(project, id) for id in ids)

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
                "SELECT id FROM annotation WHERE project = ? AND task = ? AND deleted = 0", project, task_id
            )
            changes += sum(self._changes.bury(project, row[0]) for row in rows)
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
            "SELECT id FROM annotation WHERE project = ? AND task = ? AND deleted = 0 AND updated_at <= ?",
            project, task_id, read_at,
        )  # fmt: skip
        gone = {row[0] for row in known} - {annotation.id for annotation in kept}
        return changes + sum(self._changes.bury(project, id, INFERRED) for id in gone)

    @durable
    def delete_unseen(self, project: str, seen_tasks: set[str], known_at: int) -> int:
        """Delete the annotations of tasks that a complete reading did not show, as their last annotation was deleted.

        `known_at`: the project's `change` when the reading began; later annotations stay.
        """
        rows = self._rows(
            "SELECT id, task FROM annotation WHERE project = ? AND deleted = 0 AND change <= ?", project, known_at
        )
        return sum(self._changes.bury(project, id, INFERRED) for id, task in rows if task not in seen_tasks)

    def tasks(self, project: str, task: str | None = None) -> Iterator[AnnotatedTask]:
        """Yield every annotated task with its annotations that count, in task order, with one task in memory at a time.
        `task`: the id of the only one that is wanted.

        Skipped annotations and tasks without data are left out.
        """
        # One statement, so that everything belongs to one moment.
        cursor = self._database.stream(
            f"SELECT t.id, t.data, a.id, a.result, a.updated_at, a.ground_truth, a.accepted, {ANNOTATOR}"  # noqa: S608 (ours)
            f" FROM annotation a JOIN task t ON t.project = a.project AND t.id = a.task {PERSON}"
            " WHERE a.project = ? AND a.deleted = 0 AND a.cancelled = 0 AND t.deleted = 0 AND t.data IS NOT NULL"
            " AND t.id = coalesce(?, t.id) ORDER BY t.id, a.updated_at, length(a.id), a.id",
            project,
            task,
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

    def changes_at_most(self, project: str) -> int:
        """Return a number that the changes of `counts` do not exceed. It takes the same time whatever their number is."""
        row = self._row("SELECT change - covered FROM project WHERE key = ?", project)
        return int(row[0]) if row else 0

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
            f"SELECT {ANNOTATOR}, a.ground_truth, a.accepted,"  # noqa: S608 (ours)
            " sum(CASE WHEN a.cancelled = 0 AND a.deleted = 0 THEN 1 ELSE 0 END),"
            " sum(CASE WHEN a.change > o.covered THEN 1 ELSE 0 END)"
            f" FROM annotation a JOIN project o ON o.key = a.project {PERSON}"
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
            "SELECT count(*) FROM annotation WHERE project = ? AND accepted = ? AND cancelled = 0 AND deleted = 0",
            project, SUBMITTED,
        )  # fmt: skip
        return int(row[0]) if row else 0

    def accepted(self, project: str) -> int:
        """Return the number of annotations that are predictions which nobody changed or spent time on."""
        row = self._row("SELECT accepted FROM project WHERE key = ?", project)
        return int(row[0]) if row else 0
