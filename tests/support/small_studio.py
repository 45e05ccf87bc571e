"""A few of Label Studio's endpoints in memory, strict about what they accept, for failures that a real one has no switch for.

The tests marked `studio` do the same against a real Label Studio.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.web import Answer, Asked

CREATED_AT = "2026-11-23T09:03:34.474647Z"  # 1795424614
TOKEN = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class SmallStudio:
    """One project, number 7. `tasks`: data by id; `labelled`: ids that wait for nobody; `predictions`: by id.

    `before` sees each request first, and may answer it in the place of Label Studio. `log`: what was done, in order.
    """

    tasks: dict[int, dict[str, Any]]
    labelled: set[int] = field(default_factory=set)
    predictions: dict[int, dict[str, Any]] = field(default_factory=dict)
    backends: list[dict[str, Any]] = field(default_factory=list)
    model_version: str | None = None
    before: Callable[[Asked], Answer | None] = lambda _asked: None
    log: list[str] = field(default_factory=list)
    title: str = "Tickets"
    label_config: str = ""
    view: dict[str, Any] = field(default_factory=dict)

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
        body = json.loads(asked.body) if asked.body else None
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
            case "DELETE", ["predictions", id]:
                self.predictions.pop(int(id))
                return Answer(204)
            case "GET", ["ml"]:
                return _json(self.backends)
            case "PATCH", ["ml", id]:
                backend = next(one for one in self.backends if one["id"] == int(id))
                assert body["url"] == backend["url"]
                if self.model_version == backend["title"]:
                    self.model_version = body["title"]
                backend["title"] = body["title"]
                self.log.append(f"title {body['title']}")
                return _json(backend)
            case "GET", ["projects", "7"]:
                return _json(
                    {
                        "id": 7, "title": self.title, "label_config": self.label_config, "created_at": CREATED_AT,
                        "model_version": self.model_version, "task_number": len(self.tasks),
                    }
                )  # fmt: skip
            case "GET", ["dm", "views", "3"]:
                return _json({"id": 3, "project": 7, "data": {"title": "view", "filters": self.view}})
            case "PATCH", ["projects", "7"]:
                self.model_version = body["model_version"]
                self.log.append(f"show {body['model_version']}")
                return _json({"id": 7, "model_version": self.model_version})
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

    def _page(self, query: dict[str, Any], most: int) -> dict[str, Any]:
        ids = sorted(id for id in self.tasks if all(self._meets(id, item) for item in query["filters"]["items"]))
        tasks = [
            {
                "id": id,
                "data": self.tasks[id],
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
            case "total_predictions", "greater":
                return len(self.held(id)) > value
        raise AssertionError(f"Label Studio has no such filter: {item}")


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})
