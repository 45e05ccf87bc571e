"""Real servers of the engines that several machines share, each in a folder of its own and on a free port."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.support.backend import until
from tests.support.label_studio import free_port


def _program(name: str, *more: str) -> str:
    """The path of a server's program; else the test is skipped."""
    found = next((str(path) for place in more for path in Path("/").glob(place)), None) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


class PostgresServer:
    """A server of PostgreSQL with an empty database at `url`, which can be stopped and started again."""

    def __init__(self) -> None:
        pytest.importorskip("psycopg", reason="psycopg is not installed")
        self._initdb = Path(_program("initdb", "usr/lib/postgresql/*/bin/initdb"))
        # PostgreSQL refuses to run as root, and the user it runs as cannot enter pytest's folders.
        self._user = "postgres" if os.getuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="lsml-postgres-"))
        self.port = free_port()
        self.url = f"postgresql://lsml@127.0.0.1:{self.port}/postgres"
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        initialise = [self._initdb, "-D", self.folder / "data", "-U", "lsml", "--no-sync", "-A", "trust", "-E", "UTF8",
                      "--locale=C.UTF-8"]  # fmt: skip
        subprocess.run(initialise, check=True, user=self._user, cwd=self.folder, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        serve = [self._initdb.parent / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k", self.folder,
                 "-c", "fsync=off"]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(serve, user=self._user, cwd=self.folder, stdout=log, stderr=log)
        ready = [self._initdb.parent / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        until("PostgreSQL answers", lambda: subprocess.run(ready).returncode == 0, 30)

    def refuse_writes(self, refused: bool) -> None:
        """From now on refuse every write, as a server that became a replica or whose disk is full; or take them again."""
        psycopg = pytest.importorskip("psycopg")
        with psycopg.connect(self.url, autocommit=True, options="-c default_transaction_read_only=off") as connection:
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if refused else 'off'}")
            connection.execute("SELECT pg_reload_conf()")

    def stop(self) -> None:
        """End every connection, and stop it."""
        self._server.send_signal(signal.SIGINT)  # SIGTERM waits for its clients
        self._server.wait(30)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Yields a server that answers."""
    server = PostgresServer()
    try:
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(server.folder, ignore_errors=True)


@contextmanager
def shared_storage() -> Iterator[dict[str, str]]:
    """Yields the `storage` of a recipe on servers of all three, whose credentials are in the environment meanwhile."""
    with (
        postgres_server() as postgres,
        redis_server() as redis,
        s3_bucket() as bucket,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in bucket.environment.items():
            patch.setenv(name, value)
        yield {"database": postgres.url, "queue": redis.url, "artifacts": bucket.url}


@contextmanager
def fresh_storages() -> Iterator[Callable[[], dict[str, str]]]:
    """Yields a function that returns another `storage` each time, which is empty, on servers that all of them share."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    numbers = itertools.count(1)
    with shared_storage() as shared:

        def fresh() -> dict[str, str]:
            name = f"fresh{next(numbers)}"
            with psycopg.connect(shared["database"], autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            address = shared["database"].rpartition("/")[0]
            return {**shared, "database": f"{address}/{name}", "artifacts": f"{shared['artifacts']}/{name}"}

        yield fresh


class RedisServer:
    """A Redis at `url` that keeps everything in memory, and is empty after each start."""

    def __init__(self) -> None:
        pytest.importorskip("redis", reason="redis is not installed")
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._command = [_program("redis-server"), "--port", str(self._port), "--bind", "127.0.0.1", "--save", "",
                         "--appendonly", "no"]  # fmt: skip

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._server = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())
        until("Redis answers", lambda: listens(self._port), 10)

    def stop(self) -> None:
        self._server.terminate()
        self._server.wait(10)


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Yields a server that answers."""
    server = RedisServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass(frozen=True)
class Bucket:
    """A bucket of S3, and the environment in which programs find its server."""

    url: str
    environment: dict[str, str]
    files: Any  # s3fs, to look into it
    _flag: Path

    def refuse_writes(self) -> None:
        self._flag.touch()

    def take_writes(self) -> None:
        self._flag.unlink(missing_ok=True)


@contextmanager
def s3_bucket() -> Iterator[Bucket]:
    """Yields an empty bucket of a server that keeps everything in memory."""
    pytest.importorskip("moto", reason="moto is not installed")
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    port = free_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "lsml", "AWS_SECRET_ACCESS_KEY": "sesame",
        "AWS_DEFAULT_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    flag = Path(tempfile.mkdtemp(prefix="lsml-s3-")) / "refuses"
    command = [sys.executable, "-m", "tests.support.s3_server", str(port), str(flag)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=REPOSITORY)
    try:
        until("the S3 server answers", lambda: listens(port), 30)
        files = s3fs.S3FileSystem(
            key="lsml", secret="sesame", endpoint_url=environment["AWS_ENDPOINT_URL"],
            client_kwargs={"region_name": "eu-central-1"}, skip_instance_cache=True, use_listings_cache=False,
        )  # fmt: skip
        files.mkdir("lsml-test", region_name="eu-central-1")
        yield Bucket("s3://lsml-test/models", environment, files, flag)
    finally:
        server.terminate()
        server.wait(10)
        shutil.rmtree(flag.parent)


def listens(port: int) -> bool:
    """True if a server accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
