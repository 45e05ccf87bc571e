"""`/openapi.json`: every endpoint as OpenAPI 3.1, for programs, for people and for the tests that attack the server.

Nothing of it is written by hand: it is made from the routes, and from the structs that each takes and gives.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from flask import Response

from lsml import __version__
from lsml.recipe import Recipe
from lsml.server.bodies import json_response
from lsml.server.messages import Error
from lsml.server.routes import Route

Schema = dict[str, Any]


def document(recipe: Recipe, routes: Sequence[Route]) -> Response:
    """Return this document."""
    return json_response(openapi(recipe, routes))


def openapi(recipe: Recipe, routes: Sequence[Route]) -> Schema:
    """Return the document for a server of this recipe. Its paths are relative to the document's, so they hold no secret
    path.
    """
    server = recipe.server
    guarded = server.username and server.password
    types = [Error, *(kind for route in routes for kind in (route.gives, route.takes) if kind and not _is_media(kind))]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = {id(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, Schema] = {}
    for route in routes:
        path = re.sub(r"<(\w+)>", r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schema_of, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"lsml: {recipe.name}",
            "version": __version__,
            "description": "Label Studio's ML backend protocol, and an API and pages for people and programs.",
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}},
        "security": [{"basic": []}] if guarded else [],
    }


def _is_media(gives: Any) -> bool:
    return isinstance(gives, str)


def _operation(route: Route, schema_of: dict[int, Schema], components: dict[str, Schema]) -> Schema:
    """Return one operation. Every one may return an Error; those in `statuses` have the form of its 200."""
    content = {route.gives: {}} if _is_media(route.gives) else _json(schema_of[id(route.gives)])
    good = {"description": route.summary, "content": content}
    parameters: list[Schema] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"<(\w+)>", route.path)
    ]
    operation: Schema = {"summary": route.summary}
    if route.takes is not None and route.method == "GET":
        query = components[route.takes.__name__]
        parameters += [
            {"name": name, "in": "query", "required": name in query["required"], "schema": schema}
            for name, schema in query["properties"].items()
        ]
    elif route.takes is not None:
        operation["requestBody"] = {"required": True, "content": _json(schema_of[id(route.takes)])}
    if parameters:
        operation["parameters"] = parameters
    if route.is_open:
        operation["security"] = []
    bad = {"description": "The reasons, each in a sentence.", "content": _json(schema_of[id(Error)])}
    operation["responses"] = {**{str(status): good for status in (200, *route.statuses)}, "default": bad}
    return operation


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}
