"""What `lsml doctor` says with a real Label Studio beside it, one thing broken at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TOPICS, choice, tickets, write_recipe
from tests.support.backend import RunningBackend, until
from tests.support.commands import lsml
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio, free_port
from tests.support.web import Answer, Web

pytestmark = [pytest.mark.studio, pytest.mark.timeout(240)]
NAMED = "tags: {'Choices#topic': text-classifier}\ntraining: {every: 1000}\n"


@dataclass(frozen=True)
class World:
    """A project of tickets whose model is a running lsml, and its recipe."""

    studio: RealLabelStudio
    lsml: RunningBackend
    project: int
    backend: int

    def doctor(self, **environment: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
        """(exit code, the findings by check)."""
        known = {"LABEL_STUDIO_URL": self.studio.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN, **environment}
        arguments = ("--port", self.lsml.port, "--data-dir", self.lsml.data, "--project", self.project, "--json")
        done = lsml("doctor", self.lsml.recipe, *arguments, cwd=self.lsml.recipe.parent, environment=known)
        assert done.returncode in (0, 1), done.stderr
        found: dict[str, list[dict[str, str]]] = {}
        for finding in json.loads(done.stdout):
            found.setdefault(finding["check"], []).append(finding)
        return done.returncode, found

    def one(self, check: str, **environment: str) -> dict[str, str]:
        """The last finding of one check, where it makes the whole fail or warn."""
        code, found = self.doctor(**environment)
        finding = found[check][-1]
        assert code == (1 if finding["state"] == "fail" else 0), found
        return finding

    def webhook(self) -> dict[str, Any]:
        (hook,) = self.studio.webhooks(self.project)
        return hook

    def learn(self) -> None:
        """Ten annotations, and Start Training."""
        tasks = [task["id"] for task in self.studio.tasks(self.project)]
        for task, (_, label) in zip(tasks[:10], tickets(12), strict=False):
            self.studio.annotate(task, choice(label))
        self.studio.start_training(self.backend)
        until("a version is served", lambda: self.lsml.project(self.project)["promoted"])


@pytest.fixture
def world(studio: RealLabelStudio, tmp_path: Path) -> Iterator[Callable[..., World]]:
    running: list[RunningBackend] = []

    def make(
        text: str = NAMED, config: str = TOPICS, tasks: list[dict[str, Any]] | None = None, **backend: Any
    ) -> World:
        known = {"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN}
        recipe = write_recipe(tmp_path, text, config=config if "topic" in config else None)
        auth = ("user", "secret-password") if "username" in text else None
        started = RunningBackend(recipe, tmp_path / "data", environment=known, auth=auth)
        running.append(started)
        started.start()
        project = studio.create_project("Tickets", config)
        studio.import_tasks(project, tasks or [{"text": text} for text, _ in tickets(12)])
        return World(studio, started, project, studio.add_backend(project, started.address, **backend))

    yield make
    for one in running:
        one.kill()


def test_all_is_well(world):
    here = world()
    here.learn()
    code, found = here.doctor()
    states = {check: {one["state"] for one in findings} for check, findings in found.items()}
    assert code == 0
    assert {check for check, told in states.items() if told != {"pass"}} == set(), found
    assert {"label studio", "project", "labeling config", "version", "model", "webhook", "media", "predict", "prediction",
            "port", "worker", "data directory", "disk"} <= set(states)  # fmt: skip


def test_a_wrong_address(world):
    told = world().one("label studio", LABEL_STUDIO_URL=f"http://127.0.0.1:{free_port()}")
    assert told["state"] == "fail"
    assert "cannot be reached" in told["found"]
    assert told["fix"].startswith("check that Label Studio runs and label_studio.url is right")


def test_a_token_that_nobody_has(world):
    told = world().one("label studio", LABEL_STUDIO_API_KEY="f" * 40)
    assert told["state"] == "fail"
    assert "token" in told["found"] + told["fix"]
    assert "f" * 40 not in json.dumps(told)


def test_legacy_tokens_that_are_switched_off(world):
    here = world()
    here.studio.allow_tokens(legacy=False)
    try:
        told = here.one("label studio")
    finally:
        here.studio.allow_tokens(legacy=True)
    assert told["state"] == "fail"
    assert "legacy" in told["found"] + told["fix"]
    assert "personal access token" in told["fix"].lower() + told["found"].lower()


def test_a_webhook_that_was_deleted(world):
    here = world()
    here.studio.call("DELETE", f"/api/webhooks/{here.webhook()['id']}/")
    told = here.one("webhook")
    assert told["state"] == "fail"
    assert told["found"] == f"none has the address {here.lsml.address}/webhook, so lsml does not get annotations"
    assert told["fix"].startswith(f"run `lsml connect {here.lsml.recipe} --project {here.project}` while lsml runs")


def test_a_webhook_of_an_old_port(world):
    here = world()
    here.studio.call("PATCH", f"/api/webhooks/{here.webhook()['id']}/", json={"url": "http://127.0.0.1:9/webhook"})
    told = here.one("webhook")
    assert told["state"] == "fail"
    assert "but to http://127.0.0.1:9/webhook" in told["found"]


def test_basic_authentication_that_webhooks_do_not_bring(world):
    here = world(
        NAMED + "server: {username: user, password: secret-password}\n",
        basic_auth_user="user", basic_auth_pass="secret-password",
    )  # fmt: skip
    told = here.one("webhook")
    assert told["state"] == "fail"
    assert "is refused (401)" in told["found"]
    assert "every annotation is lost" in told["found"]


def test_a_label_that_was_renamed(world):
    here = world()
    here.learn()
    here.studio.patch_project(here.project, label_config=TOPICS.replace('"Question"', '"Questions"'))
    code, found = here.doctor()
    assert code == 0
    labels = [one["found"] for one in found["labels"]]
    assert "Choices#topic: the project lacks `Question` (near: Questions)" in labels
    assert "Choices#topic: the recipe's config lacks `Questions` (near: Question)" in labels
    version = found["version"][-1]
    assert version["state"] == "warn"
    assert "trained on Question, which the labeling config no longer has" in version["found"]


def test_a_label_that_was_removed(world):
    here = world()
    here.studio.patch_project(here.project, label_config=TOPICS.replace('<Choice value="Question"/>', ""))
    told = here.one("labels")
    assert (told["state"], told["found"]) == ("warn", "Choices#topic: the project lacks `Question`")
    assert "update `labeling_config` of the recipe" in told["fix"]


def test_a_tag_that_was_renamed(world):
    here = world()
    here.studio.patch_project(here.project, label_config=TOPICS.replace('name="topic"', 'name="topics"'))
    told = here.one("labeling config")
    assert told["state"] == "fail"
    assert told["found"].startswith("the recipe fits none of the project's tags: Choices#topics")
    assert "the recipe names Choices#topic (near: Choices#topics)" in told["found"]


def test_media_that_are_gone(world):
    with Web(lambda _asked: Answer(404)) as web:
        config = TOPICS.replace('value="$text"', 'value="$text" valueType="url"')
        tasks = [{"text": f"{web.url}/{number}.txt"} for number in range(3)]
        told = world(NAMED + "media: {private: true}\n", config, tasks).one("media")
    assert told["state"] == "fail"
    assert "404" in told["found"]
    assert told["fix"]


def test_lsml_that_does_not_run(world):
    here = world()
    here.lsml.kill()
    told = here.one("model")
    assert told["state"] == "fail"
    assert f"Label Studio cannot use {here.lsml.address}, state DI" in told["found"]
    assert told["fix"] == "start `lsml run`"


def test_people_read_lines_with_what_to_do(world):
    here = world()
    here.studio.call("DELETE", f"/api/webhooks/{here.webhook()['id']}/")
    known = {"LABEL_STUDIO_URL": here.studio.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN}
    arguments = ("--port", here.lsml.port, "--data-dir", here.lsml.data)
    done = lsml("doctor", here.lsml.recipe, *arguments, cwd=here.lsml.recipe.parent, environment=known)
    assert done.returncode == 1
    assert "fail  webhook: none has the address" in done.stdout
    assert "      -> run `lsml connect" in done.stdout
    assert LEGACY_TOKEN not in done.stdout + done.stderr
