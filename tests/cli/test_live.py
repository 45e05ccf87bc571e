"""The lines that `lsml run --connect` shows: what they say of a project, and how they stay below what is said."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from lsml.cli import main
from lsml.cli.live import state_line
from lsml.recipe import load_recipe
from lsml.store import Store
from tests.conftest import PROJECT_KEY, event, tickets, write_recipe
from tests.support.label_studio import free_port
from tests.support.small_studio import TOKEN, SmallStudio
from tests.support.terminal import Terminal, at_a_terminal
from tests.support.web import Web


@pytest.fixture
def line(backend):
    """(lsml in this process, the line of its project)"""
    server = backend("training: {quiet: 1h}\n")
    server.store.projects.touch(PROJECT_KEY, studio_id=1, title="triage")

    def told():
        return state_line(server.recipe, server.store, server.store.projects.get(PROJECT_KEY))

    return server, told


def test_before_the_first_training_it_says_how_many_annotations_are_awaited(line):
    server, told = line
    assert told() == "triage: 0 of 10 annotations until the first training"
    server.annotate(tickets(7))
    assert told() == "triage: 7 of 10 annotations until the first training"
    server.annotate(tickets(3, seed=1), first_id=8)
    assert told() == "triage: the first training starts when nobody annotates for a moment"


def test_a_training_that_waits_for_the_night_says_when_it_starts(backend):
    server = backend('training: {at: "02:00 UTC", quiet: 1s}\n')
    server.annotate(tickets(10))
    [run] = server.store.runs.of_project(PROJECT_KEY)
    start = datetime.fromtimestamp(run.due_at).astimezone()
    assert start.astimezone(UTC).strftime("%H:%M") == "02:00"
    said = f"the {{}} training starts at {start:%H:%M %Z}"
    project = server.store.projects.get(PROJECT_KEY)
    assert state_line(server.recipe, server.store, project) == f"triage: {said.format('first')}"
    told = CliRunner().invoke(main, ["status", str(server.recipe_path), "--data-dir", str(server.store.directory)])
    assert told.stdout.splitlines()[2] == f"  10 annotations; {said.format('next')}"


def test_accepted_predictions_count_where_the_recipe_learns_from_them(backend):
    for option, awaited in (("", 0), (", learn_from: {accepted: true}", 3)):
        server = backend(f"training: {{quiet: 1h{option}}}\n")
        for id, (text, label) in enumerate(tickets(3), 1):
            server.post("/webhook", event(id, text, label, parent_prediction=id))
        said = state_line(server.recipe, server.store, server.store.projects.get(PROJECT_KEY))
        assert said == f"triage: {awaited} of 10 annotations until the first training"


def test_what_a_training_came_to_stays_beside_what_the_next_awaits(line):
    server, told = line
    server.annotate(tickets(12))
    server.train()
    assert re.fullmatch(
        r"triage: v1 in \d+\.\d s: macro_f1 \d\.\d\d, too few to rely on; 0 of 10 annotations until the next training",
        told(),
    )
    server.annotate(tickets(120))
    server.train()
    assert re.fullmatch(
        r"triage: v2 in \d+\.\d s: macro_f1 \d\.\d\d; 0 of 12 annotations until the next training", told()
    )


def test_what_is_at_work_comes_first(line):
    server, told = line
    runs, claims = server.store.runs, server.store.claims
    for kind, message, shown in (
        ("training", "fitting 3 labels", "training: fitting 3 labels"),
        ("publishing", "publishing 1,200 of 5,000", "publishing 1,200 of 5,000"),
    ):
        run = claims.claim(runs.request(PROJECT_KEY, "test", kind=kind).id)
        runs.request(PROJECT_KEY, "test", kind=kind)  # the next waits already
        assert told() == f"triage: {kind}"
        claims.report(run.id, run.attempt, 0.24, message)
        assert told() == f"triage: {shown}"
        claims.finish(run.id, run.attempt, "failed", "not enough data: 1 label")
    assert told() == ("triage: training failed: not enough data: 1 label; 0 of 10 annotations until the first training")


def test_what_does_not_learn_is_serving(tmp_path):
    recipe = load_recipe(write_recipe(tmp_path, "training: false\n"))
    store = Store(tmp_path / "data")
    store.projects.touch("7.1", studio_id=7)
    assert state_line(recipe, store, store.projects.get("7.1")) == "project 7.1: serving"
    store.close()


@pytest.mark.slow
@at_a_terminal
def test_at_a_terminal_the_lines_stay_below_what_is_said(tmp_path):
    arguments = ["run", write_recipe(tmp_path), "--port", free_port(), "--data-dir", "data"]
    with Web(SmallStudio(title=None)) as web:
        arguments += ["--connect", "--create", "Tickets", "--url", web.url, "--api-key", TOKEN]
        with Terminal(*arguments, cwd=tmp_path) as terminal:
            terminal.until("lsml: connected: Tickets")
            store = Store(tmp_path / "data")
            store.projects.touch("7.1", studio_id=7, title="Tickets")
            terminal.until("until the first training")
            store.projects.touch("8.1", studio_id=8, title="Others")
            terminal.until("Others: 0 of 10")
            store.close()
            text = terminal.end()
    first = "Tickets: 0 of 10 annotations until the first training\n"
    assert f"{first}\x1b[1F\x1b[J{first}Others: 0 of 10 annotations until the first training\n" in text, (
        "one line is rewritten as two"
    )
    assert re.search(r"^\d\d:\d\d:\d\d INFO    lsml\.server: listening on ", text, re.MULTILINE), (
        "what children log is shown"
    )
    end = r"\x1b\[2F\x1b\[J(\d\d:\d\d:\d\d INFO    lsml\.server: finished the current requests within .* s of SIGTERM\n)?lsml: stopped\n"
    assert re.fullmatch(end, text[text.rindex("\x1b[2F") :]), "the lines are gone at the end"
