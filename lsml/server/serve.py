"""Serving the application with waitress until it is stopped; docs/adr gives the reasons for waitress."""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from flask import Flask

from lsml.labeling.annotated import many
from lsml.server.listening import cannot_listen
from lsml.server.several import Several
from lsml.server.swapping import Swapping

if TYPE_CHECKING:
    from waitress.channel import HTTPChannel
    from waitress.server import BaseWSGIServer

    from lsml.server.channels import Dispatcher
    from lsml.server.loop import Loop


_log = logging.getLogger("lsml.server")
THREADS = 16  # all except one wait for the disk, for a file or for a model
READ_BYTES = 65536  # at a time, so that a request of 250 tasks comes in one piece
# The time for current requests after a signal: a person who pressed Ctrl-C waits five seconds, Docker ten.
DRAIN_S = {signal.SIGINT: 4.0, signal.SIGTERM: 8.0}
_LAST_WORDS_S = 0.5  # the time after a signal in which requests on their way still arrive


def serve(
    app: Flask | Swapping | Several,
    host: str,
    port: int,
    listening: Callable[[int], None] = lambda _port: None,
    *,
    bound: socket.socket | None = None,
) -> None:
    """Answer requests until SIGINT or SIGTERM, then finish the current ones. It must run in the main thread.

    `listening` gets the port once connections are accepted. `bound`: a socket that listens already, and that other
    processes may share. Raises PortInUse.
    """
    from waitress.server import create_server

    from lsml.server.channels import Dispatcher
    from lsml.server.loop import CONNECTIONS, Loop

    channels: dict[int, HTTPChannel | BaseWSGIServer] = {}
    dispatcher = Dispatcher(app.config["MAX_WAITING"])
    try:
        create_server(
            app,
            map=channels,
            _dispatcher=dispatcher,
            **({"host": host, "port": port} if bound is None else {"sockets": [bound]}),
            ident=None,
            connection_limit=CONNECTIONS + 100,  # reached only if all of them have a current request
            # waitress refuses a body of this size, Flask only a larger one.
            max_request_body_size=app.config["MAX_CONTENT_LENGTH"] + 1,
            recv_bytes=READ_BYTES,
            clear_untrusted_proxy_headers=True,
        )
    except OSError as error:
        raise cannot_listen(error, host, port) from error
    dispatcher.set_thread_count(THREADS)
    told: int | None = None

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal told
        told = number

    for number in DRAIN_S:
        signal.signal(number, stop)
    listeners = [channel for channel in channels.values() if getattr(channel, "accepting", False)]
    draining = threading.Event()
    loop = Loop(channels, dispatcher)
    for listener in listeners:
        _use_our_channels(listener, loop, draining)
    listening(listeners[0].socket.getsockname()[1])
    loop.watch(lambda: told is None)
    assert told is not None
    deadline = time.monotonic() + DRAIN_S[signal.Signals(told)]
    listeners[0].trigger.pull_trigger()
    loop.take()
    draining.set()
    _stop_listening(listeners, channels)
    _answer_last(loop, dispatcher, channels, deadline)
    dispatcher.shutdown(cancel_pending=True, timeout=max(0.0, deadline - time.monotonic()))
    _say_how_it_ended(channels, signal.Signals(told), deadline)


def _say_how_it_ended(channels: dict[int, HTTPChannel | BaseWSGIServer], told: signal.Signals, deadline: float) -> None:
    """Log how long the current requests took after a signal, or how many are given up."""
    took_s = DRAIN_S[told] - (deadline - time.monotonic())
    left = sum(bool(getattr(channel, "busy", False)) for channel in channels.values())
    if left:
        _log.warning("gave up %s, %.1f s after %s", many(left, "request"), took_s, told.name)
    else:
        _log.info("finished the current requests within %.1f s of %s", took_s, told.name)


def _use_our_channels(listener: BaseWSGIServer, loop: Loop, draining: threading.Event) -> None:
    """Let a listener make connections of our own, which the loop looks after."""
    from lsml.server.channels import Channel

    listener.channel_class = partial(Channel, draining)
    listener.next_channel_cleanup = float("inf")  # waitress' own cleanup uses the wall clock
    listener.pull_trigger = partial(loop.wake, listener.pull_trigger)


def _stop_listening(listeners: Sequence[BaseWSGIServer], channels: dict[int, HTTPChannel | BaseWSGIServer]) -> None:
    """Close the listeners, after accepting the connections that were already made."""
    for listener in listeners:
        _accept_all(listener, channels)
        listener.del_channel()
        listener.socket.close()


def _answer_last(
    loop: Loop, dispatcher: Dispatcher, channels: dict[int, HTTPChannel | BaseWSGIServer], deadline: float
) -> None:
    """Answer what the open connections ask, until they close, fall silent, or the deadline passes."""
    from lsml.server.channels import Channel

    last_busy = time.monotonic()
    while (now := time.monotonic()) < deadline:
        open_now = [channel for channel in list(channels.values()) if isinstance(channel, Channel)]
        if any(channel.busy for channel in open_now):
            last_busy = now
        elif not open_now or now - last_busy > _LAST_WORDS_S:
            break
        loop.look(0.05)
        dispatcher.respond()


def _accept_all(listener: BaseWSGIServer, channels: dict[int, HTTPChannel | BaseWSGIServer]) -> None:
    """Accept the connections that the system has already made, as closing the listener would reset them."""
    before = -1
    while len(channels) > before:
        before = len(channels)
        listener.handle_accept()
