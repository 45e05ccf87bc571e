"""A model that needs the regions of another: predicted ones when it predicts, a person's when it learns."""

import base64
import io
import random

import msgspec
import pytest
from PIL import Image, ImageDraw

from lsml.adapters.image.ocr import Ocr
from lsml.adapters.image.yolo import Yolo
from lsml.controls.brush import decode_brush
from lsml.values import Box
from lsml.values.geometry import box_corners, fill_outline
from tests.conftest import REPOSITORY, Backend, write_recipe
from tests.support import companies, invoices
from tests.support.judge import verdicts
from tests.support.sounds import scene, write_sound

PROJECT = {"id": 3, "created_at": "2026-11-23T09:03:34.474647Z", "title": "regions"}
KEY = "3.1795424614"
SAID = {"Positive": ["lovely", "great", "superb"], "Negative": ["awful", "poor", "terrible"]}
PARTS = {"soup": "Food", "bread": "Food", "wine": "Food", "waiter": "Service", "staff": "Service"}


class Project:
    """A backend of a recipe, and a project that connected."""

    def __init__(self, recipe, data):
        self.backend = Backend(recipe, data)
        self.project = {**PROJECT, "label_config": self.backend.recipe.labeling_config}
        self._id = 0

    def annotate(self, data, result):
        self._id += 1
        stamp = f"2026-11-23T10:{self._id // 60:02d}:{self._id % 60:02d}.000000Z"
        answer = self.backend.post("/webhook", {
            "action": "ANNOTATION_CREATED", "project": self.project,
            "task": {"id": self._id, "data": data, "updated_at": stamp},
            "annotation": {"id": self._id, "task": self._id, "updated_at": stamp, "result": result},
        })  # fmt: skip
        assert answer.status_code == 200, answer.text

    def train(self):
        done = self.backend.train(self.project)
        assert done["job_status"] == "finished", done
        found = self.backend.client.get(f"/api/projects/{KEY}").json["versions"]
        return max(found, key=lambda version: version["version"])

    def predict(self, *data):
        asked = {"tasks": [{"id": id, "data": one} for id, one in enumerate(data)], "project": KEY,
                 "label_config": self.project["label_config"]}  # fmt: skip
        return self.backend.post("/predict", asked).json["results"]


def review(draw):
    """A sentence about two parts of a meal, and what a person marks in it."""
    text, result = "", []
    for part in draw.sample(sorted(PARTS), 2):
        opinion = draw.choice(sorted(SAID))
        text += f"the {draw.choice(SAID[opinion])} "
        place = {"start": len(text), "end": len(text) + len(part), "text": part}
        about = {"id": f"r{draw.random()}", "to_name": "text"}
        result.append({**about, "from_name": "aspect", "type": "labels", "value": {**place, "labels": [PARTS[part]]}})
        result.append({**about, "from_name": "opinion", "type": "choices", "value": {**place, "choices": [opinion]}})
        text += f"{part} came to us with nothing more to say of it . "
    return {"text": text}, result


def answers(prediction, name):
    """(the text of a region, its answer) of one control."""
    return sorted(
        (region["value"]["text"], region["value"]["choices"])
        for region in prediction["result"]
        if region["from_name"] == name
    )


@pytest.fixture(scope="module")
def aspects(tmp_path_factory):
    """(a project that learnt aspects and opinions, what it said of TEXT before, its version)"""
    project = Project(REPOSITORY / "recipes" / "aspects.yaml", tmp_path_factory.mktemp("aspects") / "data")
    draw = random.Random(3)
    for _ in range(20):
        project.annotate(*review(draw))
    [before] = project.predict({"text": TEXT})
    yield project, before, project.train()
    project.backend.store.close()


TEXT = "the superb soup came to us with nothing and the poor waiter came to us later ."


