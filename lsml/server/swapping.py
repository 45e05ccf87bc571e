"""An application that can be replaced while requests are answered, so that a changed recipe needs no restart."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask

from lsml.errors import LsmlError
from lsml.server.app import Parts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


_log = logging.getLogger(__name__)
_LOADS_S = 120.0  # a model that takes longer to load is loaded at the first request


class Swapping:
    """A WSGI application. Each request is answered completely by the application that was in place when it came."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._one_at_a_time = threading.Lock()

    @property
    def parts(self) -> Parts:
        """The parts of the current application."""
        parts: Parts = self._app.extensions["lsml"]
        return parts

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings of the current application."""
        return self._app.config

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        return self._app(environ, start_response)

    def swap(self, make: Callable[[], Flask]) -> None:
        """Make another application and load its version, beside this one; then replace this one. An application that
        cannot be made is logged, and this one stays.
        """
        with self._one_at_a_time:
            try:
                app = make()
            except LsmlError as error:
                _log.error("the changed recipe cannot be served; the old one stays in use: %s", error)
                return
            serving = app.extensions["lsml"].serving
            serving.warm_up()
            until = time.monotonic() + _LOADS_S
            while serving.unready() and time.monotonic() < until:
                time.sleep(0.05)
            self._app = app
            _log.info("serving the changed recipe")
