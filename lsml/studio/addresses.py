"""Addresses at which Label Studio and lsml find each other, from this machine, from another and from a container."""

from __future__ import annotations

import socket

_SOMEWHERE = "192.0.2.1"  # an address of nobody: routed as any of another network


def is_everywhere(host: str) -> bool:
    """True of a host that stands for every address of this machine, and that nobody can connect to."""
    return host in ("0.0.0.0", "::", "")  # noqa: S104 (compared, not bound)


def address_of(host: str, port: int) -> str:
    """The URL of a host and port."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def own_address(towards: str = _SOMEWHERE) -> str:
    """This machine's address on the way to another, which sees it under that one unless something between translates."""
    try:
        family, kind, _, _, target = socket.getaddrinfo(towards, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(target)  # sends nothing
            return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1"