def test_spans_that_one_model_finds_are_answered_each_by_another(aspects):
    project, before, version = aspects
    assert {region["type"] for region in before["result"]} == {"labels"}  # it had learnt nothing yet
    assert version["models"]["opinion:text-classifier"]["examples"] > 24  # regions, not tasks
    assert version["metrics"]["opinion"]["value"] == 1.0
    [prediction] = project.predict({"text": TEXT})
    assert answers(prediction, "opinion") == [("soup", ["Positive"]), ("waiter", ["Negative"])]
    parts = {region["id"]: region for region in prediction["result"] if region["from_name"] == "aspect"}
    for region in prediction["result"]:
        if region["from_name"] == "opinion":
            place = {key: held for key, held in parts[region["id"]]["value"].items() if key != "labels"}
            assert region["value"] == {**place, "choices": region["value"]["choices"]}
            assert (region["type"], region["to_name"]) == ("choices", "text")
            assert 0 < region["score"] <= 1
    assert 0 < prediction["score"] <= 1


@pytest.mark.studio
def test_label_studios_own_validator_accepts_answers_about_regions(aspects):
    project, _, _ = aspects
    [prediction] = project.predict({"text": TEXT})
    assert verdicts([(project.project["label_config"], prediction)]) == [[]]


def test_where_nothing_is_found_nothing_is_answered(aspects):
    predictions = aspects[0].predict({"text": "we went home ."}, {"text": "and slept"})
    assert [one["result"] for one in predictions] == [[], []]


# ------------------------------------------------------------------------------------------------ boxes

CONFIG = """<View><Image name="image" value="$image"/>
<RectangleLabels name="box" toName="image"><Label value="Thing"/></RectangleLabels>
<Choices name="colour" toName="image" perRegion="true"><Choice value="Red"/><Choice value="Blue"/></Choices></View>"""
TAGS = """tags:
  RectangleLabels: {adapter: yolo, training: false}
  Choices: {adapter: image-classifier, needs: RectangleLabels, around: 5}
"""
SIZE = (120, 80)
RGB = {"Red": (220, 60, 60), "Blue": (60, 90, 220)}


def picture(draw):
    """(a picture of two squares, one of them turned, as a data URL; their (colour, Box))"""
    image = Image.new("RGB", SIZE, (180, 180, 180))
    things = []
    for left, turn in ((8, 0.0), (75, draw.choice([20.0, 40.0]))):
        colour = draw.choice(sorted(RGB))
        side, top = draw.randint(18, 24), draw.randint(6, 20)
        box = Box(label="Thing", score=0.9, x=left / SIZE[0], y=top / SIZE[1], width=side / SIZE[0], height=side / SIZE[1],
                  rotation=turn, aspect=SIZE[0] / SIZE[1])  # fmt: skip
        corners = box_corners([(box.x, box.y, box.width, box.height, box.rotation)], box.aspect)[0] * SIZE
        ImageDraw.Draw(image).polygon([tuple(corner) for corner in corners.tolist()], fill=RGB[colour])
        things.append((colour, box))
    out = io.BytesIO()
    image.save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode(), things


def drawn(things):
    """What a person draws around the things of a picture, and says of each."""
    result = []
    for number, (colour, box) in enumerate(things):
        place = {
            "x": box.x * 100,
            "y": box.y * 100,
            "width": box.width * 100,
            "height": box.height * 100,
            "rotation": box.rotation,
        }
        about = {"id": f"d{number}", "to_name": "image", "original_width": SIZE[0], "original_height": SIZE[1]}
        result.append(
            {**about, "from_name": "box", "type": "rectanglelabels", "value": {**place, "rectanglelabels": ["Thing"]}}
        )
        result.append({**about, "from_name": "colour", "type": "choices", "value": {**place, "choices": [colour]}})
    return result


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """(a project that learnt the colours of things in boxes, its version)"""
    folder = tmp_path_factory.mktemp("things")
    project = Project(write_recipe(folder, TAGS, config=CONFIG), folder / "data")
    draw = random.Random(4)
    for _ in range(16):
        url, found = picture(draw)
        project.annotate({"image": url}, drawn(found))
    yield project, project.train()
    project.backend.store.close()


