"""Real servers of the engines that several machines share, each in a folder of its own and on a free port."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.backend import until
from tests.support.label_studio import free_port


def _program(name: str, *more: str) -> str:
    """The path of a server's program; else the test is skipped."""
    found = next((str(path) for place in more for path in Path("/").glob(place)), None) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yields the address of an empty database of PostgreSQL."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    initdb = Path(_program("initdb", "usr/lib/postgresql/*/bin/initdb"))
    # PostgreSQL refuses to run as root, and the user it runs as cannot enter pytest's folders.
    user = "postgres" if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="lsml-postgres-"))
    port = free_port()
    if user is not None:
        shutil.chown(folder, user)
    initialise = [
        initdb,
        "-D",
        folder / "data",
        "-U",
        "lsml",
        "--no-sync",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    ]
    subprocess.run(initialise, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
    serve = [initdb.parent / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(serve, user=user, cwd=folder, stdout=log, stderr=log)
    try:
        ready = [initdb.parent / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        until("PostgreSQL answers", lambda: subprocess.run(ready).returncode == 0, 30)
        yield f"postgresql://lsml@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # SIGTERM waits for its clients
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
