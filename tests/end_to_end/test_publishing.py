"""Publishing into a real Label Studio: what annotators see of each promotion, and what is left after kills and outages."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TOPICS, choice, tickets, write_recipe
from tests.support.backend import RunningBackend, until
from tests.support.browser import Editor, require_browser
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio
from tests.support.processes import fault_environment
from tests.support.studio_proxy import StudioProxy
from tests.support.web import Web

pytestmark = pytest.mark.studio

FOREIGN = "bert-7"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[RealLabelStudio]:
    with RealLabelStudio(tmp_path / "label-studio") as running:
        yield running


def recipe(folder: Path, url: str, text: str = "") -> Path:
    return write_recipe(
        folder,
        f"label_studio: {{url: {url}, api_key: {LEGACY_TOKEN}}}\n"
        f"training: {{every: 10, quiet: 1s, promote: always, keep: 2}}\n{text}",
        config=None,
    )


def held(studio: RealLabelStudio, project: int) -> dict[int, list[str]]:
    """The versions of each task's predictions."""
    return {task["id"]: sorted(one["model_version"] for one in task["predictions"]) for task in studio.tasks(project)}


def published(lsml: RunningBackend, project: int, version: str, timeout_s: float = 60) -> dict[str, Any]:
    """What lsml says once a version, by the start of its name, is served and its publishing is done."""

    def probe() -> dict[str, Any] | None:
        time.sleep(0.3)  # Label Studio needs the processor, too
        found = lsml.project(project)
        states = {run["job_status"] for run in [*found["publishings"], *found["runs"]]}
        said = found["publishing"] is not None and found["publishing"]["message"].startswith(f"published {version}")
        return found if said and not states & {"queued", "started"} else None

    return until(f"{version} is published", probe, timeout_s) or {}


def by_score(studio: RealLabelStudio, project: int, direction: str = "") -> list[dict[str, Any]]:
    """The tasks as the Data Manager lists them, sorted by its score column."""
    query = {
        "project": project,
        "page_size": 100,
        "fields": "all",
        "query": json.dumps({"ordering": [f"{direction}tasks:predictions_score"]}),
    }
    return list(studio.call("GET", "/api/tasks/", params=query)["tasks"])


@pytest.mark.timeout(300)
def test_each_promotion_reaches_the_annotators_by_itself(studio: RealLabelStudio, tmp_path: Path) -> None:
    require_browser()
    with RunningBackend(recipe(tmp_path, studio.url), tmp_path / "data") as lsml:
        project = studio.create_project("Tickets", TOPICS, sampling="Uncertainty sampling")
        pairs = tickets(60, seed=7)
        tasks = studio.import_tasks(project, [{"text": text} for text, _ in pairs])
        truth = {task: label for task, (_, label) in zip(tasks, pairs, strict=True)}
        backend = studio.add_backend(project, lsml.address)
        for task in tasks[:12]:
            studio.annotate(task, choice(truth[task]))
        v1 = published(lsml, project, "triage-v1-")["model_version"]
        assert list(held(studio, project).values()) == [*[[]] * 12, *[[v1]] * 48]
        assert studio.get_backend(backend)["title"] == studio.project(project)["model_version"] == v1

        listed = [task["predictions_score"] for task in by_score(studio, project)][:48]
        assert listed == sorted(listed)
        assert len(set(listed)) > 5
        least_sure = min(by_score(studio, project)[:48], key=lambda task: task["predictions_score"])
        assert studio.next_task(project)["id"] == least_sure["id"]

        for task in tasks[12:24]:
            studio.annotate(task, choice(truth[task]))
        v2 = published(lsml, project, "triage-v2-")["model_version"]
        assert list(held(studio, project).values()) == [*[[]] * 24, *[[v2]] * 36]
        assert studio.project(project)["model_version"] == v2
        (new,) = studio.import_tasks(project, [{"text": "please refund my invoice"}])
        until("the imported task is predicted", lambda: held(studio, project)[new] == [v2])
        scores = shown_scores(studio, project, v2, tmp_path / "data-manager.png")
        assert scores == sorted(scores)
        queue = lsml.get(f"/api/projects/{lsml.project(project)['project']}/queue")
        assert (queue["unknown"], queue["waiting"]) == (None, 37)  # 36 that nobody annotated, and the imported one
        assert [one["score"] for one in queue["least_sure"]][: len(scores)] == pytest.approx(scores[:20], abs=0.005)
        assert queue["least_sure"][0]["url"].startswith(f"{studio.url}/projects/{project}/data?task=")
        assert " ERROR " not in lsml.output