def test_boxes_that_a_detector_draws_are_answered_each_by_a_classifier_of_crops(things, monkeypatch):
    project, version = things
    assert version["models"]["colour:image-classifier"]["examples"] > 20
    url, found = picture(random.Random(99))
    # No weights are here; what is drawn is what a detector would draw.
    monkeypatch.setattr(Yolo, "ready", property(lambda _self: True))
    monkeypatch.setattr(Yolo, "predict_above", lambda _self, batch, _floor: [[box for _, box in found] for _ in batch])
    [prediction] = project.predict({"image": url})
    boxes = [region for region in prediction["result"] if region["from_name"] == "box"]
    colours = {region["id"]: region for region in prediction["result"] if region["from_name"] == "colour"}
    assert [region["type"] for region in prediction["result"]] == ["rectanglelabels"] * 2 + ["choices"] * 2
    for (colour, _), box in zip(found, boxes, strict=True):
        answer = colours[box["id"]]
        assert answer["value"].pop("choices") == [colour]
        box["value"].pop("rectanglelabels")
        assert answer["value"] == box["value"]
        assert (answer["original_width"], answer["original_height"]) == SIZE


# ------------------------------------------------------------------------------------------------ masks

MASKS = """<View><Image name="image" value="$image"/>
<RectangleLabels name="box" toName="image" smart="true"><Label value="Thing"/></RectangleLabels>
<BrushLabels name="mask" toName="image" smart="false"><Label value="Thing"/></BrushLabels></View>"""
CUTTING = """tags:
  RectangleLabels: {adapter: yolo, training: false}
  BrushLabels: {adapter: grabcut, needs: RectangleLabels}
"""


def test_boxes_that_a_detector_draws_become_masks_and_so_do_those_of_a_person(tmp_path, monkeypatch):
    project = Project(write_recipe(tmp_path, CUTTING, config=MASKS), tmp_path / "data")
    monkeypatch.setattr(Yolo, "ready", property(lambda _self: True))
    url, found = picture(random.Random(99))
    monkeypatch.setattr(Yolo, "predict_above", lambda _self, batch, _floor: [[box for _, box in found] for _ in batch])
    try:
        [prediction] = project.predict({"image": url})
        asked = {"tasks": [{"id": 1, "data": {"image": url}}], "project": KEY, "label_config": MASKS}
        one = next(region for region in drawn(found[:1]) if region["from_name"] == "box")
        monkeypatch.setattr(Yolo, "respond", lambda _self, _data, _prompts: [])
        [answer] = project.backend.post("/predict", {**asked, "params": {"context": {"result": [one]}}}).json["results"]
    finally:
        project.backend.store.close()
    assert [region["type"] for region in prediction["result"]] == ["rectanglelabels"] * 2 + ["brushlabels"] * 2
    assert [region["type"] for region in answer["result"]] == ["brushlabels"]
    for (_, box), region in zip([*found, found[0]], [*prediction["result"][2:], *answer["result"]], strict=True):
        assert region["value"]["brushlabels"] == ["Thing"]
        pixels = decode_brush(region["value"]["rle"], *SIZE)
        corners = box_corners([(box.x, box.y, box.width, box.height, box.rotation)], box.aspect)[0]
        thing = fill_outline(corners, *SIZE)
        assert (pixels & thing).sum() / (pixels | thing).sum() > 0.9


# ------------------------------------------------------------------------------------------------ fields


def page_answers(lines):
    """The lines of an invoice as a person leaves them: a rectangle, its text, and which field it is."""
    result = []
    for number, (line, box) in enumerate(zip(lines, invoices.boxes(lines), strict=True)):
        place = {
            "x": box.x * 100,
            "y": box.y * 100,
            "width": box.width * 100,
            "height": box.height * 100,
            "rotation": 0,
        }
        about = {"id": f"l{number}", "to_name": "page"}
        result.append({**about, "from_name": "line", "type": "rectangle", "value": place})
        result.append({**about, "from_name": "text", "type": "textarea", "value": {**place, "text": [line.text]}})
        result.append({**about, "from_name": "field", "type": "choices", "value": {**place, "choices": [line.field]}})
    return result


