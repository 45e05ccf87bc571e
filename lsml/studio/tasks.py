"""Tasks, read from Label Studio's Data Manager page by page: those that meet a condition, and the annotated ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeVar

import msgspec

from lsml.errors import StudioError
from lsml.studio.api import TRIES, StudioApi

_PAGE = 100  # tasks in one response
OVERLAP = timedelta(minutes=1)  # a change becomes visible when its transaction ends, later than its time


class Numbered(Protocol):
    """The least that is read of a task: its number."""

    @property
    def id(self) -> int:
        """The task's number in Label Studio."""


T = TypeVar("T", bound=Numbered)


class TaskPage(msgspec.Struct, Generic[T], frozen=True):
    """One page of the Data Manager. `total`: the number of tasks on this page and after it."""

    total: int
    tasks: list[T]


class StudioTask(msgspec.Struct, frozen=True):
    """A task with its annotations, as a webhook would send them. `data` holds raw values: `s3://...` stays `s3://...`.

    `updated_at` is ISO 8601 by Label Studio's clock. Annotations have at least `id`, `result`, `was_cancelled`,
    `ground_truth`, `updated_at` and `completed_by` (a user's id). `predictions` are objects where Label Studio sends
    more than ids.
    """

    id: int
    data: dict[str, object]
    updated_at: str
    annotations: tuple[dict[str, object], ...]
    predictions: object = ()


@dataclass(frozen=True)
class PageQuery:
    """The query of a page: at most `most` tasks that meet all `conditions`.

    `order`: the column of the Data Manager that they are sorted by. `fields`: "all", or "task_only" without annotations
    and predictions.
    """

    conditions: Sequence[Mapping[str, object]] = ()
    most: int = _PAGE
    fields: str = "all"
    order: str = "id"


def read_page(
    api: StudioApi,
    project_id: int,
    form: type[TaskPage[T]],
    query: PageQuery,
    after: int = 0,
    *,
    tries: int = TRIES,
) -> TaskPage[T]:
    """Return a project's tasks for a query, those with ids above `after`. Raises StudioError.

    `form`: the struct that each task is read into, such as `TaskPage[StudioTask]`; its data is raw.
    """
    items = [*query.conditions, condition("id", "greater", "Number", after)]
    sent = {"filters": {"conjunction": "and", "items": items}, "ordering": [f"tasks:{query.order}"]}
    parameters = {
        "project": project_id, "fields": query.fields, "resolve_uri": "false", "page_size": query.most,
        "query": json.dumps(sent),
    }  # fmt: skip
    what = f"project {project_id}"
    response = api.get("/api/tasks/", what, parameters, tries)
    try:
        page = msgspec.convert(response, form)
    except msgspec.ValidationError as error:
        raise api.unexpected(f"the tasks of {what}: {error}") from error
    return msgspec.structs.replace(page, tasks=[task for task in page.tasks if task.id > after])


def read_pages(page_after: Callable[[int], TaskPage[T]]) -> Iterator[T]:
    """Yield the tasks of page after page, in the order of their ids, with one page in memory.

    Pages go by the last id seen, not by number: a task that changes meanwhile moves no other task.
    """
    last = 0
    while True:
        page = page_after(last)
        yield from page.tasks
        # A server that ignores the filter would send the first page forever, so a page without new tasks also ends the loop.
        if not page.tasks or len(page.tasks) >= page.total:
            return
        last = page.tasks[-1].id


def annotated_tasks(api: StudioApi, project_id: int, since: str | None = None) -> Iterator[StudioTask]:
    """Yield tasks with annotations, skipped ones included, in the order of their ids, with one page in memory.

    `since`: an ISO 8601 time by Label Studio's clock, such as the latest `updated_at` of an earlier reading. Tasks
    updated before it are left out, except for an overlap of a minute, so a task can come again. Creating, changing and
    deleting an annotation, toggling its ground truth and storing a prediction update the task. A task that lost its
    last annotation is not among them: compare a reading without `since`, or listen to webhooks.
    """
    conditions = [condition("annotations_ids", "empty", "String", value=False)]
    if since is not None:
        conditions.append(condition("updated_at", "greater_or_equal", "Datetime", _since(since)))
    query = PageQuery(conditions)
    tasks = read_pages(lambda after: read_page(api, project_id, TaskPage[StudioTask], query, after))
    return map(_like_a_webhook, tasks)


def condition(column: str, operator: str, kind: str, value: object) -> dict[str, object]:
    """Return one condition for the Data Manager's filters."""
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _since(since: str) -> str:
    """Return a time for the Data Manager's filters, less the overlap."""
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise StudioError(f"since: expected an ISO 8601 time such as 2026-01-31T12:00:00Z, got {since!r}") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return (moment - OVERLAP).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _like_a_webhook(task: StudioTask) -> StudioTask:
    """Return the task with `completed_by` as an id, where some versions of Label Studio have a user."""
    annotations = tuple(
        {**annotation, "completed_by": author.get("id")}
        if isinstance(author := annotation.get("completed_by"), dict)
        else annotation
        for annotation in task.annotations
    )
    return msgspec.structs.replace(task, annotations=annotations)
