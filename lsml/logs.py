"""Logging for people and for machines. Every known secret is masked, and untrusted text cannot forge a line."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable
from contextvars import ContextVar
from urllib.parse import quote

from cachetools import LRUCache

MASK = "[secret]"
FORMATS = ("auto", "text", "json")
FORMAT_VARIABLE = "LSML_LOG_FORMAT"  # an environment variable, so that child processes log alike
_LEAST = 4  # characters; a shorter secret would mask ordinary text
_MOST_TOLD = 256  # secrets from requests, which may send any number
_secrets: set[str] = set()
_told: LRUCache[str, None] = LRUCache(_MOST_TOLD)
_telling = threading.Lock()

# The context of this thread, which lines show.
recipe_name: ContextVar[str | None] = ContextVar("recipe_name", default=None)  # set if a process has several
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
run_id: ContextVar[str | None] = ContextVar("run_id", default=None)
project_id: ContextVar[str | None] = ContextVar("project_id", default=None)  # for machines: sentences name it anyway


class _Text(logging.Formatter):
    """One line for each record: `10:05:01 WARNING lsml.server.app [request 5f0c]: message`.

    A traceback follows indented, so that only lsml's own lines begin with a time.
    """

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        where = "".join(f" [{name} {value}]" for name, value in _at_hand().items())
        line = f"{at} {record.levelname:<7} {record.name}{where}: {_plain(record.getMessage())}"
        below = _traceback(self, record)
        return "\n    ".join([line, *(_plain(text) for text in below.splitlines())])


class _JsonFormatter(logging.Formatter):
    """One JSON object in ASCII for each record, with the ids of request, run and project at hand; `time` is UTC."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(record.getMessage()),
            **_at_hand(),
        }
        if (project := project_id.get()) is not None:
            fields["project"] = project
        if below := _traceback(self, record):
            fields["traceback"] = mask(below)
        return json.dumps(fields)


def _at_hand() -> dict[str, str]:
    found = {"recipe": recipe_name.get(), "request": request_id.get(), "run": run_id.get()}
    return {name: value for name, value in found.items() if value is not None}


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""


def _plain(text: str) -> str:
    """Return the text with secrets masked, and without line breaks and terminal control characters."""
    text = mask(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def mask(text: str) -> str:
    """Return `text` with the secrets of `keep_secret` and `keep_told_secret` masked."""
    with _telling:
        secrets = _secrets | _told.keys()
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def keep_secret(secrets: Iterable[str]) -> None:
    """Mask these texts in every log line from now on, plain and URL-encoded."""
    for secret in secrets:
        if len(secret) >= _LEAST:
            _secrets.update(_forms(secret))


def keep_told_secret(secret: str) -> None:
    """Mask a secret from a request, as `keep_secret` does. Only the last few hundred are remembered."""
    if len(secret) < _LEAST:
        return
    with _telling:
        for form in _forms(secret):
            _told[form] = None


def _forms(secret: str) -> tuple[str, str]:
    """Return a secret unchanged, and as in a URL."""
    return secret, quote(secret, safe="", errors="replace")


def set_up_logging(level: str) -> None:
    """Log to standard error. `level`: debug, info, warning or error. JSON where LSML_LOG_FORMAT asks for it, else text."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if os.environ.get(FORMAT_VARIABLE) == "json" else _Text())
    # Libraries log every second, and some log headers and SQL parameters, which hold tokens.
    logging.basicConfig(
        level=max(logging.INFO, logging.getLevelNamesMapping()[level.upper()]), handlers=[handler], force=True
    )
    logging.getLogger("lsml").setLevel(level.upper())
    for name in ("huey", "waitress", "httpx", "httpcore", "peewee", "filelock", "aiobotocore", "botocore"):
        logging.getLogger(name).setLevel("WARNING")
    logging.getLogger("psycopg").setLevel("ERROR")  # it warns of errors that it raises, too