def page_url(lines):
    out = io.BytesIO()
    invoices.drawn(lines).convert("L").save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def test_the_fields_of_an_invoice_are_learnt_from_what_people_say_of_its_lines(tmp_path, monkeypatch):
    project = Project(REPOSITORY / "recipes" / "invoice-fields.yaml", tmp_path / "data")
    try:
        for seed in range(10):
            lines = invoices.invoice(seed % 2, seed)
            project.annotate({"page": page_url(lines)}, page_answers(lines))
        project.train()
        lines = invoices.invoice(1, 200)
        # What a perfect reader would read; `benchmarks/fields.py` measures it with the real one.
        monkeypatch.setattr(Ocr, "ready", property(lambda _self: True))
        read = [msgspec.structs.replace(box, score=0.9) for box in invoices.boxes(lines)]
        monkeypatch.setattr(Ocr, "predict_above", lambda _self, batch, _floor: [read for _ in batch])
        [prediction] = project.predict({"page": page_url(lines)})
    finally:
        project.backend.store.close()
    fields = {
        region["id"]: region["value"]["choices"] for region in prediction["result"] if region["type"] == "choices"
    }
    texts = {
        region["id"]: region["value"]["text"][0] for region in prediction["result"] if region["type"] == "textarea"
    }
    told = {(texts[id], *answer) for id, answer in fields.items() if answer != ["Other"]}
    assert told == {(line.text, line.field) for line in lines if line.field != "Other"}


# ------------------------------------------------------------------------------------------------ stretches

HEARD = """<View><Audio name="audio" value="$audio"/>
<Labels name="part" toName="audio"><Label value="Sound"/></Labels>
<Choices name="kind" toName="audio" perRegion="true"><Choice value="Hum"/><Choice value="Noise"/><Choice value="Whistle"/></Choices></View>"""
HEARD_TAGS = """tags:
  Labels: {adapter: sound-events, options: {iterations: 15}}
  Choices: {adapter: audio-classifier, needs: Labels, options: {C: 3}}
training: {holdout: 0}
"""


def recorded(seed):
    """(a recording of some sounds as a data URL, where and what they are)"""
    samples, marked = scene(seed, events=4)
    out = io.BytesIO()
    write_sound(out, samples)
    return "data:audio/wav;base64," + base64.b64encode(out.getvalue()).decode(), marked


def said_of(marked):
    """What a person marks in a recording, and says of each stretch."""
    result = []
    for number, stretch in enumerate(marked):
        place = {"start": stretch.start, "end": stretch.end, "channel": 0}
        about = {"id": f"s{number}", "to_name": "audio"}
        result.append({**about, "from_name": "part", "type": "labels", "value": {**place, "labels": ["Sound"]}})
        result.append({**about, "from_name": "kind", "type": "choices", "value": {**place, "choices": [stretch.label]}})
    return result


@pytest.mark.slow
def test_stretches_that_one_model_hears_are_answered_each_by_another(tmp_path):
    project = Project(write_recipe(tmp_path, HEARD_TAGS, config=HEARD), tmp_path / "data")
    try:
        for seed in range(6):
            url, marked = recorded(seed)
            project.annotate({"audio": url}, said_of(marked))
        project.train()
        url, marked = recorded(100)
        [prediction] = project.predict({"audio": url})
    finally:
        project.backend.store.close()
    places = {one["id"]: one["value"] for one in prediction["result"] if one["from_name"] == "part"}
    kinds = {one["id"]: one["value"] for one in prediction["result"] if one["from_name"] == "kind"}
    assert places.keys() == kinds.keys() and len(places) >= len(marked)
    for stretch in marked:
        [id] = [id for id, place in places.items() if place["start"] < (stretch.start + stretch.end) / 2 < place["end"]]
        assert kinds[id] == {
            **{key: places[id][key] for key in ("start", "end", "channel")},
            "choices": [stretch.label],
        }


