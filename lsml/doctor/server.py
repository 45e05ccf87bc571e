"""The check of the address at which lsml listens."""

from __future__ import annotations

import socket

from lsml.doctor.findings import Finding, failed, passed, warned
from lsml.recipe import Recipe
from lsml.studio.addresses import near_address, near_host, path_of, recipes_at


def examine_port(recipe: Recipe, host: str, port: int) -> tuple[Finding, bool]:
    """Return a finding on whether lsml answers at its address, or could listen there; and True if it answers."""
    import httpx

    address = near_address(host, port)
    try:
        names = recipes_at(host, port)
    except httpx.ConnectError:
        return _free(address, near_host(host), port), False
    if not names:
        return failed(
            "port", f"another program listens at {address}",
            f"end it, or choose another port: --port, LSML_PORT or server.port of the recipe, now {port}",
        ), False  # fmt: skip
    if recipe.name not in names:
        return failed(
            "port", f"lsml answers at {address}, with the recipe{'s' if len(names) > 1 else ''} {', '.join(names)}",
            "give each recipe its own port with --port or server.port of the recipe, or serve them together: `lsml "
            "run A.yaml B.yaml`",
        ), False  # fmt: skip
    return passed("port", f"lsml answers at {address}{path_of(recipe.name) if len(names) > 1 else ''}"), True


def _free(address: str, host: str, port: int) -> Finding:
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        return failed("port", f"nothing can listen at {address}: {error.strerror}", "choose another host or port")
    return warned("port", f"nothing listens at {address}", "start `lsml run`")
