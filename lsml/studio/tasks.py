"""Annotated tasks, read from Label Studio's Data Manager page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from lsml.errors import StudioError
from lsml.studio.api import Api

PAGE = 100  # tasks in one answer: what `annotated_tasks` holds in memory
OVERLAP = timedelta(minutes=1)  # a change can become visible later than its time says, by as long as its transaction


class StudioTask(msgspec.Struct, frozen=True):
    """A task with its annotations, as a webhook would send them. `data` holds raw values: `s3://...` stays `s3://...`.

    `updated_at` is ISO 8601 by Label Studio's clock. Of each annotation at least `id`, `result`, `was_cancelled`,
    `ground_truth`, `updated_at` and `completed_by` (a user's id) are there.
    """

    id: int
    data: dict[str, Any]
    updated_at: str
    annotations: tuple[dict[str, Any], ...]


class _Page(msgspec.Struct):
    total: int
    tasks: list[StudioTask]


def annotated_tasks(api: Api, project_id: int, since: str | None = None) -> Iterator[StudioTask]:
    """Tasks that have annotations, skipped ones included, in the order of their ids; holds one page in memory.

    `since`: an ISO 8601 time by Label Studio's clock, such as the latest `updated_at` of an earlier reading. Tasks
    updated before it are left out, but for an overlap of a minute, so a task can come again. Creating, changing
    and deleting an annotation, toggling its ground truth and storing a prediction update the task. A task that
    lost its last annotation is not among them: compare a reading without `since`, or listen to webhooks.
    """
    conditions = [condition("annotations_ids", "empty", "String", False)]
    if since is not None:
        conditions.append(condition("updated_at", "greater_or_equal", "Datetime", _since(since)))
    last = 0
    while True:
        # Pages go by the last id seen, not by number: a task that changes meanwhile moves no other task.
        items = [*conditions, condition("id", "greater", "Number", last)]
        query = {"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"]}
        parameters = {
            "project": project_id,
            "fields": "all",
            "resolve_uri": "false",
            "page_size": PAGE,
            "query": json.dumps(query),
        }
        what = f"project {project_id}"
        answer = api.get("/api/tasks/", what=what, parameters=parameters)
        try:
            page = msgspec.convert(answer, _Page)
        except msgspec.ValidationError as error:
            raise api.foreign(f"the tasks of {what}: {error}") from error
        fresh = [task for task in page.tasks if task.id > last]
        yield from map(_like_a_webhook, fresh)
        # A server that passes over the filter would answer the first page for ever: no new task ends it, too.
        if not fresh or len(page.tasks) >= page.total:
            return
        last = fresh[-1].id


def condition(column: str, operator: str, kind: str, value: Any) -> dict[str, Any]:
    """One condition of the Data Manager's filters."""
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _since(since: str) -> str:
    """A time as the Data Manager's filters read it, with the overlap taken off."""
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise StudioError(f"since: expected an ISO 8601 time such as 2026-01-31T12:00:00Z, got {since!r}") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return (moment - OVERLAP).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _like_a_webhook(task: StudioTask) -> StudioTask:
    """The task with `completed_by` as an id, which some versions write as a user."""
    annotations = tuple(
        {**annotation, "completed_by": author.get("id")}
        if isinstance(author := annotation.get("completed_by"), dict)
        else annotation
        for annotation in task.annotations
    )
    return msgspec.structs.replace(task, annotations=annotations)
