"""The addresses of Label Studio and lsml for each other: on one machine, on two, and in containers."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from urllib.parse import urlsplit

from lsml.errors import RequestError
from lsml.recipe import Recipe

HOST_OF_CONTAINERS = "host.docker.internal"  # the name in containers for the machine that they run on
_SOMEWHERE = "192.0.2.1"  # a reserved address, routed like any other network's
_MARKS_OF_CONTAINERS = ("/.dockerenv", "/run/.containerenv")


def is_everywhere(host: str) -> bool:
    """Return True for a host that stands for every address of this machine. Clients cannot connect to it."""
    return host in ("0.0.0.0", "::", "")  # noqa: S104 (compared, not bound)


def is_loopback(host: str) -> bool:
    """Return True for a host that is always this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def address_of(host: str, port: int) -> str:
    """Return the URL of a host and port."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def path_of(name: str) -> str:
    """Return the path of a recipe that is served beside others at one address."""
    return f"/r/{name}"


def near_host(host: str) -> str:
    """Return the host by which this machine connects to a server that listens on `host`."""
    return "127.0.0.1" if is_everywhere(host) else host


def near_address(host: str, port: int) -> str:
    """Return the URL by which this machine connects to a server that listens on a host and port."""
    return address_of(near_host(host), port)


def recipes_at(host: str, port: int) -> list[str]:
    """Return the names of the recipes of the lsml at a host and port; empty where another program answers.

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
    """Return the path at which a running lsml serves a recipe: that of one of several, or "" for a single one."""
    import httpx

    try:
        names = recipes_at(host, port)
    except httpx.ConnectError:
        return ""
    return path_of(name) if len(names) > 1 and name in names else ""


def own_address(towards: str = _SOMEWHERE) -> str:
    """Return this machine's address on the way to another, which is the address it has there unless NAT is in between."""
    try:
        family, kind, _, _, target = socket.getaddrinfo(towards, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(target)  # sends nothing
            return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1"


def in_container() -> bool:
    """Return True if this process runs in a container of Docker or Podman."""
    return any(Path(mark).exists() for mark in _MARKS_OF_CONTAINERS)


def backend_url(recipe: Recipe, host: str, port: int, studio_url: str, path: str = "") -> str:
    """Return the URL of lsml for a Label Studio, where lsml listens on `host` and `port`; with the secret path, if there
    is one.

    `path`: the path of the recipe. Raises RequestError where the URL cannot be known, with what to do.
    """
    studio_host = urlsplit(studio_url).hostname or ""
    if is_loopback(studio_host):
        found = near_host(host)
    elif in_container():
        if studio_host != HOST_OF_CONTAINERS:
            raise RequestError(
                f"lsml runs in a container and does not know its address for {studio_url}: give it with "
                f"--backend-url, for instance http://lsml.internal:{port} (use an alias with a dot, because Label "
                "Studio sends no webhook to a host without one)"
            )
        found = "127.0.0.1"  # the machine on which the container's port is published
    elif is_loopback(host):
        raise RequestError(
            f"lsml listens at {host}, which {studio_url} cannot reach: start `lsml run` with --host 0.0.0.0, or give the "
            "address of a proxy or a tunnel with --backend-url"
        )
    else:
        found = own_address(studio_host) if is_everywhere(host) else host
    return with_secret_path(recipe, address_of(found, port) + path)


def with_secret_path(recipe: Recipe, url: str) -> str:
    """Return a backend's URL with the recipe's secret path at its end, if there is one."""
    secret = recipe.server.secret_path
    url = url.rstrip("/")
    return f"{url}/{secret}" if secret and not url.endswith(f"/{secret}") else url


def refuses(url: str, studio_url: str) -> bool:
    """Return True if nothing listens at a URL as Label Studio sees it; False where that cannot be known from here."""
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
