"""Requests and responses in the log: a short id in log lines, and for `--debug` a line for each exchange."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request

from lsml.logs import MASK, project_id, request_id
from lsml.tracing import describe_span, span

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger(__name__)
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHOWN = 300  # the most characters of a body
_READ = 4 * _SHOWN  # bytes of a body that are decoded
# Members whose texts are secrets, truncated or not; and queries of URLs, which may hold signatures and tokens.
_SECRET = re.compile(
    r'("[^"]*(?:token|key|password|secret|authorization)[^"]*"\s*:\s*")(?:[^"\\]|\\.)*("|$)', re.IGNORECASE
)
_QUERY = re.compile(r'(://[^\s"?#]*)[?#][^\s"]*')
_LOGIN = re.compile(r'://[^\s"/@]*@')


def watch(app: Flask) -> None:
    """Give every request a short id, its own if that is valid: log lines show it, and the response has it in X-Request-Id.

    Where debug lines are logged, each exchange is one.
    """

    app.wsgi_app = _traced(app.wsgi_app)  # type: ignore[assignment, method-assign]  # as Flask's documentation does

    @app.before_request
    def begin() -> None:
        asked = request.headers.get("X-Request-Id", "")
        request_id.set(asked if _SANE_ID.fullmatch(asked) else secrets.token_hex(4))
        project_id.set((request.view_args or {}).get("project"))  # other requests say later whom they are about
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = request_id.get() or ""
        describe_span(
            request.endpoint or f"{request.method} unknown",
            request=request_id.get(), project=project_id.get(), status=response.status_code,
        )  # fmt: skip
        if _log.isEnabledFor(logging.DEBUG):
            took_ms = (time.perf_counter() - g.began) * 1000
            _log.debug("%s: %d in %.1f ms%s", asked_for(), response.status_code, took_ms, _bodies(response))
        return response

    @app.teardown_request
    def forget(_error: BaseException | None) -> None:
        request_id.set(None)
        project_id.set(None)


def _traced(application: WSGIApplication) -> WSGIApplication:
    """Return a WSGI application each of whose requests is a span, part of the sender's where it says so."""

    def traced(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with span(environ["REQUEST_METHOD"], environ.get("HTTP_TRACEPARENT")):
            return application(environ, start_response)

    return traced


def asked_for() -> str:
    """Return method and path of the current request; for an unknown path, also the client.

    An unknown path may be a misspelt secret path, so only its last part is shown.
    """
    last = request.path.rpartition("/")[2][:40]
    return request.endpoint or f"{request.method} .../{last!r} from {request.remote_addr}"


def _bodies(response: Response) -> str:
    """Return the bodies of a request and its response, in short."""
    shown = ""
    if body := g.get("body"):
        shown += f"; asked {in_short(body)}"
    if response.is_json:
        shown += f"; answered {in_short(response.get_data())}"
    return shown


def in_short(body: bytes) -> str:
    """Return the beginning of a body, and its size if it is longer. Secrets, logins and queries of URLs are masked."""
    text = body[:_READ].decode("utf-8", "replace")
    text = _SECRET.sub(rf"\1{MASK}\2", text)
    text = _LOGIN.sub(f"://{MASK}@", _QUERY.sub(rf"\1?{MASK}", text))
    whole = len(body) <= _READ and len(text) <= _SHOWN
    return text if whole else f"{text[:_SHOWN]}... ({len(body):,} bytes)"
