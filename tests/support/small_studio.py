"""A few of Label Studio's endpoints in memory, strict about what they accept, for failures that a real one has no switch for.

The tests marked `studio` do the same against a real Label Studio.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.conftest import TOPICS
from tests.support.web import Answer, Asked

CREATED_AT = "2026-11-23T09:03:34.474647Z"  # 1795424614
TOKEN = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class SmallStudio:
    """One project, number 7. `tasks`: data by id; `labelled`: ids that wait for nobody; `predictions`: by id.

    `title` is None until it is made. `fields`: others of its own. `serves`: what its models say that they serve.
    `before` sees each request first, and may answer it in the place of Label Studio. `log`: what was done, in order.
    `users`: None where the token may not see them.
    """

    tasks: dict[int, dict[str, Any]] = field(default_factory=dict)
    labelled: set[int] = field(default_factory=set)
    predictions: dict[int, dict[str, Any]] = field(default_factory=dict)
    backends: list[dict[str, Any]] = field(default_factory=list)
    model_version: str | None = None
    title: str | None = "Tickets"
    fields: dict[str, Any] = field(default_factory=lambda: {"sampling": "Sequential sampling"})
    webhooks: list[dict[str, Any]] = field(default_factory=list)
    serves: str | None = None
    before: Callable[[Asked], Answer | None] = lambda _asked: None
    log: list[str] = field(default_factory=list)
    label_config: str = TOPICS
    view: dict[str, Any] = field(default_factory=dict)
    annotations: dict[int, dict[str, Any]] = field(default_factory=dict)
    users: list[dict[str, Any]] | None = None

    def add(self, task: int, version: str, score: float = 0.5) -> int:
        """Store a prediction; its id."""
        id = max(self.predictions, default=0) + 1
        self.predictions[id] = {"id": id, "task": task, "model_version": version, "score": score, "result": []}
        return id

    def held(self, task: int) -> list[str]:
        """The versions of a task's predictions, in the order of their ids."""
        return [one["model_version"] for one in self.predictions.values() if one["task"] == task]

    def __call__(self, asked: Asked) -> Answer:
        assert asked.headers.get("authorization") == f"Token {TOKEN}"
        return self.before(asked) or self.answer(asked)

    def answer(self, asked: Asked) -> Answer:
        """What Label Studio says."""
        is_json = asked.body and "multipart" not in asked.headers["content-type"]
        body = json.loads(asked.body) if is_json else None
        match asked.method, asked.path.strip("/").split("/")[1:]:
            case "GET", ["tasks"]:
                return _json(self._page(json.loads(asked.query["query"]), int(asked.query["page_size"])))
            case "POST", ["projects", "7", "import", "predictions"]:
                return self._store(body)
            case "GET", ["projects", "7", "model-versions"]:
                counts: dict[str, int] = {}
                for one in self.predictions.values():
                    counts[one["model_version"]] = counts.get(one["model_version"], 0) + 1
                if self.model_version:
                    counts.setdefault(self.model_version, 0)
                return _json(counts)
            case "DELETE", ["projects", "7", "model-versions"]:
                gone = [id for id, one in self.predictions.items() if one["model_version"] == body["model_version"]]
                for id in gone:
                    del self.predictions[id]
                self.model_version = None
                self.log.append(f"delete {body['model_version']}")
                return _json({"deleted_predictions": len(gone)})
            case "PATCH", ["tasks", id] if int(id) not in self.tasks:
                return _json({"detail": "Not found."}, 404)
            case "PATCH", ["tasks", id]:
                self.tasks[int(id)] = body["data"]
                return _json({"id": int(id), "data": body["data"]})
            case "DELETE", ["predictions", id]:
                self.predictions.pop(int(id))
                return Answer(204)
            case "POST", ["tasks", task, "annotations"]:
                return self._annotate(int(task), body)
            case "GET", ["tasks", task, "annotations"]:
                return _json([_shown(one) for one in self.annotations.values() if one["task"] == int(task)])
            case "GET", ["annotations", id] if int(id) in self.annotations:
                return _json(_shown(self.annotations[int(id)]))
            case "DELETE", ["annotations", id]:
                self.labelled.discard(self.annotations.pop(int(id))["task"])
                return Answer(204)
            case "GET", ["dm", "views", "3"]:
                return _json({"id": 3, "project": 7, "data": {"title": "view", "filters": self.view}})
            case "GET", ["users"]:
                return Answer(403) if self.users is None else _json(self.users)
            case method, ["projects", *rest]:
                return self._project(method, rest, asked, body)
            case method, ["ml", *rest]:
                return self._model(method, rest, body)
            case method, ["webhooks", *rest]:
                return self._webhook(method, rest, body)
        return Answer(404)

    def _project(self, method: str, rest: list[str], asked: Asked, body: Any) -> Answer:
        match method, rest:
            case "GET", []:
                shown = [self._shown()] if self.title is not None and asked.query["title"] in self.title else []
                return _json({"results": shown})
            case "POST", []:
                assert self.title is None
                self.title, self.label_config = body["title"], body["label_config"]
                return _json({**self._shown(), "task_number": None}, 201)
            case "GET", ["7"] if self.title is not None:
                return _json(self._shown())
            case "PATCH", ["7"]:
                if "model_version" in body:
                    self.model_version = body.pop("model_version")
                    self.log.append(f"show {self.model_version}")
                self.fields |= body
                self.log += [f"{name} {value}" for name, value in body.items()]
                return _json(self._shown())
            case "POST", ["7", "import"]:
                new = body
                if "multipart" in asked.headers["content-type"]:
                    names = re.findall(rb'filename="([^"]+)"', asked.body)
                    new = [{"data": {"image": f"/data/upload/7/0a1b2c3d-{name.decode()}"}} for name in names]
                begin = max(self.tasks, default=0) + 1
                self.tasks |= {id: one["data"] for id, one in enumerate(new, begin)}
                self.log.append(f"import {len(new)}")
                return _json({"task_count": len(new)}, 201)
        return Answer(404)

    def _shown(self) -> dict[str, Any]:
        return {"id": 7, "title": self.title, "created_at": CREATED_AT, "task_number": len(self.tasks),
                "label_config": self.label_config, "model_version": self.model_version, **self.fields}  # fmt: skip

    def _model(self, method: str, rest: list[str], body: Any) -> Answer:
        match method, rest:
            case "GET", []:
                return _json([{"state": "CO", **one} for one in self.backends])
            case "POST", []:
                backend = {"id": max((one["id"] for one in self.backends), default=0) + 1, "model_version": self.serves,
                           **body}  # fmt: skip
                self.backends.append(backend)
                self.log.append(f"add {body['url']}")
                self.model_version = self.model_version or body["title"]
                hook = f"{body['url']}/webhook"
                if _has_dot(hook) and not any(one["url"] == hook for one in self.webhooks):
                    self._webhook("POST", [], {"url": hook})
                return _json(backend, 201)
            case "PATCH", [id]:
                backend = next(one for one in self.backends if one["id"] == int(id))
                assert "url" in body, "Label Studio answers 500 without"
                if "title" in body and body["title"] != backend["title"]:
                    if self.model_version == backend["title"]:
                        self.model_version = body["title"]
                    self.log.append(f"title {body['title']}")
                if body["url"] != backend["url"]:
                    self.log.append(f"to {body['url']}")
                backend |= body
                return _json(backend)
        return Answer(404)

    def _webhook(self, method: str, rest: list[str], body: Any) -> Answer:
        if body and not _has_dot(body.get("url", "http://a.b")):
            return _json({"validation_errors": {"url": ["Enter a valid URL."]}}, 400)
        match method, rest:
            case "GET", []:
                return _json(self.webhooks)
            case "POST", []:
                id = max((one["id"] for one in self.webhooks), default=0) + 1
                self.webhooks.append({"id": id, "is_active": True, "send_payload": True, "send_for_all_actions": True,
                                      "headers": {}, **body})  # fmt: skip
                return _json(self.webhooks[-1], 201)
            case "PATCH", [id]:
                hook = next(one for one in self.webhooks if one["id"] == int(id))
                hook |= body
                return _json(hook)
            case "DELETE", [id]:
                self.webhooks = [one for one in self.webhooks if one["id"] != int(id)]
                return Answer(204)
        return Answer(404)

    def _store(self, body: list[dict[str, Any]]) -> Answer:
        for one in body:
            if one["task"] not in self.tasks:
                return _json({"validation_errors": {"non_field_errors": [f"task ID {one['task']} not found"]}}, 400)
            if not isinstance(one["result"], list):
                return _json({"validation_errors": [f"task {one['task']}: result"]}, 400)
        for one in body:
            self.add(one["task"], one["model_version"], one["score"])
        self.log.append(f"post {','.join(str(one['task']) for one in body)}")
        return _json({"created": len(body)}, 201)

    def _annotate(self, task: int, body: dict[str, Any]) -> Answer:
        if task not in self.tasks:
            return Answer(404)
        if any(one["unique_id"] == body["unique_id"] for one in self.annotations.values()):
            return _json({"detail": "Annotation with this unique id already exists"}, 409)
        id = len(self.annotations) + 1
        stamps = {"created_at": CREATED_AT, "updated_at": CREATED_AT, "lead_time": None}
        self.annotations[id] = {"id": id, "task": task, **stamps, **body}
        self.labelled.add(task)
        return _json(_shown(self.annotations[id]), 201)

    def _page(self, query: dict[str, Any], most: int) -> dict[str, Any]:
        ids = sorted(id for id in self.tasks if all(self._meets(id, item) for item in query["filters"]["items"]))
        tasks = [
            {
                "id": id,
                "data": self.tasks[id],
                "updated_at": CREATED_AT,
                "annotations": [_shown(one) for one in self.annotations.values() if one["task"] == id],
                "predictions": [one for one in self.predictions.values() if one["task"] == id],
            }
            for id in ids[:most]
        ]
        return {"total": len(ids), "tasks": tasks}

    def _meets(self, id: int, item: dict[str, Any]) -> bool:
        value = item["value"]
        match item["filter"].removeprefix("filter:tasks:"), item["operator"]:
            case "completed_at", "empty":
                return (id not in self.labelled) == value
            case "predictions_model_versions", "not_contains":
                return not any(one in held for one in value for held in self.held(id))
            case "predictions_model_versions", "contains":
                return any(one in held for one in value for held in self.held(id))
            case "id", "greater":
                return id > value
            case "id", "less":
                return id < value
            case "id", "in_list":
                return id in value
            case "annotations_ids", "empty":
                return (not any(one["task"] == id for one in self.annotations.values())) == value
            case "updated_at", "greater_or_equal":
                return True  # nothing says when: all of it may have changed
            case "total_predictions", "greater":
                return len(self.held(id)) > value
        raise AssertionError(f"Label Studio has no such filter: {item}")


def _has_dot(url: str) -> bool:
    return "." in (urlsplit(url).hostname or "")


def _shown(annotation: dict[str, Any]) -> dict[str, Any]:
    """An annotation as the API shows it: Label Studio keeps the unique id to itself."""
    return {key: value for key, value in annotation.items() if key != "unique_id"}


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})
