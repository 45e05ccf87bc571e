"""Logging for people in a terminal, with every known secret masked."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import ClassVar
from urllib.parse import quote

MASK = "[secret]"
_LEAST = 4  # a shorter secret would mask ordinary text


class _Masking(logging.Formatter):
    """Formats whole records, tracebacks included, and then masks."""

    secrets: ClassVar[set[str]] = set()

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


def mask(text: str) -> str:
    """`text` without any secret that `keep_secret` was told of."""
    for secret in sorted(_Masking.secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def keep_secret(secrets: Iterable[str]) -> None:
    """From now on no log line shows these, plain or as a URL has them."""
    for secret in secrets:
        if len(secret) >= _LEAST:
            _Masking.secrets |= {secret, quote(secret, safe="")}


def set_up_logging(level: str) -> None:
    """Log to standard error. `level`: debug, info, warning or error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Masking("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("huey", "waitress"):
        logging.getLogger(name).setLevel("DEBUG" if level == "debug" else "WARNING")
    # These log headers and SQL parameters, tokens among them, when they log everything.
    for name in ("httpx", "httpcore", "peewee", "filelock"):
        logging.getLogger(name).setLevel("WARNING")
