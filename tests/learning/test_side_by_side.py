"""Two versions on held-out tasks, as they are drawn: spans in a text, boxes over a picture."""

from __future__ import annotations

import io

import PIL.Image
import pytest

from tests.conftest import PROJECT, PROJECT_KEY
from tests.learning.test_judge import CARS, HELD_OUT, LEARNT, boxes, picture
from tests.support.plugins import SeenBoxes, register

PEOPLE = """<View><Labels name="who" toName="text"><Label value="Person"/></Labels><Text name="text" value="$text"/></View>"""
API = f"/api/projects/{PROJECT_KEY}"
ALWAYS = "training: {every: 1000, quiet: 0s, promote: always}\n"


def annotate(backend, config: str, tasks: dict[int, tuple[dict, list[dict]]], at: int = 0) -> dict:
    """Annotate, and learn from it; return what compares the two newest versions."""
    project = {**PROJECT, "label_config": config}
    stamp = f"2026-11-23T10:00:{at:02d}.000000Z"
    for id, (data, result) in tasks.items():
        sent = {
            "action": "ANNOTATION_CREATED", "project": project, "task": {"id": id, "data": data, "updated_at": stamp},
            "annotation": {"id": id, "task": id, "updated_at": stamp, "result": result},
        }  # fmt: skip
        assert backend.post("/webhook", sent).status_code == 200
    assert backend.train(project)["job_status"] == "finished"
    return backend.client.get(f"{API}/compare", query_string={"new": 2, "old": 1}).json


def name(text: str, who: str) -> tuple[dict, list[dict]]:
    start = text.index(who)
    value = {"start": start, "end": start + len(who), "text": who, "labels": ["Person"]}
    return {"text": text}, [{"from_name": "who", "to_name": "text", "type": "labels", "value": value}]


def test_spans_of_people_and_of_both_versions_are_told_for_each_text_that_one_has_wrong(backend):
    here = backend(f"tags: {{Labels: ner-crf}}\n{ALWAYS}", config=PEOPLE)
    first = {id: name(f"{id} letters from Anna came", "Anna") for id in LEARNT}
    second = {id: name(f"yesterday boris wrote {id} lines", "boris") for id in HELD_OUT}
    annotate(here, PEOPLE, first | second)
    more = {1000 + id: name(f"yesterday boris wrote {id} lines", "boris") for id in LEARNT}
    told = annotate(here, PEOPLE, more, at=1)
    rows = [row for row in told["rows"] if row["drawing"]]
    assert rows
    for row in rows:
        drawing = row["drawing"]
        assert list(drawing["texts"]) == ["text"]
        assert drawing["pictures"] == {}
        (mark,) = drawing["people"]
        assert drawing["texts"]["text"][mark["value"]["start"] : mark["value"]["end"]] == "boris"
    page = here.client.get(f"/projects/{PROJECT_KEY}/compare").text
    assert page.count("data-drawing=") == len(rows)


@pytest.fixture
def _seen_boxes(monkeypatch):
    register(monkeypatch, SeenBoxes)


@pytest.mark.usefixtures("_seen_boxes")
def test_boxes_are_told_with_a_picture_small_enough_for_a_page(backend):
    here = backend(f"tags: {{RectangleLabels: seen-boxes}}\n{ALWAYS}", config=CARS)
    held_out = {id: ({"image": picture(id)}, boxes("Car", "Car")) for id in HELD_OUT}
    annotate(here, CARS, {id: ({"image": picture(id)}, boxes("Car")) for id in LEARNT} | held_out)
    told = annotate(here, CARS, {id: ({"image": picture(id)}, boxes("Car", "Car")) for id in LEARNT[:3]}, at=1)
    assert len(told["rows"]) == len(HELD_OUT)
    drawing = told["rows"][0]["drawing"]
    assert drawing["pictures"] == {"image": 1}
    assert [region["value"]["x"] for region in drawing["people"]] == [10, 10]
    asked = {"task": told["rows"][0]["task"], "object": "image"}
    answer = here.client.get(f"{API}/picture", query_string=asked)
    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
    shown = PIL.Image.open(io.BytesIO(answer.data))
    assert shown.size == (40, 40)
    red, green, blue = shown.getpixel((20, 20))
    assert abs(red - int(asked["task"])) < 12
    assert abs(green - 90) < 12
    assert abs(blue - 10) < 12
    assert here.client.get(f"{API}/picture", query_string={**asked, "page": "1"}).status_code == 404


def test_a_wide_picture_is_made_smaller(tmp_path):
    from lsml.media import thumbnail

    PIL.Image.new("RGB", (3000, 1000), "red").save(tmp_path / "wide.png")
    made = PIL.Image.open(io.BytesIO(thumbnail(tmp_path / "wide.png", 800)))
    assert made.size == (800, 267)
