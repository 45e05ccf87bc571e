"""A data directory that an older lsml made opens, with everything in it; one that a newer lsml made is refused."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lsml.errors import StoreError
from lsml.store import Store
from tests.support.threads import ended_threads

# The tables of format 1 that a later format changed, as it made them.
FORMAT_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO meta VALUES ('format', '1');
CREATE TABLE project (
    key TEXT PRIMARY KEY, studio_id INTEGER, title TEXT NOT NULL DEFAULT '', labeling_config TEXT,
    config_at REAL NOT NULL DEFAULT 0, hostname TEXT, token TEXT, created_at REAL NOT NULL,
    change INTEGER NOT NULL DEFAULT 0, covered INTEGER NOT NULL DEFAULT 0, usable INTEGER NOT NULL DEFAULT 0,
    promoted INTEGER, synced_to TEXT, sync_wanted INTEGER NOT NULL DEFAULT 0, sync_error TEXT);
INSERT INTO project (key, studio_id, created_at, promoted) VALUES ('7.1700000000', 7, 1.0, 3);
CREATE TABLE annotation (
    project TEXT NOT NULL, id TEXT NOT NULL, task TEXT, result TEXT NOT NULL DEFAULT '[]',
    updated_at TEXT NOT NULL DEFAULT '', cancelled INTEGER NOT NULL DEFAULT 0,
    ground_truth INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0, change INTEGER NOT NULL,
    PRIMARY KEY (project, id));
CREATE TABLE run (
    id TEXT PRIMARY KEY, project TEXT NOT NULL, state TEXT NOT NULL, cause TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0, losses INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL, due_at REAL NOT NULL, woken_at REAL, started_at REAL, finished_at REAL,
    lease_until REAL, cancel INTEGER NOT NULL DEFAULT 0, progress REAL NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT '', version INTEGER);
CREATE UNIQUE INDEX run_one_waiting ON run (project) WHERE state = 'waiting';
CREATE UNIQUE INDEX run_one_running ON run (project) WHERE state = 'running';
INSERT INTO run (id, project, state, cause, created_at, due_at) VALUES ('a', '7.1700000000', 'waiting', 'annotations', 1, 1);
"""


def test_a_directory_of_format_1_opens_with_its_projects_and_runs(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "lsml.db") as database:
        database.executescript(FORMAT_1)
    database.close()

    for _ in range(2):  # brought up to date once, and opened as it is from then on
        store = Store(tmp_path)
        project = store.projects.get("7.1700000000")
        assert project is not None
        assert (project.promoted, project.publish_wanted) == (3, False)
        run = store.runs.get("a")
        assert run is not None
        assert (run.kind, run.state) == ("training", "waiting")
        assert store.runs.counts() == {"waiting": 1}
        store.beginnings.forget("7.1700000000", "1")  # its tables are there
        assert not store.people.has_strangers("7.1700000000")
        store.close()

    store = Store(tmp_path)
    publishing = store.runs.request("7.1700000000", "promoted", kind="publishing")
    assert publishing.id != "a", "a waiting training does not stand in the way of a publishing"
    assert store.runs.due("training") == ["a"]
    assert store.runs.due("publishing") == [publishing.id]


def test_a_directory_of_a_newer_format_is_refused_with_a_sentence(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "lsml.db") as database:
        database.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    database.close()
    with pytest.raises(StoreError, match="has format 99, and this lsml reads format"):
        Store(tmp_path)


def test_the_connection_of_a_thread_is_closed_when_the_thread_ends(tmp_path: Path) -> None:
    def open_files() -> int:
        return sum(file.path == str(tmp_path / "lsml.db-wal") for file in psutil.Process().open_files())

    store = Store(tmp_path)
    store.projects.all()
    before = open_files()
    with ended_threads(store.projects.all):  # a collection would close their connections, sooner or later
        assert open_files() == before


def test_a_process_ends_silently_while_its_threads_have_connections(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, threading\n"
        "from lsml.store import Store\n"
        "store, known = Store(pathlib.Path(sys.argv[1])), threading.Event()\n"
        "def wait():\n"
        "    store.projects.all()\n"
        "    known.set()\n"
        "    threading.Event().wait()\n"
        "threading.Thread(target=wait, daemon=True).start()\n"
        "known.wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
