"""`lsml run A B`: two recipes at one address, one server and one worker, each with its own data."""

from __future__ import annotations

import os
import re
from pathlib import Path

import httpx
import psutil
import pytest

from tests.conftest import PROJECT, PROJECT_KEY, event, tickets
from tests.support.backend import RunningBackend, until
from tests.support.commands import lsml, refused, said, write_recipe
from tests.support.small_studio import TOKEN, SmallStudio
from tests.support.web import Web

LEARNING = "training: {every: 10, quiet: 0s, promote: always}\n"


def recipe_named(directory: Path, name: str, text: str = LEARNING) -> Path:
    folder = directory / name
    folder.mkdir(exist_ok=True)
    recipe = write_recipe(folder, text)
    recipe.write_text(recipe.read_text().replace("name: triage", f"name: {name}"))
    return recipe.rename(folder / f"{name}.yaml")


@pytest.fixture
def two(tmp_path):
    """`lsml run first.yaml second.yaml`, whose calls are of the first."""
    paths = [recipe_named(tmp_path, name) for name in ("first", "second")]
    arguments = [str(paths[1]), "--reload"]
    with RunningBackend(paths[0], tmp_path / "data", prefix="/r/first", arguments=arguments) as running:
        until("it greets", lambda: "Connect Model" in running.output)
        yield running


def other(two: RunningBackend, path: str, body: object = None):
    """The answer of the second recipe."""
    answer = two.client.post(f"/r/second{path}", json=body) if body is not None else two.client.get(f"/r/second{path}")
    assert answer.status_code < 300, answer.text
    return answer.json()


def trained(two: RunningBackend) -> None:
    """Both have learnt, at the same time."""
    for id, (text, label) in enumerate(tickets(30), 1):
        two.post("/webhook", event(id, text, label))
        other(two, "/webhook", event(id, text, label))
    for projects in (lambda: two.get("/api/projects"), lambda: other(two, "/api/projects")):
        until("a version is served", lambda projects=projects: (projects()["projects"] or [{}])[0].get("promoted"))


def running_trainings(two: RunningBackend) -> int:
    count = 0
    for process in two.family():
        try:
            count += "--run" in process.cmdline()
        except psutil.Error:
            continue
    return count


def test_it_says_where_each_is_and_keeps_their_data_apart(two, tmp_path):
    greeting = [line for line in two.output.splitlines() if not re.match(r"\d\d:\d\d:\d\d ", line)]
    assert greeting[0] == f"lsml: 2 recipes are on {two.address}"
    for name in ("first", "second"):
        at = greeting.index(f"lsml: {name} is on {two.address}/r/{name}")
        assert greeting[at + 2] == f"  data: {tmp_path / 'data' / name}"
        assert greeting[at + 4] == f"    {two.address}/r/{name}"
    assert two.output.count("no token of Label Studio is set") == 1
    children = [process.cmdline() for process in two.family()[1:]]
    assert len([one for one in children if "serve" in one]) == 1
    until("one worker", lambda: len([one for one in two.family()[1:] if "work" in one.cmdline()]) == 1)


@pytest.mark.slow
def test_both_learn_one_after_the_other(two, tmp_path):
    most = 0
    for id, (text, label) in enumerate(tickets(30), 1):
        two.post("/webhook", event(id, text, label))
        other(two, "/webhook", event(id, text, label))
    for path in (two.post, lambda path, body: other(two, path, body)):
        path("/webhook", {"action": "START_TRAINING", "project": PROJECT})

    def learnt() -> bool:
        nonlocal most
        most = max(most, running_trainings(two))
        return all(
            found["projects"] and found["projects"][0]["promoted"]
            for found in (two.get("/api/projects"), other(two, "/api/projects"))
        )

    until("both have learnt", learnt)
    assert most == 1, "one training at a time among them all"
    for name in ("first", "second"):
        listed = said(
            lsml("versions", tmp_path / name / f"{name}.yaml", "--data-dir", tmp_path / "data" / name, cwd=tmp_path)
        )
        assert "v1" in listed
    assert re.search(r"lsml\.worker\.consumer \[recipe second\] \[run \w+\]: ", two.output)


@pytest.mark.slow
def test_a_worker_and_a_server_that_are_killed_come_back_for_both(two):
    two.child("work").kill()
    two.child("serve").kill()
    until("it answers again", lambda: is_up(two))
    trained(two)


def is_up(two: RunningBackend) -> bool:
    try:
        return two.client.get("/r/second/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGHUP")
def test_a_change_of_one_is_served_and_the_other_stays_as_it_is(two):
    trained(two)
    task = {"tasks": [{"id": 1, "data": {"text": "refund my invoice"}}], "project": PROJECT_KEY}
    recipe = two.recipe.parent.parent / "second" / "second.yaml"
    recipe.write_text(
        recipe.read_text().replace("Choices: text-classifier", "Choices: {adapter: text-classifier, threshold: 1}")
    )
    until("it is said", lambda: "changed and is in use" in two.output)
    until("its answers are hidden", lambda: other(two, "/predict", task)["results"][0]["result"] == [])
    assert two.post("/predict", task)["results"][0]["result"] != []
    assert two.output.count("serving the changed recipe") == 1


def test_doctor_finds_a_recipe_among_several(two, tmp_path):
    done = lsml("doctor", tmp_path / "second" / "second.yaml", "--port", two.port, cwd=tmp_path)
    assert f"lsml answers at {two.address}/r/second" in done.stdout
    third = recipe_named(tmp_path, "third")
    done = lsml("doctor", third, "--port", two.port, cwd=tmp_path)
    assert f"lsml answers at {two.address}, with the recipes first, second" in done.stdout


def test_connect_finds_a_recipe_among_several(two, tmp_path):
    with Web(SmallStudio(serves="second-v0-00000000")) as web:
        done = lsml("connect", tmp_path / "second" / "second.yaml", "--project", 7, "--port", two.port, "--dry-run",
                    "--url", web.url, "--api-key", TOKEN, cwd=tmp_path)  # fmt: skip
    assert f"would add the model at {two.address}/r/second\n" in said(done)


def test_two_of_one_name_and_connecting_several_are_refused(tmp_path):
    first = recipe_named(tmp_path, "first")
    twin = first.with_name("twin.yaml")
    twin.write_text(first.read_text())
    for verb in ("run", "serve", "work"):
        sentence = refused(lsml(verb, first, twin, cwd=tmp_path))
        assert sentence == f"{first} and {twin} are both named first; give each a different `name`"
    second = recipe_named(tmp_path, "second")
    sentence = refused(lsml("run", first, second, "--connect", "--project", 1, cwd=tmp_path))
    assert "--connect takes one recipe; for several, use `lsml connect RECIPE` for each" in sentence
