"""The tasks of a project that people should look at: the least sure ones, and those whose annotations are probably wrong."""

from __future__ import annotations

from typing import Final

from flask import Response

from lsml.errors import StudioError
from lsml.prediction.wording import holds
from lsml.recipe import Recipe
from lsml.server import audit
from lsml.server.api import found_project
from lsml.server.bodies import json_response
from lsml.server.messages import ActionList, Run, ToLookAt
from lsml.server.protocol import status_of
from lsml.server.routes import Route
from lsml.store import Action, ProjectRow, Store
from lsml.store.queue import Queue
from lsml.studio.connection import project_address, studio_of

_MAX_TASKS: Final = 20  # tasks of a list


class Looking:
    """Views of what people should look at, and of what they did."""

    def __init__(self, recipe: Recipe, store: Store, queue: Queue) -> None:
        self._recipe = recipe
        self._store = store
        self._queue = queue

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route("GET", "/api/projects/<project>/actions", self.actions, ActionList),
            Route("GET", "/api/projects/<project>/queue", self.queue, ToLookAt),
            Route("POST", "/api/projects/<project>/review", self.review, Run),
        ]

    def actions(self, project: str) -> Response:
        """Return people's actions on a project, newest first."""
        return json_response(ActionList(self.latest_actions(project)))

    def queue(self, project: str) -> Response:
        """Return the least certain tasks, and the annotations that are probably wrong."""
        return json_response(self.to_look_at(project))

    def review(self, project: str) -> Response:
        """Let a worker search for annotations that are probably wrong."""
        row = found_project(self._store, project)
        run = self._store.runs.request(row.key, "asked for", kind="review")
        self._queue.wake(run.id)
        audit.note(self._store, "review", row.key)
        return json_response(status_of(run))

    def latest_actions(self, project: str) -> list[Action]:
        """Return what people did to a project, newest first."""
        return self._store.actions.latest(found_project(self._store, project).key)

    def to_look_at(self, project: str) -> dict[str, object]:
        """Return the tasks of a project that people should look at, as `ToLookAt` has them."""
        row = found_project(self._store, project)
        kept = self._store.reviews.of_project(row.key)
        run = self._store.runs.last(row.key, "review")
        reviewed_at, found = kept if kept is not None else (None, {"tasks": 0, "suspects": [], "notes": []})
        review = status_of(run) if run is not None else None
        return {**_least_sure(self._recipe, row), **found, "reviewed_at": reviewed_at, "review": review}


def _least_sure(recipe: Recipe, project: ProjectRow) -> dict[str, object]:
    studio = studio_of(recipe, project)
    if studio is None or project.studio_id is None:
        why = (
            "the address of Label Studio is not known: set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, and connect the "
            "project"
        )
        return {"least_sure": [], "waiting": 0, "unknown": why}
    try:
        tasks, waiting = studio.predictions(project.studio_id).least_sure(_MAX_TASKS)
    except StudioError as error:
        return {"least_sure": [], "waiting": 0, "unknown": str(error)}
    address = project_address(recipe, project)
    least = [
        {"task": str(one.id), "score": one.predictions_score, "holds": holds(one.data),
         "url": f"{address}/data?task={one.id}" if address else None}
        for one in tasks
    ]  # fmt: skip
    return {"least_sure": least, "waiting": waiting, "unknown": None}
