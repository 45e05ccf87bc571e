"""Annotations that lsml itself makes in Label Studio, and their deletion."""

from __future__ import annotations

from typing import Any

import msgspec

from lsml.errors import StudioExists, StudioMissing
from lsml.labeling.tasks import read_annotation
from lsml.studio.api import StudioApi


class _Made(msgspec.Struct):
    id: int
    result: list[object] = []


class AnnotationAuthor:
    """The token's user as the author of annotations. Every method raises StudioError."""

    def __init__(self, api: StudioApi) -> None:
        self._api = api

    def annotate(self, task: str, result: list[object], unique_id: str) -> str:
        """Annotate a task, once for each `unique_id`. Return the annotation's id."""
        path, what = f"/api/tasks/{task}/annotations/", f"annotate task {task}"
        try:
            response = self._api.send("POST", path, what, {"result": result, "unique_id": unique_id})
        except StudioExists:
            # Label Studio does not send the unique id back, so the annotation is found by its result.
            there = self._as(self._api.get(path, what=f"the annotations of task {task}"), list[_Made], what)
            made = [one for one in there if _values(one.result) == _values(result)]
            if not made:
                raise
            return str(made[-1].id)
        return str(self._as(response, _Made, what).id)

    def take_back(self, annotation: str, result: list[object]) -> bool:
        """Delete an annotation that nobody has changed; return False where a person has. A missing one is no error."""
        try:
            found = self._api.get(f"/api/annotations/{annotation}/", what=f"annotation {annotation}")
        except StudioMissing:
            return True
        read = read_annotation(found)
        if not read.untouched or _values(read.result) != _values(result):
            return False
        self._api.send("DELETE", f"/api/annotations/{annotation}/", f"delete annotation {annotation}")
        return True

    def _as(self, response: object, kind: type[Any], what: str) -> Any:
        try:
            return msgspec.convert(response, kind)
        except msgspec.ValidationError as error:
            raise self._api.unexpected(f"what it was asked to do, {what}: {error}") from error


def _values(result: list[object]) -> list[object]:
    return [(one.get("from_name"), one.get("value")) for one in result if isinstance(one, dict)]
