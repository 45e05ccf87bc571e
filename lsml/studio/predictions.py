"""The predictions of a project of Label Studio: tasks without them, posting, deleting, and the version that is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Literal, Self

import msgspec

from lsml.errors import RequestError
from lsml.studio.api import StudioApi
from lsml.studio.project import StudioSettings
from lsml.studio.tasks import PageQuery, T, TaskPage, condition, read_page, read_pages

_TRIES = 1  # callers retry themselves
_AT_ONCE = 100  # tasks in one request, whose URL holds their ids


class OpenTask(msgspec.Struct, frozen=True):
    """An unannotated task. `data` holds raw values, as in a request to /predict."""

    id: int
    data: dict[str, object]


class ScoredTask(OpenTask, frozen=True):
    """A task that waits for people, and the score that Label Studio shows of it."""

    predictions_score: float = 0.0


class StoredPrediction(msgspec.Struct, frozen=True):
    """A prediction that Label Studio holds."""

    id: int
    model_version: str | None = None


class _HoldingTask(msgspec.Struct):
    id: int
    predictions: list[StoredPrediction]


class _Filters(msgspec.Struct):
    conjunction: Literal["and", "or"] = "and"
    items: list[dict[str, object]] = []


class ProjectPredictions:
    """The predictions of one project. `filters`: conditions of the Data Manager that `lacking` adds to its own.

    Every method raises StudioError, and StudioAway where another try may help.
    """

    def __init__(self, api: StudioApi, project_id: int, filters: Sequence[Mapping[str, object]] = ()) -> None:
        self._api = api
        self._filters = filters
        self._project = project_id
        self._what = f"project {project_id}"

    def lacking(self, version: str | None, after: int, most: int) -> tuple[list[OpenTask], int]:
        """Return unannotated tasks without a prediction of a version, at most `most`, by id, above `after`; and the number
        of all.

        With `version` None, the tasks' predictions do not matter.
        """
        conditions = [condition("completed_at", "empty", "Datetime", value=True), *self._filters]
        if version is not None:
            conditions.append(condition("predictions_model_versions", "not_contains", "List", [version]))
        page = self._page(TaskPage[OpenTask], conditions, after, most=most, fields="task_only")
        return page.tasks, page.total

    def least_sure(self, most: int) -> tuple[list[ScoredTask], int]:
        """Return (at most so many of the tasks that wait for people and show a score, the lowest first; how many there are)."""
        conditions = [
            condition("completed_at", "empty", "Datetime", value=True),
            condition("predictions_score", "empty", "Number", value=False),
        ]
        query = PageQuery(conditions, most, order="predictions_score")
        page = read_page(self._api, self._project, TaskPage[ScoredTask], query, tries=_TRIES)
        return page.tasks, page.total

    def where(self, named: str) -> list[Self]:
        """Return the same project's predictions limited to the tasks of a Data Manager view; several, whose tasks are
        joined.

        `named`: the view's number, or a query as JSON, `{"filters": {"conjunction": "and", "items": [...]}}` or the
        content of its `filters`. Raises RequestError where it is neither.
        """
        if named.isascii() and named.isdigit():
            view = self._api.get(f"/api/dm/views/{named}/", f"view {named}", tries=_TRIES)
            if not isinstance(view, dict) or view.get("project") != self._project:
                raise RequestError(f"--filter {named}: that view does not belong to {self._what}")
            query = view.get("data")
        else:
            try:
                query = msgspec.json.decode(named)
            except msgspec.DecodeError:
                query = None
        filters = query.get("filters", query) if isinstance(query, dict) else None
        try:
            found = msgspec.convert(filters, _Filters)
        except msgspec.ValidationError:
            raise RequestError(
                f"--filter {named[:80]}: expected the number of a view, or JSON such as "
                '{"conjunction": "and", "items": [{"filter": "filter:tasks:id", "operator": "greater", "type": "Number", '
                '"value": 100}]}'
            ) from None
        groups = [found.items] if found.conjunction == "and" else [[item] for item in found.items]
        return [type(self)(self._api, self._project, group) for group in groups]

    def holding(self, tasks: Sequence[int], version: str) -> set[int]:
        """Return those of the tasks that hold a prediction of a version."""
        return {id for id, held in self._held(tasks) if any(one.model_version == version for one in held)}

    def existing(self, tasks: Sequence[int]) -> set[int]:
        """Return those of the tasks that the project still has."""
        return {id for id, _ in self._held(tasks)}

    def post(self, predictions: Sequence[Mapping[str, object]]) -> None:
        """Add predictions `{task, result, score, model_version}`: all of them, or none if it raises StudioRefused."""
        self._api.send(
            "POST", f"/api/projects/{self._project}/import/predictions", f"add predictions to {self._what}",
            list(predictions),
        )  # fmt: skip

    def write_data(self, task: int, data: Mapping[str, object]) -> None:
        """Replace all data of a task."""
        self._api.send("PATCH", f"/api/tasks/{task}/", f"change the data of task {task}", {"data": dict(data)})

    def versions(self) -> dict[str, int]:
        """Return the number of predictions that the project holds, by model version."""
        path, what = f"/api/projects/{self._project}/model-versions/", f"the versions of {self._what}"
        response = self._api.get(path, what, tries=_TRIES)
        try:
            return msgspec.convert(response, dict[str, int])
        except msgspec.ValidationError as error:
            raise self._api.unexpected(f"{what}: {error}") from error

    def delete_version(self, version: str) -> int:
        """Delete every prediction of a version, whoever made it. Return their number."""
        response = self._api.send(
            "DELETE", f"/api/projects/{self._project}/model-versions/",
            f"delete predictions of {version} from {self._what}", {"model_version": version},
        )  # fmt: skip
        found = response.get("deleted_predictions") if isinstance(response, dict) else None
        return found if isinstance(found, int) else 0

    def delete_doubles(self, version: str) -> int:
        """Delete all but the newest prediction of a version in each task. Return the number of deleted ones."""
        deleted = 0
        conditions = [
            condition("total_predictions", "greater", "Number", 1),
            condition("predictions_model_versions", "contains", "List", [version]),
        ]
        for task in read_pages(partial(self._page, TaskPage[_HoldingTask], conditions)):
            mine = sorted(one.id for one in task.predictions if one.model_version == version)
            for id in mine[:-1]:
                self._api.send("DELETE", f"/api/predictions/{id}/", f"delete prediction {id}")
                deleted += 1
        return deleted

    def show(self, version: str, ours: re.Pattern[str], backend_login: Mapping[str, str]) -> None:
        """Let Label Studio show a version's predictions, from the first model that serves a version of `ours`.

        `backend_login` is the login that this model needs.
        """
        settings = StudioSettings(self._api, self._project)
        backend = next((one for one in settings.backends() if one.is_of(ours)), None)
        settings.show(version, backend, backend_login)

    def _held(self, tasks: Sequence[int]) -> Iterator[tuple[int, list[StoredPrediction]]]:
        for begin in range(0, len(tasks), _AT_ONCE):
            some = [int(id) for id in tasks[begin : begin + _AT_ONCE]]
            conditions = [condition("id", "in_list", "Number", some)]
            for task in self._page(TaskPage[_HoldingTask], conditions).tasks:
                yield task.id, task.predictions

    def _page(
        self,
        form: type[TaskPage[T]],
        conditions: Sequence[Mapping[str, object]],
        after: int = 0,
        *,
        most: int = _AT_ONCE,
        fields: str = "all",
    ) -> TaskPage[T]:
        return read_page(self._api, self._project, form, PageQuery(conditions, most, fields), after, tries=_TRIES)
