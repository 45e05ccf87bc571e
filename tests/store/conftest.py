"""The store on each engine: the tests of this folder run on SQLite, and the slow ones on a real PostgreSQL."""

import itertools
import time

import pytest

from lsml.recipe import Storage
from lsml.store import Store
from tests.support.engines import postgres_server, redis_server, s3_bucket

_names = itertools.count()


@pytest.fixture(scope="session")
def postgres():
    """The address of a PostgreSQL server, in a database that tests share by names of their own."""
    with postgres_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def redis():
    """The address of a Redis server."""
    with redis_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def s3_server():
    """The address and the environment of an S3 server, with one bucket."""
    with s3_bucket() as found:
        yield found


@pytest.fixture
def s3(s3_server, monkeypatch):
    """The address of a bucket, whose server and credentials are in the environment."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server.url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def opened(request, tmp_path):
    """Opens the store of this test, as each process does for itself; with another name, another one."""
    url = request.getfixturevalue("postgres") if request.param == "postgres" else None
    mine = next(_names)

    def open_store(name: str = "triage") -> Store:
        return Store(tmp_path / name, Storage(database=url), f"{name}-{mine}")

    return open_store


@pytest.fixture
def now(monkeypatch):
    """The clock of the database, which stands still until a test sets it."""
    clock = {"now": 1_000.0}
    monkeypatch.setattr(time, "time", lambda: clock["now"])
    try:
        from lsml.store.postgres import Postgres
    except ImportError:
        return clock
    monkeypatch.setattr(Postgres, "now", lambda _database: clock["now"])
    return clock
