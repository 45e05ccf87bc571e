"""What is told to the address of `notify`: each promotion, each version that is not promoted, each failed run."""

from __future__ import annotations

import json
import logging
import sqlite3

import pytest

from lsml.worker.notify import notify
from tests.conftest import PROJECT, PROJECT_KEY, event, tickets
from tests.support.web import Answer, Web

NEVER = "training: {promote: never}\n"


def told(made, job: str) -> None:
    """Tell of a run that ended, and wait until it was told."""
    run = made.store.runs.get(job)
    thread = notify(made.recipe, made.store, run)
    if thread is not None:
        thread.join(timeout=30)


def recipe(web: Web, more: str = "", rest: str = "") -> str:
    return f"notify: {{url: '{web.url}/hook/secret-part'{more}}}\n{rest}"


def test_a_promotion_is_told_with_its_figures(backend):
    with Web(lambda _asked: Answer()) as web:
        made = backend(recipe(web))
        made.annotate(tickets(60))
        job = made.train()["job"]
        told(made, job)
    (asked,) = web.asked
    assert (asked.method, asked.path, asked.headers["content-type"]) == (
        "POST",
        "/hook/secret-part",
        "application/json",
    )
    body = json.loads(asked.body)
    expected = {
        "event": "promoted",
        "recipe": "triage",
        "project": PROJECT_KEY,
        "title": "triage",
        "run": job,
        "version": 1,
    }
    assert expected.items() <= body.items()
    assert body["metrics"]["topic"]["metric"] == "macro_f1"
    assert body["text"].startswith("triage, project triage: v1: promoted: the first version (topic macro_f1 ")


def test_slack_is_told_in_its_form_and_only_what_is_asked_for(backend):
    with Web(lambda _asked: Answer()) as web:
        made = backend(recipe(web, ", form: slack, on: [not promoted, failed]", NEVER))
        made.annotate(tickets(40))
        told(made, made.train()["job"])
        assert web.asked == [], "the first version is promoted, which nobody asked for"
        made.annotate(tickets(20, seed=3), first_id=100)
        told(made, made.train()["job"])
    (asked,) = web.asked
    assert list(json.loads(asked.body)) == ["text"]
    assert "v2: not promoted: the recipe says `promote: never`" in json.loads(asked.body)["text"]


def test_a_failed_run_is_told_and_a_cancelled_one_is_not(backend):
    with Web(lambda _asked: Answer()) as web:
        made = backend(recipe(web))
        made.annotate(tickets(1))
        told(made, made.train()["job"])
        job = made.post("/webhook", {"action": "START_TRAINING", "project": PROJECT}).json["job"]
        made.client.post(f"/api/runs/{job}/cancel")
        told(made, job)
    (asked,) = web.asked
    body = json.loads(asked.body)
    assert (body["event"], body["version"], body["metrics"]) == ("failed", None, {})
    assert body["text"].startswith("triage, project triage: training failed: not enough data")


@pytest.mark.parametrize(("answers", "times", "why"), [((404,), 1, "it answered 404"), ((500, 200), 2, None)])
def test_who_cannot_be_told_is_logged_without_the_address_and_asked_again_where_it_may_help(
    backend, caplog, monkeypatch, answers, times, why
):
    monkeypatch.setattr("lsml.worker.notify._TRIES_S", (0.0, 0.01, 0.01))
    given = iter(answers)
    with Web(lambda _asked: Answer(status=next(given))) as web:
        made = backend(recipe(web))
        made.annotate(tickets(40))
        job = made.train()["job"]
        with caplog.at_level(logging.WARNING):
            told(made, job)
    assert len(web.asked) == times
    said = [message for message in caplog.messages if message.startswith("notify: ")]
    assert said == ([f"notify: the message promoted could not be sent: {why}"] if why else [])
    assert "secret-part" not in repr(made.recipe.notify)
    assert made.recipe.notify.url in made.recipe.secrets()


@pytest.mark.slow
def test_the_worker_tells_of_the_runs_that_it_did(tmp_path):
    from tests.conftest import write_recipe
    from tests.support.backend import RunningBackend, until

    with Web(lambda _asked: Answer()) as web:
        path = write_recipe(tmp_path, recipe(web, rest="training: {every: 10, quiet: 0s}\n"))
        with RunningBackend(path, tmp_path / "data") as running:
            for id, (text, label) in enumerate(tickets(30), 1):
                running.post("/webhook", event(id, text, label))
            until("it is told", lambda: [asked for asked in web.asked if b'"promoted"' in asked.body])
        assert "secret-part" not in running.output


def test_a_drift_is_told_beside_what_became_of_the_version_and_once(backend):
    with Web(lambda _asked: Answer()) as web:
        made = backend(recipe(web, rest="training: {promote: never, every: 1000}\n"))
        made.annotate(tickets(90))
        told(made, made.train()["job"])
        bugs = [pair for pair in tickets(400, seed=3) if pair[1] == "Bug"]
        for first in (500, 600):
            made.annotate(bugs[:60], first_id=first)
            told(made, made.train()["job"])
    bodies = [json.loads(asked.body) for asked in web.asked]
    assert [body["event"] for body in bodies] == ["promoted", "not promoted", "drift", "not promoted"]
    assert bodies[2]["version"] == 2
    assert bodies[2]["text"].startswith(
        "triage, project triage: topic: the distribution of labels has changed since v1 was trained ("
    )


def test_where_more_annotations_hardly_help_it_is_told_once(backend):
    with Web(lambda _asked: Answer()) as web:
        made = backend(recipe(web, ", on: [stop]", "training: {every: 1000, holdout: {share: 0.5}}\n"))
        made.annotate(tickets(80))
        told(made, made.train()["job"])
        # As if it were an old project, whose versions were judged by many.
        row = made.store.versions.get(PROJECT_KEY, 1)
        curve = [
            {"version": number - 9, "annotations": 100 * 2**number, "value": 0.99, "judged": 5000}
            for number in range(5)
        ]
        with sqlite3.connect(made.store.directory / "lsml.db") as database:
            database.execute("UPDATE version SET card = ?", (json.dumps({**row.card, "history": curve}),))
        database.close()
        for first in (200, 300):
            made.annotate(tickets(30, seed=first), first_id=first)
            told(made, made.train()["job"])
    (asked,) = web.asked
    body = json.loads(asked.body)
    assert (body["event"], body["version"]) == ("stop", 2)
    assert body["text"].startswith(
        "triage, project triage: more annotations will hardly help: the next 100 annotations bring +"
    )
