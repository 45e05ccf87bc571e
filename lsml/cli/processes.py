"""Several processes that answer requests at one port, for models that compute in Python."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsml.cli.children import ready_file
from lsml.cli.supervisor import Child
from lsml.errors import LsmlError

if TYPE_CHECKING:
    from lsml.cli.screen import Screen
    from lsml.recipe import Recipe

COUNTS: Final = "PROMETHEUS_MULTIPROC_DIR"  # the folder in which processes share the counters of /metrics
# Threads of linear algebra wait in busy loops, so the processes share the cores.
_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def processes_of(recipes: Sequence[Recipe]) -> int:
    """Return the number of processes that answer requests. Raises LsmlError where several cannot."""
    wanted = max(recipe.server.processes for recipe in recipes)
    if wanted > 1 and len(recipes) > 1:
        raise LsmlError("server.processes: several recipes are served by one process; start one lsml for each recipe")
    if wanted > 1 and os.name != "posix":
        raise LsmlError("server.processes: this system cannot share a port between processes; set it to 1")
    return wanted


def servers(
    arguments: Sequence[str], host: str, port: int, many: int, directory: Path, screen: Screen
) -> tuple[Child, ...]:
    """Return the child processes of `lsml serve` with these arguments, which answer at one address. Raises PortInUse.

    This process holds the port for them. So a request that comes while one of them dies is answered by another.
    """
    command = [sys.executable, "-m", "lsml", "serve", *arguments, "--host", host, "--port", str(port), "--child"]
    if many == 1:
        return (Child("server", command, ready_file(directory, "serve"), screen),)
    from lsml.server.listening import listen

    listener = listen(host, port)
    counts = directory / "metrics"
    shutil.rmtree(counts, ignore_errors=True)
    counts.mkdir(mode=0o700)
    each = str(max(1, (os.cpu_count() or 1) // many))
    environment = {COUNTS: str(counts), **{name: os.environ.get(name, each) for name in _THREADS}}
    descriptor = listener.detach()
    return tuple(
        Child(
            f"server {number}",
            [*command, "--socket", str(descriptor), "--number", str(number)],
            ready_file(directory, f"serve-{number}"),
            screen,
            descriptors=[descriptor],
            environment=environment,
        )
        for number in range(1, many + 1)
    )
