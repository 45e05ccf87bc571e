"""`lsml connect` and `lsml run --connect`, as people run them, against a small Label Studio."""

from __future__ import annotations

import json

import pytest

from tests.support.backend import RunningBackend, until
from tests.support.commands import lsml, refused, said, write_recipe
from tests.support.label_studio import free_port
from tests.support.small_studio import TOKEN, SmallStudio
from tests.support.web import Web

V0 = "triage-v0-00000000"


def test_connect_prints_each_change_and_the_address_and_then_that_there_is_none(tmp_path):
    recipe = write_recipe(tmp_path)
    studio = SmallStudio(serves=V0)
    (tmp_path / "tasks.txt").write_text("one\ntwo\n")
    with Web(studio) as web:
        arguments = ("connect", recipe.name, "--project", 7, "--tasks", "tasks.txt", "--backend-url", web.url)
        environment = {"LABEL_STUDIO_URL": web.url, "LABEL_STUDIO_API_KEY": TOKEN}
        dry = said(lsml(*arguments, "--dry-run", cwd=tmp_path, environment=environment))
        assert dry.splitlines()[1] == f"would add the model at {web.url}" and studio.log == []
        first = said(lsml(*arguments, cwd=tmp_path, environment=environment))
        assert first.splitlines() == [
            'set task sampling to "Uncertainty sampling"',
            f"added the model at {web.url}",
            f"set the model's title to {V0}, so that its scores are shown",
            "imported 2 tasks of tasks.txt",
            f"Tickets: {web.url}/projects/7",
        ]
        options = ("--url", web.url, "--api-key", TOKEN)
        assert said(lsml(*arguments[:4], *options, "--backend-url", web.url, cwd=tmp_path)).splitlines() == [
            "nothing to change", f"Tickets: {web.url}/projects/7",
        ]  # fmt: skip
        told = json.loads(said(lsml(*arguments, "--json", cwd=tmp_path, environment=environment)))
        address = f"{web.url}/projects/7"
    note = "tasks.txt: 2 of 2 are in the project already"
    assert told == {
        "project": 7,
        "title": "Tickets",
        "address": address,
        "changes": [],
        "notes": [note],
        "dry_run": False,
    }


def test_connect_asks_for_one_project_and_for_label_studio(tmp_path):
    recipe = write_recipe(tmp_path).name
    one = "name the project: either --project ID for an existing one, or --create TITLE"
    assert refused(lsml("connect", recipe, cwd=tmp_path)) == one
    assert refused(lsml("connect", recipe, "--project", 1, "--create", "Two", cwd=tmp_path)) == one
    assert refused(lsml("connect", recipe, "--project", 1, cwd=tmp_path)) == (
        "the address of Label Studio is missing; set it with --url, LABEL_STUDIO_URL, or label_studio.url"
    )
    assert refused(lsml("run", recipe, "--project", 1, cwd=tmp_path)) == (
        "--project, --create, --tasks and --backend-url need --connect; add it"
    )
    assert refused(lsml("run", recipe, "--connect", cwd=tmp_path)) == one


def test_no_secret_is_printed(tmp_path):
    recipe = write_recipe(tmp_path, 'server: {username: ann, password: "${WORD}", secret_path: "${WAY}"}\n')
    secrets = {"WORD": "open-sesame-42", "WAY": "hush-hush-path"}
    with Web(SmallStudio(serves=V0)) as web:
        done = lsml("connect", recipe.name, "--project", 7, "--url", web.url, "--api-key", TOKEN, "--backend-url", web.url,
                    cwd=tmp_path, environment=secrets)  # fmt: skip
    assert f"added the model at {web.url}/[secret]" in said(done)
    assert not [secret for secret in (*secrets.values(), TOKEN) if secret in done.stdout + done.stderr]


@pytest.mark.slow
def test_run_connects_once_it_listens_and_shows_a_line_for_each_project(tmp_path):
    studio = SmallStudio(title=None)
    arguments = ["--connect", "--create", "Tickets", "--api-key", TOKEN]
    with Web(studio) as web:
        backend = RunningBackend(write_recipe(tmp_path), tmp_path / "data", arguments=[*arguments, "--url", web.url])
        with backend:
            until("it is connected", lambda: f"lsml: connected: Tickets: {web.url}/projects/7\n" in backend.output)
            assert [one["url"] for one in studio.backends] == [backend.address]
            project = {"id": 7, "created_at": "2026-11-23T09:03:34.474647Z", "title": "Tickets"}
            backend.post("/webhook", {"action": "PROJECT_UPDATED", "project": project})
            line = "lsml: Tickets: 0 of 10 annotations until the first training\n"
            until("it shows how the project does", lambda: line in backend.output)
            backend.restart()
            until("it is connected again", lambda: backend.output.count("lsml: connected: ") == 2)
    assert "Connect Model" not in backend.output
    assert TOKEN not in backend.output
    assert len(studio.backends) == len(studio.webhooks) == 1


@pytest.mark.slow
def test_run_waits_for_a_label_studio_that_is_away_and_goes_on_serving_where_it_refuses(tmp_path):
    away = f"http://127.0.0.1:{free_port()}"
    arguments = ["--connect", "--project", "7", "--api-key", TOKEN, "--url", away]
    with RunningBackend(write_recipe(tmp_path), tmp_path / "data", arguments=arguments) as backend:
        until("it says so", lambda: f"lsml: not connected yet: {away}: cannot be reached" in backend.output)
        assert backend.get("/health")["status"] == "UP"
    with Web(SmallStudio(title=None)) as web:
        arguments[-1] = web.url
        with RunningBackend(write_recipe(tmp_path), tmp_path / "other", arguments=arguments) as backend:
            until(
                "it says so",
                lambda: f"lsml: not connected: {web.url}: project 7 does not exist (404)" in backend.output,
            )
            assert backend.get("/health")["status"] == "UP"


@pytest.mark.parametrize("verb", [("connect",), ("run", "--connect")])
def test_a_file_of_tasks_that_is_not_there_is_noticed_before_anything_starts(tmp_path, verb):
    command, *options = verb
    done = lsml(command, write_recipe(tmp_path).name, *options, "--project", 1, "--tasks", "nowhere.csv", cwd=tmp_path)
    assert "Invalid value for '--tasks': Path 'nowhere.csv' does not exist." in refused(done)
    assert not (tmp_path / ".lsml").exists()
