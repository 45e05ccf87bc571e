"""create_app(): Flask with auth, errors as JSON sentences, and every route."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import re
import secrets
import time

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from lsml.errors import LsmlError, NotFound, Unauthorized
from lsml.logs import request_id
from lsml.recipe import Recipe
from lsml.server import api, protocol
from lsml.server.openapi import openapi
from lsml.server.protocol import answer
from lsml.server.ready import Ready
from lsml.server.serving import Serving
from lsml.server.telemetry import Telemetry
from lsml.store import Store
from lsml.store.queue import Queue

_log = logging.getLogger(__name__)
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def create_app(recipe: Recipe, store: Store, queue: Queue) -> Flask:
    """The WSGI application for one recipe and one data directory. It learns nothing itself: `queue` wakes a worker."""
    app = Flask("lsml", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = recipe.server.limits.body_bytes
    serving = Serving(recipe, store)
    app.extensions["lsml"] = serving
    prefix = f"/{recipe.server.secret_path}" if recipe.server.secret_path else ""
    _name_requests(app)
    telemetry = Telemetry(store)
    telemetry.watch(app)
    routes = protocol.routes(recipe, store, queue, serving, telemetry) + api.routes(recipe, store, serving)
    routes.append(("/metrics", ("GET",), telemetry.page))
    routes.append(("/openapi.json", ("GET",), lambda: answer(openapi(recipe))))
    routes.append(("/ready", ("GET",), Ready(store, serving).view))
    for path, methods, view in routes:
        # Under the secret path only, so that a request without it finds nothing; /health tells nothing and is open.
        for place in {prefix + path, path} if path == "/health" else {prefix + path}:
            # The endpoint is what logs show: it never holds the secret path.
            app.add_url_rule(place, f"{methods[0]} {path}", view, methods=methods, strict_slashes=False)
    app.jinja_env.filters["when"] = lambda at: time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
    guard = _Guard(recipe, prefix)
    app.before_request(guard.check)
    app.register_error_handler(LsmlError, _lsml_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _bug)
    return app


def _name_requests(app: Flask) -> None:
    """Give every request a short id, its own where that is sane: log lines show it, the answer's X-Request-Id tells it."""

    @app.before_request
    def begin() -> None:
        asked = request.headers.get("X-Request-Id", "")
        request_id.set(asked if _SANE_ID.fullmatch(asked) else secrets.token_hex(4))
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = request_id.get() or ""
        took_ms = (time.perf_counter() - g.began) * 1000
        _log.debug("%s: %d in %.1f ms", request.endpoint, response.status_code, took_ms)
        return response

    @app.teardown_request
    def forget(_error: BaseException | None) -> None:
        request_id.set(None)


class _Guard:
    """Who may ask what.

    Basic auth guards everything but /health; where there is a secret path, /webhook under it needs none, because
    Label Studio sends annotation webhooks without credentials and they must not be lost.
    """

    def __init__(self, recipe: Recipe, prefix: str) -> None:
        server = recipe.server
        self._prefix = prefix
        self._expected = (
            f"{server.username}:{server.password}".encode() if server.username and server.password else None
        )

    def check(self) -> None:
        """Raise Unauthorized unless the request may pass."""
        path = request.path.rstrip("/")
        if path == "/health":
            return
        if self._prefix:
            # Compared in constant time here, before the router tells by its speed how much of it was right.
            head = path[: len(self._prefix)].encode("utf-8", "surrogatepass")
            if not hmac.compare_digest(head, self._prefix.encode()):
                raise NotFound("nothing is here")
            path = path[len(self._prefix) :]
            if path in ("/webhook", "/health"):
                return
        if self._expected is None:
            return
        kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
        given = b""
        if kind.lower() == "basic":
            try:
                given = base64.b64decode(encoded.strip(), validate=True)
            except (binascii.Error, ValueError):
                given = b""
        if not hmac.compare_digest(given, self._expected):
            if path == "/webhook":
                _log.warning(
                    "a webhook came without the right username and password, so its annotations are lost to lsml; put them "
                    "into the backend's URL in Label Studio (http://user:password@host:port), or use server.secret_path"
                )
            raise Unauthorized(
                "username and password: missing or wrong; set them where Label Studio knows this backend"
            )


def _lsml_error(error: LsmlError) -> Response:
    level = logging.ERROR if error.status >= 500 else logging.WARNING
    # The path is a stranger's, and may be a secret one with a typing error: only its last part is shown.
    asked = (
        request.endpoint or f"{request.method} .../{request.path.rpartition('/')[2][:40]!r} from {request.remote_addr}"
    )
    _log.log(level, "%s: %s", asked, error)
    response = answer({"error": str(error)}, error.status)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="lsml"'
    return response


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    largest = current_app.config["MAX_CONTENT_LENGTH"]
    sentence = {
        404: "nothing is here; Label Studio's ML backend URL is the address without any of /predict, /setup ...",
        405: f"{request.method} is not possible here",
        413: too_large(largest),
    }.get(status, error.description or error.name)
    return answer({"error": sentence}, status)


def too_large(largest: int) -> str:
    """What a request is told that is larger than `largest` bytes."""
    return (
        f"the request is larger than {largest:,} bytes (server.limits.body of the recipe); select fewer tasks at a time"
    )


def _bug(error: Exception) -> Response:
    _log.exception("%s failed", request.endpoint)
    return answer({"error": f"lsml failed ({type(error).__name__}); its log says more"}, 500)
