"""Access control: requests of other sites' pages, to unknown host names, or without the password are refused."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import logging
import socket
from urllib.parse import urlsplit

from flask import g, request

from lsml.errors import Forbidden, NotFound, Unauthorized
from lsml.recipe import Recipe, Server
from lsml.server.listening import bare, has_password

_log = logging.getLogger(__name__)
_LOOKING = ("GET", "HEAD", "OPTIONS")
_PORTS = {"http": 80, "https": 443}
# Names in containers for the machine that they run on; no public name server knows them.
_CONTAINER_NAMES = ("host.docker.internal", "gateway.docker.internal", "host.containers.internal")


class Guard:
    """The checks before every request. `host` is the address that lsml listens on.

    - `/health` is open, as it holds no information.
    - Of pages in a browser, only lsml's own may send requests, even with a cookie or password: another page's form could
      forge annotations. Links to lsml may be followed from anywhere.
    - Without a password and a secret path, the Host must be a known name: a page whose own name was pointed at lsml's
      address (DNS rebinding) is lsml's own page for the browser, and could read responses. Such a page does not know a
      secret path, and browsers store passwords by name, so with either of them any Host is accepted.
    - Basic auth protects the rest. With a secret path, /webhook under it needs none, because Label Studio sends annotation
      webhooks without credentials and they must not be lost.
    - A reader of `server.users` may look at everything and ask for predictions, which changes nothing; only an owner,
      and whoever has `server.username`, may do more.
    """

    def __init__(self, recipe: Recipe, prefix: str, host: str) -> None:
        server = recipe.server
        self._prefix = prefix
        self._users = _users(server)
        self._named = frozenset(bare(name) for name in server.hosts)
        self._known = self._named | {bare(host), bare(socket.gethostname()), *_CONTAINER_NAMES}

    def check(self) -> None:
        """Raise NotFound, Forbidden or Unauthorized unless the request is allowed."""
        path = request.path.rstrip("/")
        if path == "/health":
            return
        if self._prefix:
            # Compared in constant time here, before the router's speed could reveal how much of it was right.
            head = path[: len(self._prefix)].encode("utf-8", "surrogatepass")
            if not hmac.compare_digest(head, self._prefix.encode()):
                raise NotFound("nothing is here")
            path = path[len(self._prefix) :]
            if path == "/health":
                return
        self._check_site()
        if not self._prefix and not self._users:
            self._check_host()
        if self._users and not (self._prefix and path == "/webhook"):
            g.user, owner = self._user(path)
            if not owner and request.method not in _LOOKING and path != "/predict":
                raise Forbidden(
                    f"{g.user} is a reader, who may only see pages and try the model; ask an owner, or make {g.user} "
                    "one (server.users of the recipe)"
                )

    def _check_site(self) -> None:
        """Raise Forbidden where a page of another site made the browser send the request."""
        headers = request.headers
        if headers.get("Sec-Fetch-Site", "").strip().lower() == "cross-site" and not _follows_a_link():
            raise Forbidden("a page of another site sent this request; lsml only answers its own pages")
        origin = headers.get("Origin")
        if origin is not None and not self._is_own(origin):
            raise Forbidden(
                f"Origin {_shown(origin)}: a page of another site sent this request; if it is lsml's own page behind "
                "a proxy, let the proxy pass the Host header on, or add the name to server.hosts of the recipe"
            )

    def _is_own(self, origin: str) -> bool:
        """Return True if an Origin is the request's own host and port, or a name of server.hosts.

        Schemes are not compared: behind a proxy that ends TLS lsml sees http where the browser sees https. Another port
        of the same machine is another site: browsers call it "same-site".
        """
        scheme = origin.partition(":")[0].lower()
        name, port = _host_and_port(origin.partition("://")[2])
        if not name or scheme not in _PORTS:
            return False  # `null`: a sandboxed frame, a file, a redirect
        port = port or _PORTS[scheme]
        asked_name, asked_port = _host_and_port(request.headers.get("Host", ""))
        if (name, port) == (asked_name, asked_port or _PORTS[scheme]):
            return True
        return name in self._named and port == _PORTS[scheme]

    def _check_host(self) -> None:
        """Raise Forbidden where the request's host name is unknown."""
        host = request.headers.get("Host")
        if host is None:
            return  # HTTP/1.0; no browser leaves it out
        name, _ = _host_and_port(host)
        if not name or not (name in self._known or _is_local(name)):
            raise Forbidden(
                f"Host {_shown(host)}: lsml does not accept this name; if it is correct, add it to the recipe "
                "(server: {hosts: [NAME]}), or set server.secret_path or a password"
            )

    def _user(self, path: str) -> tuple[str, bool]:
        """Return who asks, and True if that is an owner. Raises Unauthorized without a right user name and password."""
        kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
        given = b""
        if kind.lower() == "basic":
            try:
                given = base64.b64decode(encoded.strip(), validate=True)
            except (binascii.Error, ValueError):
                given = b""
        # Every user is compared, so that the time does not reveal which one matched.
        right = [user for login, user in self._users if hmac.compare_digest(given, login)]
        if right:
            return right[0]
        if path == "/webhook":
            _log.warning(
                "a webhook had no or a wrong username and password, so its annotations are lost; `lsml connect` adds "
                "them to the webhook, or put them into the backend's URL in Label Studio: "
                "http://user:password@host:port"
            )
        raise Unauthorized("username and password: missing or wrong; set them in Label Studio's settings of this model")


def _users(server: Server) -> list[tuple[bytes, tuple[str, bool]]]:
    """Return (what basic auth sends, (name, True if an owner)) of everybody who has a password."""
    if not has_password(server):
        return []
    known = [(server.username, server.password, True)]
    known += [(name, user.password, user.role == "owner") for name, user in server.users.items()]
    return [(f"{name}:{password}".encode(), (str(name), owner)) for name, password, owner in known]


def _follows_a_link() -> bool:
    """Return True if a browser opens a page in a tab: the person sees it, and not the other site."""
    headers = request.headers
    return (
        request.method in ("GET", "HEAD")
        and headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Dest") == "document"
    )


def _host_and_port(netloc: str) -> tuple[str, int | None]:
    """Return (name, port) of `name:port` in a Host header or an origin; "" where it is neither a name nor an address."""
    if any(character in netloc for character in "/?#@\\ \t"):
        return "", None
    try:
        parts = urlsplit(f"//{netloc}")
        return bare(parts.hostname or ""), parts.port
    except ValueError:
        return "", None


def _is_local(name: str) -> bool:
    """Return True if nobody else can point a name at lsml's address: an IP address, a name without dots, such as those of
    services in containers, or one below `localhost`.
    """
    return "." not in name or name.endswith(".localhost") or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _shown(text: str) -> str:
    """Return a text of unknown origin for a sentence."""
    return repr("".join(character if character.isprintable() else " " for character in text[:100]))
