"""What `lsml doctor` says of this machine and of the data directory, each thing broken by itself."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lsml.adapters import get_adapter
from lsml.doctor import data, machine
from lsml.recipe import load_recipe
from tests.conftest import Backend, tickets, write_recipe
from tests.support.commands import lsml, said
from tests.support.label_studio import free_port
from tests.support.web import Answer, Web


def examine(folder: Path, *arguments: object, **environment: str) -> tuple[int, dict[str, dict[str, str]]]:
    """(exit code, the last finding of each check) of `lsml doctor`."""
    done = lsml("doctor", "triage.yaml", "--json", *arguments, cwd=folder, environment=environment)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, {finding["check"]: finding for finding in json.loads(done.stdout)}


def test_a_sound_machine_fails_nothing_and_says_what_is_not_there_yet(tmp_path):
    write_recipe(tmp_path)
    done = lsml("doctor", "triage.yaml", "--port", free_port(), cwd=tmp_path)
    lines = said(done).splitlines()
    assert lines[0] == "pass  recipe: triage.yaml is valid"
    assert f"{sys.version_info.major}.{sys.version_info.minor}." in lines[1]
    assert "pass  adapter text-classifier: installed, with " in done.stdout
    assert "warn  label studio: lsml does not have its address" in done.stdout
    assert "      -> set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY" in done.stdout
    assert "skip  project: not checked: Label Studio cannot be asked" in done.stdout
    assert "0 failed" in lines[-1]
    assert list(tmp_path.iterdir()) == [tmp_path / "triage.yaml"], "it leaves nothing behind"


def test_a_data_directory_that_cannot_be_written(tmp_path):
    # Tests run as root, whom no permission stops; a file in the way stops everybody.
    write_recipe(tmp_path)
    (tmp_path / "file").write_text("")
    code, found = examine(tmp_path, "--data-dir", tmp_path / "file" / "data")
    assert code == 1
    assert found["data directory"]["state"] == "fail"
    assert found["data directory"]["found"].startswith(f"{tmp_path}/file/data cannot be written: Not a directory")
    assert found["data directory"]["fix"].startswith("make it writable for this user, or name another")


def test_a_disk_without_room(tmp_path):
    write_recipe(tmp_path, "server: {limits: {free_disk: 900000GB}}\n")
    code, found = examine(tmp_path)
    assert (code, found["disk"]["state"]) == (1, "fail")
    assert "with less than 900,000,000 MB (server.limits.free_disk), annotations are refused" in found["disk"]["found"]
    assert found["disk"]["fix"].startswith("make room, or move the data directory")


def test_a_port_that_another_program_has(tmp_path):
    write_recipe(tmp_path)
    with Web(lambda _asked: Answer(200, b"hello")) as web:
        port = int(web.url.rpartition(":")[2])
        code, found = examine(tmp_path, "--port", port)
    assert (code, found["port"]["state"]) == (1, "fail")
    assert found["port"]["found"] == f"another program listens at http://127.0.0.1:{port}"
    assert found["port"]["fix"].startswith("end it, or choose another port: --port, LSML_PORT or server.port")


@pytest.mark.slow
def test_a_server_without_a_worker(tmp_path):
    write_recipe(tmp_path)
    port = free_port()
    command = [sys.executable, "-m", "lsml", "serve", "triage.yaml", "--port", str(port)]
    server = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            code, found = examine(tmp_path, "--port", port)
            if found["port"]["state"] == "pass":
                break
            time.sleep(0.2)
    finally:
        server.kill()
        server.wait()
    assert (code, found["worker"]["state"]) == (1, "fail")
    assert found["worker"]["found"].startswith(
        "a server answers, but no worker is alive, so nothing is trained or published"
    )
    assert "lsml run" in found["worker"]["fix"]


def test_a_missing_extra_is_named_with_its_command(tmp_path, monkeypatch):
    # Which extras are installed differs from machine to machine: here none is.
    recipe = load_recipe(write_recipe(tmp_path))
    monkeypatch.setattr(machine, "is_installed", lambda _adapter: False)
    found = {finding.check: finding for finding in machine.examine_machine(recipe)}
    missing = found["adapter text-classifier"]
    assert (missing.state, missing.found) == ("fail", "its library is not installed")
    assert missing.fix.startswith('pip install "lsml')
    assert get_adapter("text-classifier").name in missing.check


def test_little_memory_and_a_network_file_system_are_warned_of(tmp_path, monkeypatch):
    recipe = load_recipe(write_recipe(tmp_path))
    monkeypatch.setattr(machine, "free_memory", lambda: 3e8)
    monkeypatch.setattr(data, "file_system", lambda _path: "nfs4")
    memory = {finding.check: finding for finding in machine.examine_machine(recipe)}["memory"]
    assert (memory.state, memory.found) == ("warn", "300 MB are free")
    directory = {finding.check: finding for finding in data.examine_directory(recipe, tmp_path)}["data directory"]
    assert directory.state == "warn"
    assert "is on a network (nfs4), where SQLite's locks are unreliable" in directory.found


def test_this_machines_file_system_and_memory_are_told():
    assert data.file_system(Path("/proc")) in ("proc", "")
    assert machine.free_memory() is None or machine.free_memory() > 0


def test_failed_and_forgotten_runs_are_named(tmp_path):
    backend = Backend(write_recipe(tmp_path), tmp_path / "data")
    backend.annotate(tickets(1))
    assert backend.train()["job_status"] == "failed"
    project = backend.store.projects.all()[0].key
    waiting = backend.store.runs.request(project, "publish", kind="publishing")
    backend.store.projects._run("UPDATE run SET due_at = due_at - 3600 WHERE id = ?", waiting.id)
    told = [(one.state, one.found) for one in data.examine_worker(backend.recipe, backend.store, serving=False)]
    backend.store.close()
    assert ("warn", "none lives") in told
    assert any(found.startswith("its last training failed: not enough data") for _, found in told)
    assert any(found == "a publishing is overdue for 60 min" for _, found in told)


def test_a_worker_that_only_starts_is_waited_for(tmp_path):
    backend = Backend(write_recipe(tmp_path), tmp_path / "data")
    starting = threading.Timer(0.5, backend.store.workers.beat)
    starting.start()
    told = [(one.state, one.found) for one in data.examine_worker(backend.recipe, backend.store, serving=True)]
    starting.join()
    backend.store.close()
    assert told == [("pass", "alive")]


@pytest.mark.parametrize("broken", ["tags: {Choices: no-such-adapter}\n", "training: {every: -1}\n"])
def test_a_recipe_that_is_wrong_is_said_as_everywhere(tmp_path, broken):
    write_recipe(tmp_path, broken)
    done = lsml("doctor", "triage.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "triage.yaml:" in done.stderr
