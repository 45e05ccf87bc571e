"""The held-out tasks of a project: two versions compared on them, one version's mistakes, and their pictures."""

from __future__ import annotations

from typing import Final

from flask import Response, request

from lsml.errors import NotFound, RequestError
from lsml.labeling import resolve_value
from lsml.learning.side_by_side import Cell, ComparedVersions, Mistakes, compare, mistakes
from lsml.media import thumbnail
from lsml.server.api import found_project
from lsml.server.bodies import json_response
from lsml.server.messages import OnePicture, TwoVersions
from lsml.server.routes import Media, Route
from lsml.server.serving import Serving
from lsml.store import Store

_MOST_PIXELS: Final = 800  # pixels of an image's longer side


class HeldOutViews:
    """Views of the held-out tasks."""

    def __init__(self, store: Store, serving: Serving) -> None:
        self._store = store
        self._serving = serving

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route("GET", "/api/projects/<project>/compare", self.compare, ComparedVersions, TwoVersions),
            Route("GET", "/api/projects/<project>/mistakes", self.mistakes, Mistakes, Cell),
            Route("GET", "/api/projects/<project>/picture", self.picture, Media("image/jpeg"), OnePicture),
        ]

    def compare(self, project: str) -> Response:
        """Return the comparison of two versions, `?new=3&old=2`, on held-out tasks. Raises RequestError for other queries."""
        new, old = asked_version("new"), asked_version("old")
        if new is None or old is None:
            raise RequestError("new and old: expected the numbers of two versions, such as ?new=3&old=2")
        return json_response(self.compared(project, new, old))

    def mistakes(self, project: str) -> Response:
        """Return the held-out tasks in one cell of the confusion matrix, `?control=topic&people=Bug&model=Billing`.

        Without `people` or `model` it is "nothing". Raises NotFound where there is no such control, or no version.
        """
        return json_response(self.mistaken(project, asked_cell()))

    def picture(self, project: str) -> Response:
        """Return the image of an annotated task, `?task=7&object=image&page=0`, upright and small enough for a page.

        Raises NotFound where there is none, and FetchError.
        """
        row = found_project(self._store, project)
        page = request.args.get("page", "0")
        if not (page.isascii() and page.isdigit() and len(page) < 6):
            raise RequestError("page: expected a number from 0 on")
        binding = self._serving.bindings.of(row.key, None)
        name = request.args.get("object", "")
        tags = [tag for model in binding.models for tag in model.reads if tag.name == name and tag.tag == "Image"]
        for task in self._store.annotations.tasks(row.key, request.args.get("task", "")) if tags else ():
            try:
                value = resolve_value(tags[0].value, task.data)
            except KeyError:
                break
            urls = value if isinstance(value, list) else [value]
            if int(page) < len(urls) and isinstance(urls[int(page)], str):
                with self._serving.bindings.fetch(row.key, binding).hold() as fetch:
                    found = fetch.image(urls[int(page)], {"id": task.id, "data": task.data})
                    return Response(thumbnail(found.path, _MOST_PIXELS), mimetype="image/jpeg")
        raise NotFound("the project has no annotated task with this image")

    def compared(self, project: str, new: int, old: int) -> ComparedVersions:
        """Return the comparison of two versions on tasks that neither was trained on. Raises NotFound, VersionError."""
        row = found_project(self._store, project)
        binding = self._serving.bindings.of(row.key, None)
        first, second = (self._serving.version(row.key, binding, number) for number in (new, old))
        annotations = self._store.annotations
        return compare(
            binding, first, second, annotations.tasks(row.key), self._serving.bindings.fetch(row.key, binding),
            lambda task: annotations.tasks(row.key, task),
        )  # fmt: skip

    def mistaken(self, project: str, cell: Cell) -> Mistakes:
        """Return the held-out tasks in one cell of the served version's confusion matrix. Raises NotFound, VersionError."""
        row = found_project(self._store, project)
        binding = self._serving.bindings.of(row.key, None)
        if cell.control not in binding.controls:
            raise NotFound(f"control: no model of the recipe serves a control named {cell.control[:100]!r}")
        if row.promoted is None:
            raise NotFound("the project serves no trained version yet")
        served = self._serving.version(row.key, binding, row.promoted)
        return mistakes(
            binding,
            served,
            self._store.annotations.tasks(row.key),
            self._serving.bindings.fetch(row.key, binding),
            cell,
        )


def asked_version(name: str) -> int | None:
    """Return a version's number from the query, such as `new=v3`; None without one."""
    text = request.args.get(name, "").removeprefix("v")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def asked_cell() -> Cell:
    """Return the cell of the confusion matrix that the query names."""
    return Cell(*(request.args.get(name, "") for name in ("control", "people", "model")))
