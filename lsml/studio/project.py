"""The settings of a project of Label Studio: its own fields, its models (ML backends) and its webhooks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from lsml.studio.api import StudioApi
from lsml.studio.tasks import PageQuery, TaskPage, read_page, read_pages

T = TypeVar("T")
_REACHED = ("CO", "TR", "PR")  # states of a model: connected, training, predicting
_MANY = 1000  # tasks on a page, if only their data is read


class Backend(msgspec.Struct, frozen=True):
    """A project's model as Label Studio has it. `model_version`: the version that it last reported."""

    id: int
    url: str
    title: str | None = None
    model_version: str | None = None
    state: str = ""
    is_interactive: bool = False
    auth_method: str | None = None
    basic_auth_user: str | None = None
    error_message: str | None = None

    @property
    def is_reached(self) -> bool:
        """True if it answered Label Studio a moment ago."""
        return self.state in _REACHED

    def is_of(self, ours: re.Pattern[str]) -> bool:
        """Return True if its version, or its title, is one that `ours` matches."""
        return any(ours.fullmatch(name or "") for name in (self.model_version, self.title))


class Webhook(msgspec.Struct, frozen=True):
    """A webhook of a project: its address, and the events that it sends."""

    id: int
    url: str
    send_payload: bool = True
    send_for_all_actions: bool = True
    is_active: bool = True
    headers: dict[str, str] = {}


class ProjectFields(msgspec.Struct, frozen=True):
    """A project's own fields, as far as lsml reads them."""

    id: int
    title: str
    label_config: str
    sampling: str | None = None
    show_collab_predictions: bool = True
    model_version: str | None = None


class _Data(msgspec.Struct):
    id: int
    data: dict[str, object]


class _ProjectPage(msgspec.Struct):
    results: list[ProjectFields]


def find_project(api: StudioApi, title: str) -> ProjectFields | None:
    """Return the oldest project with exactly that title that the token's user can see; None where there is none."""
    parameters = {"title": title, "page_size": 1000}
    page = _read(api, "/api/projects/", _ProjectPage, "the projects", parameters)
    found = [project for project in page.results if project.title == title]
    return min(found, key=lambda project: project.id, default=None)


def create_project(api: StudioApi, title: str, label_config: str) -> ProjectFields:
    """Create a project and return it."""
    made = api.send("POST", "/api/projects/", "make a project", {"title": title, "label_config": label_config})
    return _as(api, made, ProjectFields, "a new project")


class StudioSettings:
    """One project's fields, models and webhooks, read and changed. Every method raises StudioError."""

    def __init__(self, api: StudioApi, project_id: int) -> None:
        self._api = api
        self._project = project_id
        self._what = f"project {project_id}"

    def fields(self) -> ProjectFields:
        """Return the project's own fields."""
        return _read(self._api, f"/api/projects/{self._project}/", ProjectFields, self._what)

    def change_fields(self, **fields: object) -> None:
        """Change some of the project's fields."""
        self._api.send("PATCH", f"/api/projects/{self._project}/", f"change {self._what}", fields)

    def backends(self) -> list[Backend]:
        """Return its models, oldest first. Label Studio asks only the first. It contacts each of them before it answers."""
        what, parameters = f"the models of {self._what}", {"project": self._project}
        found = _read(self._api, "/api/ml/", list[Backend], what, parameters)
        return sorted(found, key=lambda backend: backend.id)

    def put_backend(self, id: int | None, fields: Mapping[str, object]) -> Backend:
        """Change a model, or with None add one; Label Studio contacts it at once. `fields` must hold its url and login."""
        method, path = ("POST", "/api/ml/") if id is None else ("PATCH", f"/api/ml/{id}")
        response = self._api.send(method, path, "connect the model", {"project": self._project, **fields})
        return _as(self._api, response, Backend, "the model")

    def show(self, version: str, backend: Backend | None, login: Mapping[str, str]) -> None:
        """Let Label Studio show a version's predictions and sort by its scores.

        The version becomes the model's title, so that Label Studio still asks it, and the project's model version.
        `login` is the login that the model needs.
        """
        if backend is not None and backend.title != version:
            self.put_backend(backend.id, {"url": backend.url, "title": version, **login})
        if self.fields().model_version != version:
            self.change_fields(model_version=version)

    def webhooks(self) -> list[Webhook]:
        """Return its own webhooks, oldest first, without those of the whole organisation."""
        what, parameters = f"the webhooks of {self._what}", {"project": self._project}
        return sorted(_read(self._api, "/api/webhooks/", list[Webhook], what, parameters), key=lambda hook: hook.id)

    def put_webhook(self, id: int | None, fields: Mapping[str, object]) -> None:
        """Change a webhook, or with None add one."""
        if id is None:
            self._api.send("POST", "/api/webhooks/", "add a webhook", {"project": self._project, **fields})
        else:
            self._api.send("PATCH", f"/api/webhooks/{id}/", f"change webhook {id}", dict(fields))

    def delete_webhook(self, id: int) -> None:
        """Delete a webhook."""
        self._api.send("DELETE", f"/api/webhooks/{id}/", f"delete webhook {id}")

    def data(self) -> Iterator[dict[str, object]]:
        """Yield the raw data of each of its tasks, by id, with one page in memory."""

        query = PageQuery(most=_MANY, fields="task_only")

        def page_after(last: int) -> TaskPage[_Data]:
            return read_page(self._api, self._project, TaskPage[_Data], query, last)

        return (task.data for task in read_pages(page_after))

    def import_tasks(self, tasks: list[dict[str, object]]) -> None:
        """Add tasks, each `{"data": ...}`: all of them, or none if it raises StudioRefused."""
        self._api.send("POST", f"/api/projects/{self._project}/import", f"add tasks to {self._what}", tasks)

    def upload(self, files: Mapping[str, bytes]) -> None:
        """Upload files by name; each becomes a task."""
        self._api.upload(f"/api/projects/{self._project}/import", f"upload files to {self._what}", files)


def _read(api: StudioApi, path: str, kind: type[T], what: str, parameters: Mapping[str, Any] | None = None) -> T:
    return _as(api, api.get(path, what, parameters), kind, what)


def _as(api: StudioApi, response: object, kind: type[T], what: str) -> T:
    try:
        return msgspec.convert(response, kind)
    except msgspec.ValidationError as error:
        raise api.unexpected(f"{what}: {error}") from error