@pytest.mark.timeout(300)
def test_scores_can_stand_in_the_data_and_nothing_counts_as_changed(studio: RealLabelStudio, tmp_path: Path) -> None:
    with RunningBackend(recipe(tmp_path, studio.url, "publish: {field: lsml_score}\n"), tmp_path / "data") as lsml:
        project = studio.create_project("Tickets", TOPICS)
        pairs = tickets(30, seed=7)
        tasks = studio.import_tasks(project, [{"text": text, "note": {"a": [None, "é"]}} for text, _ in pairs])
        truth = {task: label for task, (_, label) in zip(tasks, pairs, strict=True)}
        studio.add_backend(project, lsml.address)
        annotated(studio, tasks[:12], truth)
        v1 = published(lsml, project, "triage-v1-")["model_version"]
        data = {task["id"]: task["data"] for task in studio.tasks(project)}
        assert [data[task] for task in tasks[:12]] == [
            {"text": text, "note": {"a": [None, "é"]}} for text, _ in pairs[:12]
        ]
        scores = {task["id"]: task["predictions"][0]["score"] for task in studio.tasks(project)[12:]}
        for task, (text, _) in zip(tasks[12:], pairs[12:], strict=True):
            expected = {"text": text, "note": {"a": [None, "é"]}, "lsml_score": pytest.approx(scores[task], abs=1e-4)}
            assert data[task] == expected
        assert held(studio, project)[tasks[-1]] == [v1], "to change a task's data leaves its predictions"

        query = {"project": project, "page_size": 100, "query": json.dumps({"ordering": ["tasks:data.lsml_score"]})}
        listed = [task["data"].get("lsml_score") for task in studio.call("GET", "/api/tasks/", params=query)["tasks"]]
        assert [score for score in listed if score is not None] == sorted(
            score for score in listed if score is not None
        )
        before = lsml.project(project)
        assert (before["annotations"], before["changes_since_last_run"]) == (12, 0)
        annotated(studio, tasks[12:22], truth)
        published(lsml, project, "triage-v2-")
        assert lsml.project(project)["versions"][0]["metrics"]["topic"]["value"] is not None


def shown_scores(studio: RealLabelStudio, project: int, version: str, picture: Path) -> list[float]:
    """What the score column of the Data Manager says from top to bottom, sorted by it; and a picture of it."""
    hidden = [f"tasks:{name}" for name in ("predictions_results", "annotations_results", "updated_at", "created_at")]
    shown = {
        "title": "By score", "type": "list", "target": "tasks", "ordering": ["tasks:predictions_score"],
        "hiddenColumns": {"explore": hidden, "labeling": hidden},
    }  # fmt: skip
    view = studio.call("POST", "/api/dm/views/", json={"project": project, "data": shown})["id"]
    with Editor(studio) as browser:
        browser.driver.get(f"{studio.url}/projects/{project}/data?tab={view}")

        def rows() -> list[str]:
            lines = browser.driver.execute_script("return document.body.innerText").splitlines()
            return [before for before, line in pairwise(lines) if line == version]

        until("the tasks are listed", lambda: len(rows()) > 5, 60)
        browser.picture(picture)
        return [float(score) for score in rows()]


