"""Addresses at which Label Studio and lsml find each other, from this machine, from another and from a container."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from urllib.parse import urlsplit

from lsml.errors import RequestError
from lsml.recipe import Recipe

HOST_OF_CONTAINERS = "host.docker.internal"  # what containers call the machine that they run on
_SOMEWHERE = "192.0.2.1"  # an address of nobody: routed as any of another network
_MARKS_OF_CONTAINERS = ("/.dockerenv", "/run/.containerenv")


def is_everywhere(host: str) -> bool:
    """True of a host that stands for every address of this machine, and that nobody can connect to."""
    return host in ("0.0.0.0", "::", "")  # noqa: S104 (compared, not bound)


def is_loopback(host: str) -> bool:
    """True of a host that is this machine, whoever says it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def address_of(host: str, port: int) -> str:
    """The URL of a host and port."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def path_of(name: str) -> str:
    """The path below which a recipe of that name is served that is one of several at one address."""
    return f"/r/{name}"


def near_host(host: str) -> str:
    """The host by which this machine reaches what listens at one."""
    return "127.0.0.1" if is_everywhere(host) else host


def near_address(host: str, port: int) -> str:
    """The URL at which this machine reaches what listens at a host and port."""
    return address_of(near_host(host), port)


def recipes_at(host: str, port: int) -> list[str]:
    """The names of the recipes that the lsml serves that answers at a host and port; none where it is another program.

    Raises httpx.ConnectError where nothing listens.
    """
    import httpx

    try:
        told: object = httpx.get(f"{near_address(host, port)}/health", timeout=5.0, trust_env=False).json()
    except httpx.ConnectError:
        raise
    except (httpx.HTTPError, ValueError):
        return []
    if not isinstance(told, dict) or told.get("model_class") != "lsml":
        return []
    names = told.get("recipes", [told.get("recipe")])
    return [str(name) for name in names] if isinstance(names, list) else []


def path_at(host: str, port: int, name: str) -> str:
    """The path below which a recipe of that name is served now: that of one of several where it is one, else ""."""
    import httpx

    try:
        names = recipes_at(host, port)
    except httpx.ConnectError:
        return ""
    return path_of(name) if len(names) > 1 and name in names else ""


def own_address(towards: str = _SOMEWHERE) -> str:
    """This machine's address on the way to another, which sees it under that one unless something between translates."""
    try:
        family, kind, _, _, target = socket.getaddrinfo(towards, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(target)  # sends nothing
            return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1"


def in_container() -> bool:
    """True if this process runs in a container of Docker or Podman."""
    return any(Path(mark).exists() for mark in _MARKS_OF_CONTAINERS)


def backend_url(recipe: Recipe, host: str, port: int, studio_url: str, path: str = "") -> str:
    """Where a Label Studio finds lsml that listens at `host` and `port`; with the secret path, where there is one.

    `path`: below which the recipe is served.

    Raises RequestError where that cannot be known, with what to do.
    """
    studio_host = urlsplit(studio_url).hostname or ""
    if is_loopback(studio_host):
        found = near_host(host)
    elif in_container():
        if studio_host != HOST_OF_CONTAINERS:
            raise RequestError(
                f"lsml runs in a container, where it cannot know by which name {studio_url} finds it: say so with "
                f"--backend-url, for instance http://lsml.internal:{port} (an alias with a dot: Label Studio tells nothing of "
                "annotations to a host without one)"
            )
        found = "127.0.0.1"  # of the machine on which the container's port is published
    elif is_loopback(host):
        raise RequestError(
            f"lsml listens at {host}, which {studio_url} cannot reach: start `lsml run` with --host 0.0.0.0, or say with "
            "--backend-url at which address a proxy or a tunnel brings it there"
        )
    else:
        found = own_address(studio_host) if is_everywhere(host) else host
    return with_secret_path(recipe, address_of(found, port) + path)


def with_secret_path(recipe: Recipe, url: str) -> str:
    """A backend's URL with the recipe's secret path at its end, where there is one and it is not there yet."""
    secret = recipe.server.secret_path
    url = url.rstrip("/")
    return f"{url}/{secret}" if secret and not url.endswith(f"/{secret}") else url


def refuses(url: str, studio_url: str) -> bool:
    """True if nothing listens where a Label Studio would look for a URL; False, too, where that cannot be told from here."""
    if in_container() and not is_loopback(urlsplit(studio_url).hostname or ""):
        return False
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80), timeout=2.0).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
