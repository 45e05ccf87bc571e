"""A deadline shuts the connection of a request."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

from lsml.deadlines import Deadline
from tests.support.web import self_signed


class Stream:
    """What httpx tells of a connection that it opened."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def get_extra_info(self, name: str) -> socket.socket:
        assert name == "socket"
        return self._connection


def test_a_connection_that_is_shut_stays_encrypted(tmp_path: Path) -> None:
    tls, certificate = self_signed(tmp_path, "DNS:texts.example")
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with tls.wrap_socket(theirs, server_side=True) as connection:
            connection.sendall(b"text")
            connection.recv(1)

    server = threading.Thread(target=serve)
    server.start()
    trusting = ssl.create_default_context(cafile=certificate)
    with trusting.wrap_socket(ours, server_hostname="texts.example") as connection, Deadline(60) as deadline:
        assert connection.recv(2) == b"te"
        deadline.trace("connection.start_tls.complete", {"return_value": Stream(connection)})
        deadline.pass_now()
        assert deadline.passed
        assert connection.version() is not None, "what is sent now would be encrypted"
        assert connection.recv(9) == b"xt", "what came before is read as it was meant"
        assert connection.recv(9) == b""
    server.join()
