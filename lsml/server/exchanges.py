"""Each request and its answer: a short id that log lines show, and for `--debug` a line that says what was exchanged."""

from __future__ import annotations

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request

from lsml.logs import MASK, request_id

_log = logging.getLogger(__name__)
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHOWN = 300  # characters of a body
_READ = 4 * _SHOWN  # bytes of it that are looked at
# Members whose texts are secrets, cut off or not; and what follows a URL's path, where signatures and tokens stand.
_SECRET = re.compile(
    r'("[^"]*(?:token|key|password|secret|authorization)[^"]*"\s*:\s*")(?:[^"\\]|\\.)*("|$)', re.IGNORECASE
)
_QUERY = re.compile(r'(://[^\s"?#]*)[?#][^\s"]*')
_LOGIN = re.compile(r'://[^\s"/@]*@')


def watch(app: Flask) -> None:
    """Give every request a short id, its own where that is sane: log lines show it, the answer's X-Request-Id tells it.

    Where debug lines are logged, each exchange is one.
    """

    @app.before_request
    def begin() -> None:
        asked = request.headers.get("X-Request-Id", "")
        request_id.set(asked if _SANE_ID.fullmatch(asked) else secrets.token_hex(4))
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = request_id.get() or ""
        if _log.isEnabledFor(logging.DEBUG):
            took_ms = (time.perf_counter() - g.began) * 1000
            _log.debug("%s: %d in %.1f ms%s", asked_for(), response.status_code, took_ms, _bodies(response))
        return response

    @app.teardown_request
    def forget(_error: BaseException | None) -> None:
        request_id.set(None)


def asked_for() -> str:
    """Method and path of the request at hand, and who asked where that path is none of ours.

    Such a path is a stranger's, and may be a secret one with a typing error: only its last part is shown.
    """
    last = request.path.rpartition("/")[2][:40]
    return request.endpoint or f"{request.method} .../{last!r} from {request.remote_addr}"


def _bodies(response: Response) -> str:
    """What a request held that was read, and what it is answered, in short."""
    shown = ""
    if body := g.get("body"):
        shown += f"; asked {in_short(body)}"
    if response.is_json:
        shown += f"; answered {in_short(response.get_data())}"
    return shown


def in_short(body: bytes) -> str:
    """The beginning of a body, and its size where that is not all of it, without what members named like a secret, URLs with
    a login and queries of URLs hold."""
    text = body[:_READ].decode("utf-8", "replace")
    text = _SECRET.sub(rf"\1{MASK}\2", text)
    text = _LOGIN.sub(f"://{MASK}@", _QUERY.sub(rf"\1?{MASK}", text))
    whole = len(body) <= _READ and len(text) <= _SHOWN
    return text if whole else f"{text[:_SHOWN]}... ({len(body):,} bytes)"
