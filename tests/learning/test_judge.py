"""Metrics of held-out tasks, also where there is nothing to judge by."""

from __future__ import annotations

import base64
import io
import json

import PIL.Image
import pytest

from lsml.learning.snapshot import share_of
from tests.conftest import PROJECT, PROJECT_KEY, write_recipe
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
        "promoted: not judged: nothing to compare with",
        "promoted: the first version",
    ]
    assert all(version["metrics"]["car"]["value"] is None for version in told["versions"])
    assert told["versions"][0]["compared"]["car:seen-boxes"] == {
        "new": None, "promoted": None, "tasks": len(HELD_OUT), "with": "v1",
    }  # fmt: skip
    assert "map50 not judged" in here.client.get("/").text
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
        ("train", "all.json"): "  car: map50 not judged\n",
        ("evaluate", "empty.json"): f"car: map50 not judged, {len(HELD_OUT)} examples\n",
        ("versions",): "car map50 not judged",
    }
    for (verb, *names), line in asked.items():
        done = CliRunner().invoke(main, [verb, str(recipe), *(str(tmp_path / name) for name in names)])
        assert done.exit_code == 0, done.output
        assert line in done.output