# ------------------------------------------------------------------------------------------------ relations


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """(a project that learnt names and what relates them, what it said before, its version)"""
    project = Project(REPOSITORY / "recipes" / "relations.yaml", tmp_path_factory.mktemp("relations") / "data")
    for seed in range(30):
        text, marked = companies.result(seed)
        project.annotate({"text": text}, marked)
    [before] = project.predict({"text": "Acme was founded by Ada ."})
    yield project, before, project.train()
    project.backend.store.close()


def relations(prediction):
    """(source, label, target) of a prediction, as texts, and the relations themselves."""
    texts = {one["id"]: one["value"]["text"] for one in prediction["result"] if one["type"] == "labels"}
    arrows = [one for one in prediction["result"] if one["type"] == "relation"]
    return {(texts[one["from_id"]], *one["labels"], texts[one["to_id"]]) for one in arrows}, arrows


def test_what_relates_the_regions_of_another_model_is_learnt_and_predicted(joined):
    project, before, version = joined
    assert [region["type"] for region in before["result"]] == ["labels"]  # the list's words, and nothing learnt
    assert version["metrics"]["relations"]["metric"] == "relation_f1" and version["metrics"]["relations"]["value"] > 0.8
    [prediction] = project.predict({"text": "Globex was founded by Eve and Bob . Dan , who works for Acme , met Gus ."})
    told, arrows = relations(prediction)
    assert told == {("Eve", "founded", "Globex"), ("Bob", "founded", "Globex"), ("Dan", "works for", "Acme")}
    for arrow in arrows:
        assert set(arrow) == {"type", "from_id", "to_id", "direction", "labels", "score"}
        assert arrow["direction"] == "right" and 0.5 <= arrow["score"] <= 1
    assert 0 < prediction["score"] <= 1


def test_without_regions_there_are_no_relations(joined):
    [none, one] = joined[0].predict({"text": "it rains ."}, {"text": "Acme pays nobody ."})
    assert none["result"] == [] and [region["type"] for region in one["result"]] == ["labels"]


@pytest.mark.studio
def test_label_studios_own_validator_accepts_relations(joined):
    project, _, _ = joined
    [prediction] = project.predict({"text": "Globex was founded by Eve and Bob ."})
    assert relations(prediction)[0] and verdicts([(project.project["label_config"], prediction)]) == [[]]


@pytest.mark.studio
def test_a_real_label_studio_keeps_predicted_relations(joined, studio):
    project, _, _ = joined
    text = "Globex was founded by Eve and Bob ."
    [prediction] = project.predict({"text": text})
    there = studio.create_project("Relations", project.project["label_config"])
    task = {"data": {"text": text}, "predictions": [prediction]}
    studio.call("POST", f"/api/projects/{there}/import", json=[task])
    [kept] = studio.tasks(there)
    assert relations(kept["predictions"][0])[0] == relations(prediction)[0]


DATES = """lsml: 1
name: norms
labeling_config: |
  <View><Labels name="l" toName="text"><Label value="Date"/></Labels><Text name="text" value="$text"/>
  <DateTime name="d" toName="text" only="date" format="%d.%m.%Y" perRegion="true"/></View>
tags:
  Labels: {adapter: text-matcher, options: {patterns: {Date: ['\\w+ \\w+ \\d{4}']}}}
  DateTime: {adapter: dates, needs: Labels}
"""


def test_the_date_of_each_span_is_written_in_the_format_of_the_tag(tmp_path):
    recipe = tmp_path / "norms.yaml"
    recipe.write_text(DATES, encoding="utf-8")
    project = Project(recipe, tmp_path / "data")
    try:
        [found] = project.predict({"text": "from 4 March 2026 to 6 May 2026"})
    finally:
        project.backend.store.close()
    dated = [region for region in found["result"] if region["type"] == "datetime"]
    assert [(one["value"]["text"], one["value"]["datetime"]) for one in dated] == [
        ("4 March 2026", "04.03.2026"), ("6 May 2026", "06.05.2026"),
    ]  # fmt: skip
    spans = [region["id"] for region in found["result"] if region["type"] == "labels"]
    assert [one["id"] for one in dated] == spans
