"""`lsml run --reload`: a good change of the recipe is served without a refused request, a bad one changes nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import httpx
import psutil
import pytest

from lsml.cli import reloading
from lsml.cli.screen import Screen
from lsml.recipe import load_recipe
from tests.conftest import TOPICS, export, tickets, write_recipe
from tests.support.backend import RunningBackend, until
from tests.support.commands import lsml, said

pytestmark = pytest.mark.skipif(not hasattr(__import__("signal"), "SIGHUP"), reason="needs SIGHUP")
EVERYTHING = "tags:\n  Choices:\n    adapter: text-classifier\n    threshold: {threshold}\n"


@pytest.fixture
def running(tmp_path) -> Iterator[RunningBackend]:
    recipe = write_recipe(tmp_path, EVERYTHING.format(threshold=0))
    (tmp_path / "train.json").write_text(json.dumps(export(tickets(60))))
    said(lsml("train", "triage.yaml", "train.json", "--data-dir", "data", cwd=tmp_path))
    with RunningBackend(recipe, tmp_path / "data", arguments=["--reload"]) as started:
        until("it answers", lambda: answers(started))
        yield started


def answers(backend: RunningBackend) -> list:
    body = {"tasks": [{"id": 1, "data": {"text": tickets(1)[0][0]}}]}
    return backend.post("/predict", body)["results"][0]["result"]


def change(backend: RunningBackend, text: str) -> None:
    write_recipe(backend.recipe.parent, text)


def test_a_good_change_is_served_and_no_request_is_refused(running):
    codes: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        body = {"tasks": [{"id": 1, "data": {"text": "refund my invoice"}}]}
        with httpx.Client(base_url=running.address, trust_env=False) as client:
            while not stop.is_set():
                codes.append(client.post("/predict", json=body).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        processes = [process.pid for process in running.family()]
        change(running, EVERYTHING.format(threshold=1))
        until("the new threshold hides every answer", lambda: answers(running) == [])
        change(running, EVERYTHING.format(threshold=0))
        until("the old one shows it again", lambda: answers(running) != [])
    finally:
        stop.set()
        asking.join()
    assert set(codes) == {200}
    assert len(codes) > 10
    assert set(processes) <= {process.pid for process in running.family()}, "no process was started anew"
    until("it says so", lambda: running.output.count("changed and is in use") == 2)


def test_what_only_a_start_reads_is_said(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(reloading, "_EVERY_S", 0)
    path = write_recipe(tmp_path, EVERYTHING.format(threshold=0))
    watcher = reloading.Reloading(load_recipe(path), tmp_path / "held.yaml", [], Screen(live=False))
    write_recipe(tmp_path, "server: {processes: 2, cache: 0, limits: {waiting: 9, tasks: 5}}\n")
    for _ in range(2):
        watcher.look()
    told = "".join(capfd.readouterr())
    assert "lsml: server.processes, server.limits.waiting: the change takes effect at the next start" in told
    assert "changed and is in use" in told


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tags: {Choices: no-such-adapter}\n", "no-such-adapter"),
        ("tags: {Choices: text-classifier}\n  half: [of", "triage.yaml:"),
        (
            "tags: {Choices: text-classifier}\nstorage: {directory: elsewhere}\n",
            "set the data directory; restart lsml",
        ),
    ],
)
def test_a_bad_change_is_said_and_the_recipe_before_is_served_on(running, text, sentence):
    before = answers(running)
    change(running, text)
    until("it says so", lambda: "the old recipe stays in use" in running.output)
    assert sentence in running.output
    assert answers(running) == before
    # A process that dies meanwhile comes back with what was accepted.
    server = serving(running)
    assert server is not None
    server.kill()
    until("it is back", lambda: (found := serving(running)) is not None and found.pid != server.pid)
    until("it answers as before", lambda: _same(running, before))
    change(running, EVERYTHING.format(threshold=1))
    until("the next good one is served", lambda: answers(running) == [])


def serving(running: RunningBackend) -> psutil.Process | None:
    """The process of the server, where one lives."""
    for process in running.family():
        try:
            if "serve" in process.cmdline():
                return process
        except psutil.Error:
            continue
    return None


def _same(running: RunningBackend, before: list) -> bool:
    try:
        return answers(running) == before
    except (httpx.HTTPError, psutil.Error):
        return False


def test_without_the_flag_a_change_waits_for_the_next_start(tmp_path):
    recipe = write_recipe(tmp_path, config=TOPICS)
    with RunningBackend(recipe, tmp_path / "data") as started:
        name = started.get("/api/projects")["recipe"]
        write_recipe(tmp_path, "tags: {Choices: no-such-adapter}\n")
        assert started.get("/api/projects")["recipe"] == name
        assert "no-such-adapter" not in started.output