class Kills:
    """SIGKILL for the worker or the process of its run, at random moments, while lsml publishes."""

    def __init__(self, lsml: RunningBackend, project: int, seed: int) -> None:
        self._lsml = lsml
        self._project = project
        self._draw = random.Random(seed)
        self.done: Counter[str] = Counter()

    def one(self, victim: str, within_s: float, *, away: bool = False) -> None:
        """Wait until predictions are posted, where Label Studio is not `away`, and for a moment; then kill."""
        if not away:
            until("it gets on", lambda: self._lsml.project(self._project)["publishing"]["progress"] > 0)
        self._lsml.child("--run", timeout_s=60)
        time.sleep(self._draw.uniform(0, within_s))
        self._lsml.child(victim, timeout_s=60).kill()
        self.done[victim] += 1
        time.sleep(1)


def annotated(studio: RealLabelStudio, tasks: Sequence[int], truth: dict[int, str]) -> None:
    for task in tasks:
        studio.annotate(task, choice(truth[task]))


def survive(studio: RealLabelStudio, folder: Path, count: int, batch: int, slow_s: float) -> None:
    """Publish v1 and then v2 into a project, with kills and outages during v2, and look at what Label Studio holds."""
    proxy = StudioProxy(studio)
    environment = fault_environment(folder / "faults", 4.0)
    with (
        closing(proxy.client),
        Web(proxy) as web,
        RunningBackend(
            recipe(folder, web.url, f"publish: {{batch: {batch}}}\n"), folder / "data", environment=environment
        ) as lsml,
    ):
        project = studio.create_project("Tickets", TOPICS)
        pairs = tickets(count, seed=7)
        tasks = studio.import_tasks(project, [{"text": text} for text, _ in pairs])
        truth = {task: label for task, (_, label) in zip(tasks, pairs, strict=True)}
        backend = studio.add_backend(project, lsml.address)
        annotated(studio, tasks[:20], truth)
        v1 = published(lsml, project, "triage-v", 900)["model_version"]
        foreign = [
            {"task": task, "result": choice(truth[task]), "score": 0.5, "model_version": FOREIGN} for task in tasks[::7]
        ]
        studio.call("POST", f"/api/projects/{project}/import/predictions", json=foreign)
        before = held(studio, project)
        assert all(before[task].count(v1) == 1 for task in tasks[20:])

        proxy.slow_s = slow_s
        studio.start_training(backend)
        number = int(v1.split("-v")[1].split("-")[0])
        until("v2 is promoted", lambda: lsml.project(project)["promoted"] == number + 1, 60)
        kills = Kills(lsml, project, seed=count)
        within_s = 4.0 if count < 1000 else 10.0
        kills.one("--run", within_s)
        kills.one("work", within_s)
        proxy.failing = "before"
        time.sleep(3)
        proxy.failing = "after"
        kills.one("--run", within_s, away=True)
        time.sleep(2)
        proxy.failing = ""
        studio.stop()
        time.sleep(3)
        studio.start()
        kills.one("work", within_s)
        kills.one("--run", within_s)
        proxy.slow_s = 0.0
        v2 = published(lsml, project, f"triage-v{number + 1}-", 900)["model_version"]

        assert sum(kills.done.values()) == 5
        assert proxy.failed
        after = held(studio, project)
        expected = {
            task: [*[FOREIGN] * (task in tasks[::7]), *[v2] * (position >= 20)] for position, task in enumerate(tasks)
        }
        assert after == expected
        assert studio.project(project)["model_version"] == v2
        print(
            f"\n{count} tasks: {dict(kills.done)}, {proxy.failed} requests answered 500; {lsml.project(project)['publishing']['message']}"
        )


@pytest.mark.skipif(os.name != "posix", reason="kills processes with POSIX signals")
@pytest.mark.timeout(600)
def test_five_kills_and_two_outages_leave_each_task_one_prediction(studio: RealLabelStudio, tmp_path: Path) -> None:
    survive(studio, tmp_path, count=600, batch=10, slow_s=0.4)


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="kills processes with POSIX signals")
@pytest.mark.timeout(2400)
def test_five_kills_and_two_outages_over_five_thousand_tasks(studio: RealLabelStudio, tmp_path: Path) -> None:
    survive(studio, tmp_path, count=5000, batch=250, slow_s=2.0)
