"""Full and read-only disks, damaged files, wrong clocks, two owners: each is one sentence, and nothing is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager

import pytest

from lsml.store import Store
from lsml.store.tables import FORMAT
from tests.conftest import PROJECT, PROJECT_KEY, TOPICS, event, write_recipe
from tests.support.backend import RunningBackend, until
from tests.support.processes import RECIPE, running

pytestmark = pytest.mark.skipif(os.name != "posix", reason="mounts file systems and sends POSIX signals")


def lsml(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lsml", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


@contextmanager
def mounted(directory, *options: str):
    """A file system on `directory`; skips where this machine lets nobody mount one."""
    directory.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, str(directory)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount a file system here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@contextmanager
def read_only(directory):
    """A directory that nobody can write, not even root."""
    with mounted(directory, "--bind", str(directory)):
        done = subprocess.run(["mount", "-o", "remount,bind,ro", str(directory)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"cannot mount read-only here: {done.stderr.strip()}")
        yield


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_full_disk_refuses_annotations_with_a_sentence_and_keeps_what_it_acknowledged(tmp_path):
    data = tmp_path / "data"
    recipe = write_recipe(tmp_path, RECIPE + "server: {limits: {free_disk: 0}}\n")
    with (
        mounted(data, "-t", "tmpfs", "-o", "size=3m", "tmpfs"),
        RunningBackend(recipe, data, environment={"PYTHONDONTWRITEBYTECODE": "1"}) as lsml,
    ):
        acknowledged = []
        refused = None
        for id in range(1, 400):
            answer = lsml.client.post("/webhook", json=event(id, f"invoice {id} " + "x" * 20_000, "Billing"))
            if answer.is_success:
                acknowledged.append(str(id))
            else:
                refused = answer
                break
        assert refused is not None
        assert refused.status_code in (503, 507), refused.text
        assert "the disk is full: make room; no acknowledged annotation is lost" in refused.text
        assert lsml.get("/health")["status"] == "UP"
        subprocess.run(["mount", "-o", "remount,size=64m", str(data)], check=True)
        assert lsml.client.post("/webhook", json=event(401, "it goes on", "Bug")).is_success
        store = Store(data)
        stored = {task.id for task in store.annotations.tasks(PROJECT_KEY)}
        store.close()
        assert {*acknowledged, "401"} <= stored


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", ["sealed", "snapshot-taken", "model-saved", "file-synced", "folder-renamed", "published"]
)
def test_a_disk_that_is_full_during_a_training_fails_the_run_and_the_version_before_stays(tmp_path, step):
    with running(tmp_path) as processes:
        processes.start_training()
        processes.settle()
        processes.check()
        processes.arm(f"{step}@full@1")
        job = processes.start_training()
        processes.settle()
        run = processes.store.runs.get(job)
        assert processes.struck() == [f"{step}@full@1"]
        assert (run.state, run.attempt) == ("failed", 1)
        assert "No space left on device" in run.message
        assert "\n" not in run.message
        processes.jobs.remove(job)
        assert [row.number for row in processes.store.versions.of_project(PROJECT_KEY)] == [1]
        left = [path.name for path in processes.store.artifacts.root.iterdir() if path.name.startswith(".making-")]
        assert left == []
        processes.start_training()  # there is room again
        processes.settle()
        assert processes.store.versions.promoted(PROJECT_KEY) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="mounts read-only")
@pytest.mark.parametrize("verb", ["run", "serve", "work"])
def test_a_read_only_data_directory_is_one_sentence(tmp_path, verb):
    recipe = write_recipe(tmp_path, RECIPE)
    data = tmp_path / "data"
    Store(data).close()
    with read_only(data):
        done = lsml(verb, recipe, "--data-dir", data, *(["--port", "0"] if verb != "work" else []))
    assert done.returncode == 1
    assert done.stderr == (
        f"{data}/lsml.db: cannot be opened for writing: Read-only file system; make the data directory writable for "
        "this user, or name another with --data-dir\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="mounts read-only")
def test_a_data_directory_that_cannot_be_made_is_one_sentence(tmp_path):
    recipe = write_recipe(tmp_path, RECIPE)
    inside = tmp_path / "disk"
    inside.mkdir()
    with read_only(inside):
        done = lsml("run", recipe, "--data-dir", inside / "data", "--port", "0")
    assert (done.returncode, done.stderr) == (
        1,
        f"{inside}/data: cannot make the data directory: Read-only file system; name another with --data-dir\n",
    )


@pytest.mark.slow
def test_a_corrupt_version_is_not_loaded_and_the_next_training_replaces_it(tmp_path):
    with running(tmp_path) as processes:
        processes.start_training()
        processes.settle()
        row = processes.store.versions.get(PROJECT_KEY, 1)
        folder = processes.store.artifacts.root / row.folder
        damaged = next(path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "card.json")
        damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
        until("the server is dead", lambda: not processes.kill("server"))
        processes.start()
        body = {"tasks": [{"id": 1, "data": {"text": "refund"}}], "project": PROJECT_KEY, "label_config": TOPICS}
        answer = processes.client.post("/predict", json=body)
        sentence = f"{damaged}: was changed after it was saved; restore it, or promote another version"
        assert answer.status_code == 503 or answer.json()["results"] == [[]], answer.text
        assert sentence in answer.text + processes.tail()
        processes.start_training()
        processes.settle()
        assert processes.store.versions.promoted(PROJECT_KEY) == 2
        processes.serves(2)


@pytest.mark.slow
@pytest.mark.parametrize("by_s", [-86_400, 86_400])
def test_a_clock_that_jumps_loses_no_run_and_stops_no_training(tmp_path, by_s):
    with running(tmp_path) as processes:
        processes.start_training()
        processes.settle()
        (processes.faults / "clock").write_text(str(by_s))
        processes.annotate(3)
        processes.start_training()
        processes.settle(60)
        processes.check()
        (processes.faults / "clock").unlink()
        processes.annotate(3)
        processes.start_training()
        processes.settle(60)
        processes.check()
        assert processes.store.versions.promoted(PROJECT_KEY) == 3


@pytest.mark.slow
def test_a_clock_that_is_set_back_does_not_hold_up_a_run_that_waits_or_one_whose_worker_was_killed(tmp_path):
    with running(tmp_path) as processes:
        processes.arm("run-claimed@after@1")  # the worker dies with the run in its hands
        processes.start_training()
        until("the worker died", lambda: processes.struck(), 30)
        (processes.faults / "clock").write_text("-86400")
        processes.settle(60)
        processes.check()


def test_a_second_run_on_a_data_directory_is_refused_with_a_sentence(tmp_path):
    recipe = write_recipe(tmp_path, RECIPE)
    data = tmp_path / "data"
    with RunningBackend(recipe, data) as first:
        second = lsml("run", recipe, "--data-dir", data, "--port", "0")
        assert (second.returncode, second.stderr) == (
            1,
            f"{data}: another `lsml run` uses this data directory; stop it, or give another directory with "
            "--data-dir\n",
        )
        assert first.get("/health")["status"] == "UP"
        first.family()[0].send_signal(signal.SIGKILL)  # a lock must not outlive its owner
        until("the first is gone", lambda: not [one for one in first.family() if one.status() != "zombie"], 20)
        first.kill()
        first.start()
        assert first.post("/webhook", {"action": "START_TRAINING", "project": PROJECT})["job"]


@pytest.mark.parametrize(("found", "verb"), [(str(FORMAT + 1), "run"), ("0", "serve"), (str(FORMAT + 1), "work")])
def test_a_data_directory_of_another_format_is_refused_and_left_as_it_is(tmp_path, found, verb):
    recipe = write_recipe(tmp_path, RECIPE)
    data = tmp_path / "data"
    Store(data).close()
    with sqlite3.connect(data / "lsml.db") as database:
        database.execute("UPDATE meta SET value = ? WHERE key = 'format'", (found,))
    database.close()
    done = lsml(verb, recipe, "--data-dir", data, *(["--port", "0"] if verb != "work" else []))
    assert (done.returncode, done.stderr) == (
        1,
        f"{data}/lsml.db: has format {found}, and this lsml reads format {FORMAT}; use the lsml that wrote it, "
        "or name another data directory with --data-dir\n",
    )
    with sqlite3.connect(data / "lsml.db") as database:
        assert database.execute("SELECT value FROM meta WHERE key = 'format'").fetchone() == (found,)
    database.close()


def test_a_damaged_database_is_one_sentence(tmp_path):
    recipe = write_recipe(tmp_path, RECIPE)
    data = tmp_path / "data"
    data.mkdir()
    (data / "lsml.db").write_bytes(b"this is no database, however long it may be" * 100)
    done = lsml("run", recipe, "--data-dir", data, "--port", "0")
    assert (done.returncode, done.stderr) == (
        1,
        f"{data}/lsml.db: file is not a database; the file is damaged: restore it from a backup, or move it away to "
        "start over\n",
    )
