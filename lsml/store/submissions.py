"""Tasks that were submitted to Label Studio as annotations, and tasks that people annotate as a check."""

from __future__ import annotations

import json
from dataclasses import dataclass

from lsml.store.database import Table, durable

SUBMITTED = 2  # in `annotation.accepted`: the annotation is a submission, which is never used for training


@dataclass(frozen=True)
class Submission:
    """One task that a version was sure of.

    `audit`: people annotate it, and their answer is compared with `result`. Else it was submitted, under `unique_id`;
    `annotation` is its id in Label Studio, None until it is known.
    """

    project: str
    task: str
    version: str
    confidence: float
    result: list[object]
    audit: bool
    unique_id: str = ""
    annotation: str | None = None


class Submissions(Table):
    """The submissions of every project."""

    @durable
    def add(self, submission: Submission) -> None:
        """Store a submission, before it is sent to Label Studio; an existing one is not changed."""
        self._run(
            "INSERT INTO submission (project, task, version, confidence, result, audit, unique_id, annotation, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project, task) DO NOTHING",
            submission.project, submission.task, submission.version, submission.confidence,
            json.dumps(submission.result, ensure_ascii=True), int(submission.audit), submission.unique_id,
            submission.annotation, self._database.now(),
        )  # fmt: skip

    @durable
    def made(self, project: str, task: str, annotation: str) -> None:
        """Store Label Studio's id of a submission. The annotation is never learnt, even where it was stored before."""
        self._run("UPDATE submission SET annotation = ? WHERE project = ? AND task = ?", annotation, project, task)
        row = self._row(
            "SELECT cancelled, deleted, accepted FROM annotation WHERE project = ? AND id = ?", project, annotation
        )
        if row is None or row[2] == SUBMITTED:
            return
        cancelled, deleted, accepted = row
        self._run("UPDATE annotation SET accepted = ? WHERE project = ? AND id = ?", SUBMITTED, project, annotation)
        if not cancelled and not deleted and not accepted:
            self._run("UPDATE project SET accepted = accepted + 1 WHERE key = ?", project)

    @durable
    def forget(self, project: str, task: str) -> None:
        """Delete a submission that was undone."""
        self._run("DELETE FROM submission WHERE project = ? AND task = ?", project, task)

    def of_project(self, project: str, *, audit: bool) -> list[Submission]:
        """Return the submissions of a project, or its tasks for the `audit`; oldest first."""
        rows = self._rows(
            "SELECT project, task, version, confidence, result, audit, unique_id, annotation FROM submission"
            " WHERE project = ? AND audit = ? ORDER BY created_at, task",
            project, int(audit),
        )  # fmt: skip
        return [
            Submission(row[0], row[1], row[2], row[3], json.loads(row[4]), bool(row[5]), row[6], row[7]) for row in rows
        ]

    def known(self, project: str) -> set[str]:
        """Return the tasks of a project that were submitted or left to people."""
        return {row[0] for row in self._rows("SELECT task FROM submission WHERE project = ?", project)}

    def is_submitted(self, project: str, task: str, annotation: str, unique_id: str | None) -> bool:
        """Return True if an annotation is a submission. Its event may come before its id is stored."""
        row = self._row(
            "SELECT annotation, unique_id FROM submission WHERE project = ? AND task = ? AND audit = 0", project, task
        )
        return row is not None and (row[0] == annotation or (row[0] is None and row[1] == unique_id))
