"""What listens where lsml is to listen."""

from __future__ import annotations

import socket
from typing import Any

from lsml.doctor.findings import Finding, failed, passed, warned
from lsml.recipe import Recipe
from lsml.studio.addresses import address_of, is_everywhere


def examine_port(recipe: Recipe, host: str, port: int) -> tuple[Finding, bool]:
    """Whether lsml answers at its address, or could; and True if it answers."""
    import httpx

    near = "127.0.0.1" if is_everywhere(host) else host
    address = address_of(near, port)
    try:
        told: Any = httpx.get(f"{address}/health", timeout=5.0, trust_env=False).json()
    except httpx.ConnectError:
        return _free(address, near, port), False
    except (httpx.HTTPError, ValueError):
        told = None
    if not isinstance(told, dict) or told.get("model_class") != "lsml":
        return failed(
            "port", f"another program listens at {address}",
            f"end it, or choose another port: --port, LSML_PORT or server.port of the recipe, now {port}",
        ), False  # fmt: skip
    if told.get("recipe") != recipe.name:
        return failed(
            "port", f"lsml answers at {address}, with the recipe {told.get('recipe')}",
            "give each recipe a port of its own: --port, or server.port of the recipe",
        ), False  # fmt: skip
    return passed("port", f"lsml answers at {address}"), True


def _free(address: str, host: str, port: int) -> Finding:
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        return failed("port", f"nothing can listen at {address}: {error.strerror}", "choose another host or port")
    return warned("port", f"nothing listens at {address}", "start `lsml run`")
