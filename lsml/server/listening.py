"""The address and the port that a server listens on. It imports no server library: `lsml run` asks before its server."""

from __future__ import annotations

import errno
import socket
from typing import Final

from lsml.errors import LsmlError, PortInUse
from lsml.recipe import Server
from lsml.studio.addresses import is_loopback

_BACKLOG: Final = 1024  # connections that wait for a process to accept them


def check_port(host: str, port: int) -> None:
    """Raise PortInUse, with a sentence, if the port is taken; LsmlError where the host is not this machine's."""
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
            raise cannot_listen(error, host, port) from error


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a port, for processes that inherit it. Raises PortInUse, and LsmlError as
    `check_port` does.
    """
    check_port(host, port)
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise cannot_listen(error, host, port) from error


def cannot_listen(error: OSError, host: str, port: int) -> LsmlError:
    """Return the error, with a sentence, for a port that a server cannot listen on."""
    if error.errno == errno.EADDRINUSE:
        return PortInUse(
            f"port {port} on {host} is in use; stop the program that uses it, or choose another with --port"
        )
    if error.errno == errno.EACCES:
        return LsmlError(f"port {port} on {host}: not permitted; choose one above 1023 with --port")
    return LsmlError(f"cannot listen on {host} port {port}: {error.strerror}; choose others with --host and --port")


def has_password(server: Server) -> bool:
    """Return True if requests must send a username and a password."""
    return bool(server.username and server.password)


def open_to_others(server: Server, host: str) -> str | None:
    """Return a warning if others can reach lsml at `host` and need neither a password nor a secret path; else None."""
    if server.secret_path or has_password(server) or is_loopback(bare(host)):
        return None
    return (
        f"lsml: warning: everybody who can reach {host} can read predictions and send annotations for training: set "
        "server.secret_path, or server.username and server.password, in the recipe, or restrict access to trusted "
        "machines"
    )


def bare(name: str) -> str:
    """Return a host's name for comparison: in lower case, without brackets and the dot of the root."""
    return name.strip("[]").lower().removesuffix(".")
