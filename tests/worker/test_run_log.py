"""A run's log: kept while it works, masked, shown on the page and by the API, and never in the way of the run."""

from __future__ import annotations

import logging

import pytest

from lsml.errors import StoreError
from lsml.logs import keep_secret
from lsml.store import Store
from lsml.worker.run_log import kept_log
from tests.conftest import PROJECT_KEY, tickets


@pytest.fixture(autouse=True)
def _told():
    logging.getLogger("lsml").setLevel("INFO")


def test_what_a_training_logged_is_on_the_page_and_in_the_api(backend):
    here = backend("training: {every: 1000, quiet: 0s}\n")
    here.annotate(tickets(40))
    here.train()
    run = here.client.get(f"/api/projects/{PROJECT_KEY}").json["runs"][0]["job"]
    lines = here.client.get(f"/api/runs/{run}/log").json["lines"]
    assert any("made v1 of project" in line["text"] and line["level"] == "INFO" for line in lines)
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    page = here.client.get(f"/projects/{PROJECT_KEY}").text
    assert "Log of the latest training" in page
    assert f"run {run}: made v1 of project" in page


def test_a_run_that_is_not_there_has_no_log(backend):
    answer = backend().client.get("/api/runs/nobody/log")
    assert (answer.status_code, answer.json["error"]) == (404, "no training run has that id")


def test_secrets_are_masked_and_other_runs_are_kept_apart(tmp_path):
    keep_secret(["open-sesame"])
    store = Store(tmp_path)
    for run in ("a", "b"):
        with kept_log(store, run):
            logging.getLogger("lsml.test").warning("run %s asked with %s", run, "open-sesame")
    logging.getLogger("lsml.test").warning("after both")
    assert [line.text for line in store.run_lines.of_run("a")] == ["run a asked with [secret]"]
    assert [line.text for line in store.run_lines.of_run("b")] == ["run b asked with [secret]"]


def test_a_store_that_refuses_lines_does_not_end_the_run(tmp_path, monkeypatch):
    store = Store(tmp_path)

    def refuse(run, lines):
        raise StoreError("the disk is full")

    monkeypatch.setattr(store.run_lines, "add", refuse)
    done = []
    with kept_log(store, "a"):
        logging.getLogger("lsml.test").warning("a line")
        done.append(True)
    assert done
    assert store.run_lines.of_run("a") == []


def test_the_oldest_lines_go_first(tmp_path, monkeypatch):
    monkeypatch.setattr("lsml.store.run_lines._MAX_LINES", 3)
    store = Store(tmp_path)
    for number in range(5):
        with kept_log(store, "a"):
            logging.getLogger("lsml.test").warning("line %d", number)
    assert [line.text for line in store.run_lines.of_run("a")] == ["line 2", "line 3", "line 4"]
