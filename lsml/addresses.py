"""The addresses of hosts, whether they are public, and the check of certificates: a connection goes to a checked address."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from functools import lru_cache
from typing import Final

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def addresses_of(host: str, port: int) -> list[str]:
    """Return the addresses of a host, in the system's order, each once. Raises OSError or UnicodeError where it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def tls_context() -> ssl.SSLContext:
    """Return the TLS context that checks certificates, which threads share. It is cached, as reading all certificates takes
    longer than most requests.
    """
    import certifi

    return _tls(certifi.where())


@lru_cache(maxsize=2)
def _tls(certificates: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates)


def is_public(address: str) -> bool:
    """Return True if an IP address is public; an IPv4 address inside an IPv6 address is checked itself."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(str(wrapped))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback)
