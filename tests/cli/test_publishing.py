"""`lsml predict --project` and `lsml clear`, as people run them, against a small Label Studio."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import TOPICS
from tests.support.commands import Finished, export, lsml, refused, said, tickets, write_recipe
from tests.support.small_studio import TOKEN, SmallStudio
from tests.support.web import Answer, Asked, Web


@dataclass(frozen=True)
class World:
    """A small Label Studio with 20 tickets, and a folder with a recipe that `lsml train` taught."""

    studio: SmallStudio
    folder: Path
    url: str

    def lsml(self, verb: str, *arguments: object, **environment: str) -> Finished[str]:
        known = {"LABEL_STUDIO_URL": self.url, "LABEL_STUDIO_API_KEY": TOKEN, **environment}
        return lsml(verb, "triage.yaml", *arguments, cwd=self.folder, environment=known)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("learnt")
    write_recipe(folder)
    (folder / "train.json").write_text(json.dumps(export(tickets(60))))
    said(lsml("train", "triage.yaml", "train.json", cwd=folder))
    return folder


@pytest.fixture
def world(learnt, tmp_path) -> Iterator[World]:
    folder = shutil.copytree(learnt, tmp_path / "learnt")
    tasks = {id: {"text": text} for id, (text, _) in enumerate(tickets(20, seed=4), 1)}
    studio = SmallStudio(tasks, labelled={1, 2}, label_config=TOPICS)
    with Web(studio) as web:
        yield World(studio, folder, web.url)


def version(world: World) -> str:
    (held,) = {one["model_version"] for one in world.studio.predictions.values()}
    return str(held)


def test_a_project_that_lsml_never_heard_of_is_predicted_with_what_was_trained_offline(world):
    counted = world.lsml("predict", "--project", "7", "--dry-run")
    assert said(counted).startswith("18 tasks would be predicted by triage-v1-")
    assert world.studio.predictions == {}
    done = world.lsml("predict", "--project", "7", "--workers", "3")
    assert said(done) == f"published {version(world)}: 18 tasks\n"
    assert re.search(r"^predict: publishing 18 of 18, [\d,]+ a second, 0 s left$", done.stderr, re.MULTILINE)
    assert [len(world.studio.held(task)) for task in world.studio.tasks] == [0, 0, *[1] * 18]
    assert world.studio.model_version == version(world)
    # By the title, once it is known; and nothing is left to do.
    assert said(world.lsml("predict", "--project", "Tickets")) == f"published {version(world)}: 0 tasks\n"


@pytest.mark.slow
def test_ray_predicts_a_project_as_threads_do(world):
    pytest.importorskip("ray", reason="ray is not installed")
    done = world.lsml("predict", "--project", "7", "--engine", "ray", "--workers", "2")
    assert said(done) == f"published {version(world)}: 18 tasks\n"
    by_ray = {one["task"]: one["score"] for one in world.studio.predictions.values()}
    world.studio.predictions.clear()
    said(world.lsml("predict", "--project", "7"))
    assert by_ray == pytest.approx({one["task"]: one["score"] for one in world.studio.predictions.values()})


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("3", {3, 4, 9, 10}),
        (
            json.dumps({"items": [{"filter": "filter:tasks:id", "operator": "less", "type": "Number", "value": 5}]}),
            {3, 4},
        ),
    ],
)
def test_a_filter_predicts_its_tasks_alone_and_leaves_the_rest_as_it_is(world, given, found):
    world.studio.view = {
        "conjunction": "or",
        "items": [
            {"filter": "filter:tasks:id", "operator": "less", "type": "Number", "value": 5},
            {"filter": "filter:tasks:id", "operator": "in_list", "type": "Number", "value": [1, 4, 9, 10]},
        ],
    }
    world.studio.add(12, "triage-v0-00000000")
    world.studio.model_version = "triage-v0-00000000"
    said(world.lsml("predict", "--project", "7", "--filter", given))
    now = {task for task in world.studio.tasks if any("-v1-" in held for held in world.studio.held(task))}
    assert now == found
    assert world.studio.held(12) == ["triage-v0-00000000"]
    assert world.studio.model_version == "triage-v0-00000000"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "expected TASKS with -o PREDICTIONS.json"),
        (("train.json",), "expected TASKS with -o PREDICTIONS.json"),
        (("train.json", "-o", "out.json", "--dry-run"), "expected TASKS with -o PREDICTIONS.json"),
        (("--project", "7", "--filter", "zzz"), "--filter zzz: expected the number of a view, or JSON such as"),
        (("--project", "nobody"), "no project nobody; there are"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(world, arguments, sentence):
    assert refused(world.lsml("predict", *arguments)).startswith(sentence)
    assert world.studio.predictions == {}


def test_without_a_token_it_says_where_one_goes(world):
    told = refused(world.lsml("predict", "--project", "7", LABEL_STUDIO_API_KEY=""))
    assert told.startswith("the address of Label Studio is not known: set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY")


def test_clear_deletes_what_this_recipe_predicted_and_nothing_else(world):
    for task in (3, 4):
        for name in ("triage-v1-00000000", "triage-v2-00000000", "bert"):
            world.studio.add(task, name)
    assert "triage-v1-00000000: 2 predictions" in said(world.lsml("clear", "--project", "7", "--dry-run"))
    assert len(world.studio.predictions) == 6
    asked = world.lsml("clear", "--project", "7")  # nobody answers
    assert asked.returncode == 1
    assert len(world.studio.predictions) == 6
    assert said(world.lsml("clear", "--project", "7", "--version", "v2", "--yes")).endswith("deleted 2 predictions\n")
    assert world.studio.held(3) == ["triage-v1-00000000", "bert"]
    assert said(world.lsml("clear", "--project", "7", "--yes")).endswith("deleted 2 predictions\n")
    assert world.studio.held(3) == ["bert"]
    assert "holds no prediction of triage" in said(world.lsml("clear", "--project", "7"))


def test_submit_annotates_what_is_sure_and_undo_takes_it_back(world):
    dry = said(world.lsml("submit", "--project", "7", "--above", "0.5", "--dry-run"))
    assert dry.startswith("would submit ")
    assert world.studio.annotations == {}
    done = said(world.lsml("submit", "--project", "7", "--above", "0.5"))
    made = len(world.studio.annotations)
    assert done == dry.replace("would submit", "submitted")
    assert done.startswith(f"submitted {made} tasks, left ") and made > 5
    undone = said(world.lsml("submit", "--project", "7", "--undo", "--yes"))
    assert (undone, world.studio.annotations) == (f"deleted {made} annotations\n", {})


@pytest.mark.parametrize("verb", ["predict", "submit"])
def test_what_learnt_nothing_says_how_it_learns(world, tmp_path, verb):
    write_recipe(tmp_path)
    untaught = World(world.studio, tmp_path, world.url)
    told = refused(untaught.lsml(verb, "--project", "7"), 1)
    assert told.startswith(
        "project 7.1795424614: no model is trained yet; train on a file with `lsml train triage.yaml EXPORT`"
    )
    assert (world.studio.predictions, world.studio.annotations) == ({}, {})


@pytest.mark.parametrize("verb", ["predict", "submit"])
def test_a_label_studio_that_is_away_for_a_moment_is_waited_for_and_that_is_said(world, verb):
    failures = [Answer(503)] * 2

    def before(asked: Asked) -> Answer | None:
        return failures.pop() if asked.method == "POST" and failures else None

    world.studio.before = before
    done = world.lsml(verb, "--project", "7", *(() if verb == "predict" else ("--above", "0.5")))
    assert said(done)
    assert (
        done.stderr.count("answered 503 for add predictions to project 7" if verb == "predict" else "answered 503") >= 2
    )
    assert len(world.studio.predictions or world.studio.annotations) > 5
