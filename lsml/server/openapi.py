"""`/openapi.json`: every endpoint as OpenAPI 3.1, for programs, for people and for the tests that attack the server."""

from __future__ import annotations

from typing import Any

from lsml import __version__
from lsml.recipe import Recipe

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "number"}
_WHOLE: dict[str, Any] = {"type": "integer"}
_ANY: dict[str, Any] = {"type": "object"}
_PROJECT = {
    "description": 'Label Studio\'s own key of a project, `"<id>.<created>"`, or its number.',
    "anyOf": [{"type": "string", "minLength": 1, "maxLength": 200}, {"type": "integer"}],
}
_CONFIG = {"type": ["string", "null"], "description": "A labeling config's XML."}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


def _object(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _named(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_SCHEMAS = {
    "Error": _object({"error": {"type": "string", "description": "What is wrong and what to do."}}, ("error",)),
    "Task": _object({"id": {"type": ["integer", "string", "null"]}, "data": _ANY}, ("data",)),
    "Prediction": _object(
        {"result": _list(_ANY), "score": {"type": "number", "minimum": 0, "maximum": 1}, "model_version": _TEXT},
        ("result", "model_version"),
    ),
    "Run": _object(
        {
            "job": _TEXT,
            "kind": {"enum": ["training", "publishing"]},
            "job_status": {"enum": ["queued", "started", "finished", "failed", "canceled"]},
            "project": _TEXT,
            "cause": _TEXT,
            "attempt": _WHOLE,
            "progress": {"type": "number", "minimum": 0, "maximum": 1},
            "message": _TEXT,
            "error": {"type": ["string", "null"]},
            "version": {"type": ["integer", "null"]},
            "created_at": _NUMBER,
            "started_at": {"type": ["number", "null"]},
            "finished_at": {"type": ["number", "null"]},
        },
        ("job", "job_status", "project"),
    ),
    "Project": _object(
        {
            "project": _TEXT,
            "title": _TEXT,
            "address": {"type": ["string", "null"], "description": "Of the project in Label Studio."},
            "model_version": _TEXT,
            "state": _TEXT,
            "unbound": _list(_TEXT),
            "warnings": _list(_TEXT),
            "annotations": _WHOLE,
            "accepted_predictions": _WHOLE,
            "changes_since_last_run": _WHOLE,
            "changes_needed": {"type": ["integer", "null"]},
            "promoted": {"type": ["integer", "null"]},
            "reading_error": {"type": ["string", "null"]},
            "outlook": _object(
                {"prospect": _TEXT, "sentence": _TEXT, "curve": _list(_object({"version": _WHOLE}, ("version",)))},
                ("prospect", "sentence", "curve"),
            ),
            "versions": _list(_object({"version": _WHOLE}, ("version",))),
            "runs": _list(_named("Run")),
            "published": _object(
                {"predictions": _WHOLE, "model_version": {"type": ["string", "null"]}}, ("predictions",)
            ),
            "publishing": _or_null(_named("Run")),
            "publishings": _list(_named("Run")),
        },
        ("project", "model_version", "versions", "runs"),
    ),
    "Started": _object({"status": _TEXT, "job": _TEXT}, ("status",)),
}


def _operation(
    summary: str,
    answer: dict[str, Any] | None,
    *,
    body: dict[str, Any] | None = None,
    parameters: tuple[dict[str, Any], ...] = (),
    statuses: tuple[int, ...] = (),
    media: str = "application/json",
) -> dict[str, Any]:
    """One operation: every one may answer an Error, and those in `statuses` answer as its 200 does."""
    good = {"description": summary, "content": {media: {"schema": answer} if answer is not None else {}}}
    return {
        "summary": summary,
        **({"parameters": list(parameters)} if parameters else {}),
        **({"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}} if body else {}),
        "responses": {
            **{str(status): good for status in (200, *statuses)},
            "default": {
                "description": "Why not, in a sentence.",
                "content": {"application/json": {"schema": _named("Error")}},
            },
        },
    }


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _paths() -> dict[str, dict[str, dict[str, Any]]]:
    in_project, in_run = _in_path("project"), _in_path("run")
    of_project = {"name": "project", "in": "query", "schema": _TEXT}
    between = tuple({"name": name, "in": "query", "schema": _TEXT} for name in ("new", "old"))
    return {
        "/health": {
            "get": _operation("That the server answers.", _object({"status": {"const": "UP"}}, ("status",))),
        },
        "/ready": {
            "get": _operation(
                "Whether a worker lives, the data directory can be written and every promoted version was loaded.",
                _object({"ready": {"type": "boolean"}, "why_not": _list(_TEXT)}, ("ready", "why_not")),
                statuses=(503,),
            )
        },
        "/setup": {
            "post": _operation(
                "The model_version of the predictions to come.",
                _object({"model_version": _TEXT}, ("model_version",)),
                body=_object(
                    {
                        "project": _PROJECT,
                        "schema": _CONFIG,
                        "hostname": {"type": ["string", "null"]},
                        "access_token": {"type": ["string", "null"]},
                        "extra_params": {},
                    }
                ),
            )
        },
        "/predict": {
            "post": _operation(
                "One result for each task, in order; an empty list for a task that nothing could predict.",
                _object(
                    {
                        "results": _list({"anyOf": [_object({}), {"type": "array", "maxItems": 0}]}),
                        "why_not": {**_list(_TEXT), "description": "Why tasks have no prediction; absent where all have."},
                    },
                    ("results",),
                ),
                body=_object(
                    {
                        "tasks": _list(_named("Task")),
                        "project": _or_null(_PROJECT),
                        "label_config": _CONFIG,
                        "model_version": {
                            "type": ["string", "null"],
                            "description": "One of `/versions`; without it the promoted one answers.",
                        },
                        "params": {"type": ["object", "null"]},
                    },
                    ("tasks",),
                ),
            )
        },
        "/webhook": {
            "post": _operation(
                "An event of Label Studio, durable before it is answered.",
                _object({"status": _TEXT, "changed": _WHOLE, "job": _TEXT, "action": _TEXT}, ("status",)),
                body=_object(
                    {
                        "action": {
                            "anyOf": [
                                {"enum": ["ANNOTATION_CREATED", "ANNOTATIONS_DELETED", "START_TRAINING"]},
                                {"type": "string", "minLength": 1},
                            ]
                        },
                        "project": _object({"id": _WHOLE, "created_at": _TEXT}, ("id",)),
                        "task": _named("Task"),
                        "annotation": _object({"id": _WHOLE, "task": _WHOLE, "result": _list(_ANY)}, ("id", "result")),
                    },
                    ("action", "project"),
                ),
            )
        },
        "/train": {
            "post": _operation(
                "Start a training run.", _named("Started"), body=_object({"project": _PROJECT}),
            )
        },
        "/job_status": {
            "post": _operation("How far a training run is.", _named("Run"), body=_object({"job": _TEXT}, ("job",)))
        },
        "/versions": {
            "get": _operation(
                "The model versions of one project, else of all, and whose they are.",
                _object(
                    {
                        "versions": _list(_TEXT),
                        "projects": _list(
                            _object(
                                {"project": _TEXT, "title": _TEXT, "model_version": _TEXT, "versions": _list(_TEXT)},
                                ("project", "model_version", "versions"),
                            )
                        ),
                    },
                    ("versions", "projects"),
                ),
                parameters=(of_project,),
            )
        },
        "/validate": {
            "post": _operation(
                "Whether the recipe fits a labeling config.",
                _object(
                    {
                        "valid": {"type": "boolean"},
                        "status": _TEXT,
                        "bound": {"type": "object", "additionalProperties": _TEXT},
                        "unbound": _list(_TEXT),
                        "warnings": _list(_TEXT),
                    },
                    ("valid", "status", "bound", "unbound", "warnings"),
                ),
                body=_object({"config": _TEXT}, ("config",)),
            )
        },
        "/delete": {
            "post": _operation(
                "Label Studio lets go of a project: its runs are cancelled, nothing else is deleted.",
                _object({"status": _TEXT, "kept": _TEXT}, ("status",)),
                body=_object({"project": _PROJECT}, ("project",)),
            )
        },
        "/": {"get": _operation("The overview, for people.", None, media="text/html")},
        **{
            f"/projects/{{project}}{path}": {
                "get": _operation(summary, None, parameters=(in_project, *more), media="text/html")
            }
            for path, summary, more in (
                ("", "A project's versions, labels and runs, for people.", ()),
                ("/try", "Where people try what is served.", ()),
                ("/compare", "Two versions beside each other, for people.", between),
                ("/people", "Who annotates, how far they agree, and what they do with predictions.", ()),
                ("/doctor", "What the doctor finds, for people.", ()),
            )
        },
        "/assets/lsml.css": {"get": _operation("The style sheet of the pages.", None, media="text/css")},
        "/assets/lsml.js": {"get": _operation("The script of the pages.", None, media="text/javascript")},
        "/api/projects": {
            "get": _operation(
                "Every project: what is bound and served, its annotations, runs and versions.",
                _object({"recipe": _TEXT, "projects": _list(_named("Project"))}, ("recipe", "projects")),
            )
        },
        "/api/projects/{project}": {
            "get": _operation("One project.", _named("Project"), parameters=(in_project,)),
        },
        "/api/projects/{project}/promote": {
            "post": _operation(
                "Serve another version of a project.", _named("Project"), parameters=(in_project,),
                body=_object({"version": _WHOLE}, ("version",)),
            )
        },
        "/api/projects/{project}/publish": {
            "post": _operation(
                "Publish predictions of the served version now.", _object({"status": _TEXT}, ("status",)),
                parameters=(in_project,),
            )
        },
        "/api/projects/{project}/compare": {
            "get": _operation(
                "Two versions on the held-out tasks, task by task.",
                _object(
                    {"tasks": _WHOLE, "held_out": _WHOLE, "counts": _ANY, "rows": _list(_ANY)}, ("tasks", "counts", "rows")
                ),
                parameters=(in_project, *({**one, "required": True} for one in between)),
            )
        },
        "/api/projects/{project}/people": {
            "get": _operation(
                "Who annotates, how far they agree, and what they do with predictions.",
                _object(
                    {"annotators": _list(_ANY), "controls": _list(_ANY), "corrections": _ANY},
                    ("annotators", "controls", "corrections"),
                ),
                parameters=(in_project,),
            )
        },
        "/api/projects/{project}/doctor": {
            "get": _operation(
                "What `lsml doctor` finds now.",
                _object({"findings": _list(_object({"check": _TEXT, "state": _TEXT, "found": _TEXT}, ("check", "state")))},
                        ("findings",)),
                parameters=(in_project,),
            )
        },
        "/api/runs/{run}": {"get": _operation("A training run.", _named("Run"), parameters=(in_run,))},
        "/api/runs/{run}/cancel": {
            "post": _operation("Cancel a training run.", _named("Run"), parameters=(in_run,)),
        },
        "/metrics": {"get": _operation("What Prometheus reads.", None, media="text/plain")},
        "/openapi.json": {"get": _operation("This document.", _ANY)},
    }  # fmt: skip


def openapi(recipe: Recipe) -> dict[str, Any]:
    """The document for a server of this recipe. Its paths start where it was found, so that it tells no secret path."""
    server = recipe.server
    guarded = server.username and server.password
    paths = _paths()
    paths["/health"]["get"]["security"] = []
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"lsml: {recipe.name}",
            "version": __version__,
            "description": "Label Studio's ML backend protocol, and what is served and learnt, for people and programs.",
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        },
        "security": [{"basic": []}] if guarded else [],
    }
