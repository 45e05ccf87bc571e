"""Several recipes at one address: each under /r/NAME, and one page of them all at /."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask, Response
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from lsml.errors import Forbidden, NotFound, Unauthorized
from lsml.logs import recipe_name
from lsml.server.app import answer_errors
from lsml.server.bodies import json_response
from lsml.server.exchanges import watch
from lsml.server.pages import TEMPLATES, asset_routes, overview
from lsml.server.swapping import Swapping
from lsml.studio.addresses import path_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Several:
    """A WSGI application of several recipes. Each one guards its own paths and its part of the page."""

    def __init__(self, apps: Mapping[str, Swapping]) -> None:
        self._apps = dict(apps)
        root = Flask("lsml", static_folder=None, template_folder=TEMPLATES)
        root.config.update(self.config)
        watch(root)
        answer_errors(root)
        root.register_error_handler(404, _nothing_here)
        root.add_url_rule("/", "GET /", self._page)
        root.add_url_rule("/health", "GET /health", self._health)
        for route in asset_routes():
            root.add_url_rule(route.path, f"GET {route.path}", route.view)
        self._all = DispatcherMiddleware(
            root, {path_of(name): _MountedRecipe(name, app) for name, app in self._apps.items()}
        )

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings that the server needs: the largest body of all recipes, and the most waiting requests."""
        names = ("MAX_CONTENT_LENGTH", "MAX_WAITING")
        return {name: max(app.config[name] for app in self._apps.values()) for name in names}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        recipe_name.set(None)
        return self._all(environ, start_response)

    def _health(self) -> Response:
        return json_response({"status": "UP", "model_class": "lsml", "recipes": sorted(self._apps)})

    def _page(self) -> Response:
        """Return the recipes that the client may see. A recipe under a secret path is not listed."""
        sections = []
        refused: Forbidden | Unauthorized | None = None
        for name, app in self._apps.items():
            try:
                app.parts.guard.check()
            except NotFound:
                continue
            except (Forbidden, Unauthorized) as error:
                refused = error
                continue
            sections.append(app.parts.section(f".{path_of(name)}"))
        if sections:
            return overview(sections)
        raise refused or NotFound("nothing is here")  # all are under secret paths


def _nothing_here(_error: Exception) -> Response:
    return json_response(
        {"error": "several recipes are served here, each under /r/NAME; the page at / lists them"}, 404
    )


class _MountedRecipe:
    """A recipe's application; its log lines have its name."""

    def __init__(self, name: str, app: Swapping) -> None:
        self._name = name
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        recipe_name.set(self._name)
        return self._app(environ, start_response)
