"""create_app(): a Flask application with authorisation, errors as JSON sentences, and every route."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException

from lsml.errors import LsmlError
from lsml.recipe import Recipe
from lsml.server import protocol
from lsml.server.api import ApiViews
from lsml.server.bodies import json_response
from lsml.server.exchanges import asked_for, watch
from lsml.server.guard import Guard
from lsml.server.held_out import HeldOutViews
from lsml.server.looking import Looking
from lsml.server.messages import Readiness
from lsml.server.openapi import document
from lsml.server.pages import TEMPLATES, Pages, Section
from lsml.server.quality import Quality
from lsml.server.ready import Ready
from lsml.server.routes import Media, Route
from lsml.server.serving import Serving
from lsml.server.telemetry import Telemetry
from lsml.store import Store
from lsml.store.queue import Queue

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """The parts of an application that its holders need: `app.extensions["lsml"]`."""

    serving: Serving
    guard: Guard
    section: Callable[[str], Section]


def create_app(recipe: Recipe, store: Store, queue: Queue, host: str | None = None) -> Flask:
    """Return the WSGI application for one recipe and one data directory. It does not train; `queue` wakes a worker.

    `host`: the address that it is served on, if it is not the recipe's `server.host`.
    """
    app = Flask("lsml", static_folder=None, template_folder=TEMPLATES)
    app.config["MAX_CONTENT_LENGTH"] = recipe.server.limits.body_bytes
    app.config["MAX_WAITING"] = recipe.server.limits.waiting
    serving = Serving(recipe, store)
    prefix = f"/{recipe.server.secret_path}" if recipe.server.secret_path else ""
    watch(app)
    quality = Quality(store, serving)
    telemetry = Telemetry(store, serving, quality)
    telemetry.watch(app)
    api = ApiViews(recipe, store, serving, quality, host or recipe.server.host)
    looking = Looking(recipe, store, queue)
    held_out = HeldOutViews(store, serving)
    pages = Pages(recipe, api, looking, held_out, prefix)
    routes = protocol.routes(recipe, store, queue, serving, telemetry)
    routes += api.routes() + looking.routes() + held_out.routes() + pages.routes()
    routes.append(Route("GET", "/metrics", telemetry.page, Media("text/plain")))
    routes.append(Route("GET", "/ready", Ready(recipe, store, serving).view, Readiness, statuses=(503,)))
    routes.append(Route("GET", "/openapi.json", partial(document, recipe, routes), dict[str, Any]))
    for route in routes:
        path = route.path
        # Only under the secret path, so that a request without it finds nothing; /health holds no information and is open.
        for rule in {prefix + path, path} if route.is_open else {prefix + path}:
            # Logs show the endpoint, which never holds the secret path.
            app.add_url_rule(rule, f"{route.method} {path}", route.view, methods=[route.method], strict_slashes=False)
    guard = Guard(recipe, prefix, host or recipe.server.host)
    app.before_request(guard.check)
    answer_errors(app)
    app.extensions["lsml"] = Parts(serving, guard, pages.section)
    return app


def answer_errors(app: Flask) -> None:
    """Answer every error with a JSON sentence."""
    app.register_error_handler(LsmlError, _lsml_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _bug)


def _lsml_error(error: LsmlError) -> Response:
    level = logging.ERROR if error.status >= 500 else logging.WARNING
    _log.log(level, "%s: %s", asked_for(), error)
    response = json_response({"error": str(error)}, error.status)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="lsml"'
    return response


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    largest = current_app.config["MAX_CONTENT_LENGTH"]
    sentence = {
        404: "there is no such page; the ML backend URL for Label Studio is the address without /predict, /setup ...",
        405: f"{request.method} is not allowed here",
        413: too_large(largest),
    }.get(status, error.description or error.name)
    return json_response({"error": sentence}, status)


def too_large(largest: int) -> str:
    """Return the sentence for a request that is larger than `largest` bytes."""
    return f"the request is larger than {largest:,} bytes (server.limits.body of the recipe); select fewer tasks"


def _bug(error: Exception) -> Response:
    _log.exception("%s failed", asked_for())
    return json_response({"error": f"lsml failed ({type(error).__name__}); its log has the details"}, 500)
