"""The origin of annotations: the prediction that the annotator saw, and the time that the annotator took."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from lsml.labeling import AnnotatedTask, Annotation
from lsml.labeling.tasks import SeenPrediction
from lsml.store.database import Table
from lsml.store.people import ANNOTATOR, PERSON

_ONLY_ITS_NUMBER: Final = (
    "excluded.result IS NULL AND coalesce(beginning.prediction, '') = coalesce(excluded.prediction, '')"
)


class Beginnings(Table):
    """The origin of every project's annotations. It is stored in the same transaction as the annotation."""

    def keep(
        self, project: str, annotation: str, stamp: str, lead_time_s: float | None, seen: SeenPrediction | None
    ) -> None:
        """Store the origin of an existing annotation, unless that of a later state is known.

        A stored prediction is kept where a later state only has its number.
        """
        if lead_time_s is None and seen is None:
            return
        result = None if seen is None or seen.result is None else json.dumps(seen.result, separators=(",", ":"))
        self._later(
            "INSERT INTO beginning (project, annotation, updated_at, lead_time, prediction, version, result)"  # noqa: S608 (ours)
            " SELECT project, id, ?, ?, ?, ?, ? FROM annotation WHERE project = ? AND id = ? AND deleted = 0"
            " ON CONFLICT (project, annotation) DO UPDATE SET updated_at = excluded.updated_at,"
            " lead_time = excluded.lead_time, prediction = excluded.prediction,"
            f" version = CASE WHEN {_ONLY_ITS_NUMBER}"
            " THEN beginning.version ELSE excluded.version END,"
            f" result = CASE WHEN {_ONLY_ITS_NUMBER}"
            " THEN beginning.result ELSE excluded.result END"
            " WHERE excluded.updated_at >= beginning.updated_at",
            stamp, lead_time_s, seen.id if seen else None, seen.version if seen else None, result,
            project, annotation,
        )  # fmt: skip

    def forget(self, project: str, annotation: str) -> None:
        """Delete the origin of a deleted annotation."""
        self._later("DELETE FROM beginning WHERE project = ? AND annotation = ?", project, annotation)

    def latest(self, project: str, most: int) -> Iterator[AnnotatedTask]:
        """Yield the annotations with a known origin that changed last, at most `most`, each with its task.

        Skipped annotations are left out, and so are a model's that nobody touched.
        """
        rows = self._rows(
            f"SELECT t.id, t.data, a.id, a.result, a.updated_at, {ANNOTATOR}, b.lead_time, b.prediction, b.version,"  # noqa: S608 - columns are ours
            f" b.result FROM annotation a JOIN task t ON t.project = a.project AND t.id = a.task {PERSON}"
            " JOIN beginning b ON b.project = a.project AND b.annotation = a.id"
            " WHERE a.project = ? AND a.deleted = 0 AND a.cancelled = 0 AND a.accepted = 0 AND t.deleted = 0"
            " AND t.data IS NOT NULL ORDER BY a.change DESC LIMIT ?",
            project, most,
        )  # fmt: skip
        for task, data, id, result, updated_at, annotator, lead_time_s, prediction, version, predicted in rows:
            seen = None
            if prediction is not None:
                seen = SeenPrediction(prediction, version, None if predicted is None else json.loads(predicted))
            annotation = Annotation(
                id, json.loads(result), updated_at, annotator=annotator, lead_time_s=lead_time_s, seen=seen
            )
            yield AnnotatedTask(task, json.loads(data), (annotation,))
