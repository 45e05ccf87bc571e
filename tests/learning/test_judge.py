"""Metrics of held-out tasks, also where there is nothing to judge by."""

from __future__ import annotations

import base64
import io
import json

import PIL.Image
import pytest

from lsml.adapters.base import Example
from lsml.binding import bind
from lsml.errors import AdapterError
from lsml.labeling import parse_labeling_config
from lsml.learning.judge import evaluate, unread_sentence
from lsml.learning.snapshot import AnnotatedExample, share_of
from lsml.recipe import load_recipe
from lsml.studio.connection import fetcher
from lsml.values import Box
from tests.conftest import PROJECT, PROJECT_KEY, event, tickets, write_recipe
from tests.support.plugins import SeenBoxes, register

CARS = """<View><Image name="image" value="$image"/>
<RectangleLabels name="car" toName="image"><Label value="Car"/></RectangleLabels></View>"""
HELD_OUT = [id for id in range(1, 200) if share_of(str(id)) < 0.2][:12]
LEARNT = [id for id in range(1, 200) if share_of(str(id)) >= 0.2][:12]


@pytest.fixture(autouse=True)
def _seen_boxes(monkeypatch):
    register(monkeypatch, SeenBoxes)


def picture(number: int) -> str:
    """A data: URL of an image that no other number gives."""
    file = io.BytesIO()
    PIL.Image.new("RGB", (40, 40), (number, 90, 10)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def boxes(*labels: str) -> list[dict]:
    return [
        {"from_name": "car", "to_name": "image", "type": "rectanglelabels",
         "value": {"x": 10, "y": 10, "width": 40, "height": 40, "rectanglelabels": [label]}}
        for label in labels
    ]  # fmt: skip


def annotate(backend, results: dict[int, list[dict]], at: int = 0) -> None:
    for id, result in results.items():
        stamp = f"2026-11-23T10:00:{at:02d}.000000Z"
        sent = {
            "action": "ANNOTATION_CREATED", "project": {**PROJECT, "label_config": CARS},
            "task": {"id": id, "data": {"image": picture(id)}, "updated_at": stamp},
            "annotation": {"id": id, "task": id, "updated_at": stamp, "result": result},
        }  # fmt: skip
        assert backend.post("/webhook", sent).status_code == 200


def test_a_server_whose_held_out_images_hold_no_box_judges_nothing_and_serves_on(backend):
    here = backend("tags: {RectangleLabels: seen-boxes}\n", config=CARS)
    empty = {id: [] for id in HELD_OUT}
    annotate(here, {id: boxes("Car") for id in LEARNT} | empty)
    project = {**PROJECT, "label_config": CARS}
    assert here.train(project)["job_status"] == "finished"
    annotate(here, {id: boxes("Car", "Car") for id in LEARNT[:3]}, at=1)
    assert here.train(project)["job_status"] == "finished"
    told = here.client.get(f"/api/projects/{PROJECT_KEY}").json
    assert [version["verdict"] for version in told["versions"]] == [
        "promoted: not evaluated: nothing to compare with",
        "promoted: the first version",
    ]
    assert all(version["metrics"]["car"]["value"] is None for version in told["versions"])
    decision = told["versions"][0]["decisions"]["car:seen-boxes"]
    assert (decision["taken"], decision["why"]) == (True, "nothing to compare")
    compared = decision["compared"]
    assert [compared[name] for name in ("new", "promoted", "with")] == [None, None, "v1"]
    assert "map50 not evaluated" in here.client.get("/").text
    metrics = here.client.get("/metrics")
    assert metrics.status_code == 200 and 'control="car"' not in metrics.text


def test_commands_say_of_such_images_that_nothing_was_judged(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from lsml.cli import main

    recipe = write_recipe(tmp_path, "tags: {RectangleLabels: seen-boxes}\n", config=CARS)
    tasks = [
        {"id": id, "data": {"image": picture(id)}, "annotations": [{"id": id, "result": boxes("Car")[: id in LEARNT]}]}
        for id in LEARNT + HELD_OUT
    ]
    (tmp_path / "all.json").write_text(json.dumps(tasks))
    (tmp_path / "empty.json").write_text(json.dumps(tasks[len(LEARNT) :]))
    asked = {
        ("train", "all.json"): "  car: map50 not evaluated\n",
        ("evaluate", "empty.json"): f"car: map50 not evaluated, {len(HELD_OUT)} examples\n",
        ("versions",): "car map50 not evaluated",
    }
    for (verb, *names), line in asked.items():
        done = CliRunner().invoke(main, [verb, str(recipe), *(str(tmp_path / name) for name in names)])
        assert done.exit_code == 0, done.output
        assert line in done.output


class Stubborn(SeenBoxes):
    """Fails on every image that is not square."""

    name = "stubborn"

    def predict(self, batch):
        for path in batch:
            with PIL.Image.open(path) as image:
                if image.width != image.height:
                    raise AdapterError("not square")
        return super().predict(batch)


def test_what_cannot_be_read_is_left_out_and_what_a_model_fails_on_counts(tmp_path, monkeypatch):
    register(monkeypatch, Stubborn)
    recipe = load_recipe(write_recipe(tmp_path, "tags: {RectangleLabels: stubborn}\n", config=CARS))
    binding = bind(recipe, parse_labeling_config(CARS))
    box = Box(label="Car", x=0.1, y=0.1, width=0.4, height=0.4)
    adapter = binding.models[0].new_adapter()
    adapter.fit([Example("x", (box,))], 1)
    paths = {name: tmp_path / f"{name}.png" for name in ("good", "wide", "broken")}
    PIL.Image.new("RGB", (40, 40)).save(paths["good"])
    PIL.Image.new("RGB", (60, 40)).save(paths["wide"])
    paths["broken"].write_bytes(paths["good"].read_bytes()[:60])

    def judged(*names):
        examples = [
            AnnotatedExample(name, {"image": str(paths[name])} if name in paths else {}, {"car": [(box,)]})
            for name in names
        ]
        with fetcher(recipe, None, by_person=True, beside=tmp_path).hold() as fetch:
            return evaluate(binding, {binding.models[0].key: adapter}, examples, fetch)

    alone = judged("good")
    assert (alone.metrics["car"]["value"], alone.tasks, alone.unread) == (1.0, 1, ())
    found = judged("good", "broken", "absent", "good")
    assert (found.metrics["car"]["value"], found.metrics["car"]["examples"], found.tasks) == (1.0, 2, 2)
    assert [reason for reason, _ in found.unread] == ["bad image", "no data"]
    assert unread_sentence(found.unread).startswith(
        "2 tasks could not be read (bad image, no data), the first of them: task broken: "
    )
    failed = judged("good", "wide")
    assert (failed.metrics["car"]["examples"], failed.tasks, failed.unread) == (2, 2, ())
    assert failed.metrics["car"]["value"] < 0.6


def test_train_names_the_held_out_task_that_it_could_not_read(backend):
    here = backend()
    here.annotate(tickets(60))
    held = next(id for id in range(900, 999) if share_of(str(id)) < 0.2)
    sent = event(held, "", "Billing")
    sent["task"]["data"] = {"other": "no text"}
    assert here.post("/webhook", sent).status_code == 200
    here.train()
    (version,) = here.client.get(f"/api/projects/{PROJECT_KEY}").json["versions"]
    assert version["metrics"]["topic"]["examples"] == version["held_out"] - 1
    (note,) = (note for note in version["notes"] if "could not be read" in note)
    assert note.startswith(
        f"left out of the evaluation: 1 task could not be read (no data), the first of them: task {held}: "
    )
