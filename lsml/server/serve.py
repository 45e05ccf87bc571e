"""Runs the application under waitress until told to stop; see docs/adr for why waitress."""

from __future__ import annotations

import errno
import select
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from flask import Flask

from lsml.errors import LsmlError, PortInUse

THREADS = 16  # most wait for the disk or the model's lock; /health must find a free one
CONNECTIONS = 400  # idle and half-sent ones count; waitress accepts no more until some end
IDLE_S = 120  # a connection without traffic for so long is closed
DRAIN_S = 4.0  # for requests at hand when told to stop; a supervisor waits five seconds


def check_port(host: str, port: int) -> None:
    """Raise PortInUse, with a sentence, if nothing can listen there; LsmlError where the host is not this machine's."""
    if port == 0:
        return
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise LsmlError(
            f"--host {host}: {error.strerror}; use 127.0.0.1 for this machine, 0.0.0.0 for everybody"
        ) from None
    with socket.socket(family, kind, proto) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise _cannot_listen(error, host, port) from error


def serve(app: Flask, host: str, port: int, listening: Callable[[int], None] = lambda _port: None) -> None:
    """Answer requests until SIGINT or SIGTERM, then finish those at hand. Must run in the main thread.

    `listening` is told the port once connections are accepted. Raises PortInUse.
    """
    from waitress import wasyncore
    from waitress.server import create_server

    channels: dict[int, Any] = {}
    try:
        server = create_server(
            app,
            map=channels,
            host=host,
            port=port,
            ident=None,
            threads=THREADS,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE_S,
            # waitress refuses what is as large as this, Flask what is larger.
            max_request_body_size=app.config["MAX_CONTENT_LENGTH"] + 1,
            clear_untrusted_proxy_headers=True,
        )
    except OSError as error:
        raise _cannot_listen(error, host, port) from error
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    listeners = [channel for channel in channels.values() if getattr(channel, "accepting", False)]
    listening(listeners[0].socket.getsockname()[1])
    poll = hasattr(select, "poll")  # select() fails with descriptors above 1023; Windows has no poll()
    while not stopping:
        # The time-out bounds how long a signal waits: Python restarts an interrupted poll.
        wasyncore.loop(timeout=0.2, use_poll=poll, map=channels, count=1)
    for listener in listeners:
        listener.del_channel()
        listener.socket.close()
    deadline = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline and any(_busy(channel) for channel in list(channels.values())):
        wasyncore.loop(timeout=0.05, use_poll=poll, map=channels, count=1)
    server.task_dispatcher.shutdown(cancel_pending=True, timeout=max(0.0, deadline - time.monotonic()))


def _busy(channel: Any) -> bool:
    """Whether a waitress channel has a request at hand or an answer to send."""
    return bool(getattr(channel, "requests", None)) or getattr(channel, "total_outbufs_len", 0) > 0


def _cannot_listen(error: OSError, host: str, port: int) -> LsmlError:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(f"port {port} on {host} is in use; stop what listens there, or choose another with --port")
    if error.errno == errno.EACCES:
        return LsmlError(f"port {port} on {host}: not permitted; choose one above 1023 with --port")
    return LsmlError(f"cannot listen on {host} port {port}: {error.strerror}; choose others with --host and --port")
