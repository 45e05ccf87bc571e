"""Every recipe of the gallery is valid, explained, served, trained, and predicts. A new one is tested by being there."""

from __future__ import annotations

import base64
import io
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
import yaml
from PIL import Image

from lsml.adapters import get_adapter
from lsml.binding import Binding, BoundModel, bind
from lsml.controls.base import Control
from lsml.controls.brush import decode_brush, encode_brush
from lsml.errors import NotFound
from lsml.labeling import ObjectTag, parse_labeling_config
from lsml.labeling.objects import read_object
from lsml.labeling.view import Film, View
from lsml.metrics import judge
from lsml.recipe import load_recipe
from lsml.recipe.gallery import find_recipe, gallery_recipes
from lsml.values import Choice, Interval, Moment, Number, Ranking, Span, Value
from tests.conftest import REPOSITORY, Backend
from tests.support.drawings import disc
from tests.support.fetching import no_fetch
from tests.support.sounds import RATE, silence, write_sound

RECIPES = gallery_recipes()
EXAMPLES = sorted((REPOSITORY / "recipes" / "examples").glob("*.json"))
MODELINE = "# yaml-language-server: $schema=../schemas/recipe.schema.json"
TASKS = 40
_YS, _XS = np.mgrid[:90, :120]
DISC = (_XS + 0.5 - 50) ** 2 + (_YS + 0.5 - 40) ** 2 <= 20**2  # where tests.support.drawings.disc is told to draw

each_recipe = pytest.mark.parametrize("name", RECIPES)
# What tests install; recipes that need more are served in test_gallery_vision.py, test_gallery_language.py
# and test_gallery_endpoints.py.
LIGHT = [
    name for name, path in RECIPES.items()
    if all(
        get_adapter(adapter).extra in (None, "dates", "images", "sound") and not get_adapter(adapter).only_interactive
        and adapter != "remote"  # whose service is elsewhere
        for adapter in load_recipe(path).adapters
    )
    and not any(model.needs for model in load_recipe(path).models)  # tests/end_to_end/test_needs.py draws regions
]  # fmt: skip
each_light_recipe = pytest.mark.parametrize("name", LIGHT)


def binding_of(name: str) -> Binding:
    recipe = load_recipe(RECIPES[name])
    assert recipe.labeling_config is not None
    return bind(recipe, parse_labeling_config(recipe.labeling_config))


def answers(control: Control) -> Sequence[Value]:
    """Up to four different answers that a person could give: labels, or numbers from one end to the other.

    A span is that of the word which gives it away, wherever that stands in the text.
    """
    if control.value_type is Interval:
        return [Interval(0, 1, label) for label in control.labels[:4]]
    if control.value_type is Span:
        return [Span(0, 1, label) for label in control.labels[:4]]
    if control.value_type is Ranking:
        return [Ranking(order) for order in (("a", "b", "c"), ("c", "a", "b"), ("b", "c", "a"))]
    if control.value_type is Choice:
        return [Choice(label) for label in control.labels[:4]]
    if control.value_type is Number:
        return list(dict.fromkeys(Number(control.fit(number)) for number in (1, 2, 4, 100)))
    if control.value_type is Moment:
        return [Moment(f"2026-03-0{day}") for day in (1, 2, 3, 4)]
    raise AssertionError(f"say here how a person answers a {control.tag}")


def words(control: Control, answer: int) -> list[str]:
    """What a text says when that answer is right."""
    if control.value_type is Moment:
        return [f"{control.control_tag.name} {answers(control)[answer].at}"]
    letters = "x" if control.value_type in (Span, Interval) else "xyz"
    return [f"{control.control_tag.name}{'abcd'[answer]}{letter}" for letter in letters]


def placed(control: Control, answer: int, value: Value, text: Any) -> Value:
    """An answer for a text: a span stands where its word does; for a series, the second half."""
    if isinstance(value, Interval) and text is None:  # of a recording, see `tones`
        return Interval(0.4, 0.8, value.label)
    if isinstance(value, Interval):
        times = text.points().times
        return Interval(float(times[len(times) // 2]), float(times[-1]), value.label)
    if not isinstance(value, Span):
        return value
    [word] = words(control, answer)
    start = text.index(word)
    return Span(start, start + len(word), value.label)


def data_of(object_tag: ObjectTag, said: list[str]) -> Any:
    """Words as a task holds them for a tag: a text, a page, a dialogue."""
    half = len(said) // 2
    first, second = " ".join(said[:half]), " ".join(said[half:])
    if object_tag.tag == "HyperText":
        return f"<!-- page --><h1>🤖</h1><p>{first} <b>{second}</b></p>"
    if object_tag.tag == "TimeSeries":
        return curves(object_tag, said)
    if object_tag.tag == "Audio":
        return tones(said)
    if object_tag.tag == "Image":
        return picture(said)
    if object_tag.tag == "Video":
        return moving_picture(said)
    if object_tag.tag == "Paragraphs":
        return [{"author": "🤖", "text": first}, {"author": "Ann", "text": second}]
    return f"{first} {second}"


def tones(said: list[str]) -> str:
    """A recording of whispers, in whose second half each word that tells has a tone of its own, as a data URL."""
    draw = np.random.default_rng(len("".join(said)))
    samples = silence(draw, 0.8)
    telling = [word for word in said if word[-2:-1] in "abcd" and word[-1] in "xyz"]
    names = sorted({word[:-2] for word in telling})
    for word in telling:
        pitch = 200 * 1.35 ** (4 * names.index(word[:-2]) + "abcd".index(word[-2]))
        half = len(samples) // 2
        samples[half:] += 0.1 * np.sin(2 * np.pi * pitch * np.arange(half) / RATE)
    file = io.BytesIO()
    write_sound(file, samples)
    return f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"


def moving_picture(said: list[str]) -> str:
    """A video of noise, whose second half has the colour that the words tell, as a data URL."""
    telling = [word for word in said if word[-2:-1] in "abcd" and word[-1] in "xyz" and word != "today"]
    [answer] = {"abcd".index(word[-2]) for word in telling}
    draw = np.random.default_rng(len("".join(said)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (48, 48))
        for number in range(16):
            image = draw.integers(100, 130, (48, 48, 3), dtype=np.uint8)
            if number >= 8:
                image[:] = COLOURS[answer]
            writer.write(image)
        writer.release()
        return f"data:video/avi;base64,{base64.b64encode(path.read_bytes()).decode()}"


COLOURS = ((220, 30, 30), (30, 220, 30), (30, 30, 220), (220, 220, 30))


def picture(said: list[str]) -> str:
    """A picture with a strip for each control, whose colour its words tell, as a data URL."""
    telling = sorted(
        {(word[:-2], "abcd".index(word[-2])) for word in said if word[-2:-1] in "abcd" and word[-1] in "xyz"}
    )
    pixels = np.zeros((60, 60, 3), dtype=np.uint8)
    for strip, (_, answer) in zip(np.array_split(pixels, max(1, len(telling)), axis=1), telling, strict=False):
        strip[:] = COLOURS[answer]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def curves(object_tag: ObjectTag, said: list[str]) -> dict[str, list[float]]:
    """Columns that rise after their first half, each to a level of the words' own."""
    draw = random.Random(" ".join(said))
    level = sum("abcd".index(word[-2]) + 1 for word in said if word.endswith(("ax", "bx", "cx", "dx")))
    curve = [3 * level * (place >= 60) + draw.gauss(0, 0.2) for place in range(120)]
    return {
        object_tag.attributes["timeColumn"]: list(map(float, range(120))),
        **dict.fromkeys(object_tag.channels, curve),
    }


def shown_of(object_tag: ObjectTag, data: dict[str, Any]) -> View:
    """What a control is told of the data; of a recording nothing, for times are seconds, nor of a picture."""
    if object_tag.tag == "Video":
        return View(None, film=Film(float(object_tag.attributes.get("frameRate", 24)), 0.8))
    return View(None) if object_tag.tag in ("Audio", "Image") else read_object(object_tag, {"data": data}, no_fetch)[0]


def chosen_words(binding: Binding, chosen: dict[str, int], model: BoundModel) -> Iterator[str]:
    """What gives away the answers to a model's controls."""
    for control in model.controls:
        yield from words(control, chosen[control.control_tag.name])


def compared(model: BoundModel, chosen: dict[str, int]) -> dict[str, Any]:
    """The texts of both sides, or of the items of a list, whose words give away how good each is."""
    [control] = model.controls
    better = chosen[control.control_tag.name]
    if control.value_type is Ranking:
        order = answers(control)[better].order
        items = [{"id": one, "title": "the", "body": " ".join(words(control, order.index(one)))} for one in "abc"]
        return {model.object_tag.value.removeprefix("$"): items}
    tags = [part.object_tag for part in model.inputs if part.object_tag is not None]
    return {
        tag.value.removeprefix("$"): " ".join(["the", "and", *words(control, int(place == better))])
        for place, tag in enumerate(tags)
    }


def annotated_tasks(binding: Binding) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """(task data, regions): each control has an answer that its own words in the text give away."""
    draw = random.Random(7)
    for number in range(TASKS):
        said = ["the", "and", draw.choice(["today", "again", "here"])]
        # Every control walks through its answers at a pace of its own, so that no two always agree.
        chosen = {
            name: number // (place + 1) % len(answers(control))
            for place, (name, control) in enumerate(binding.controls.items())
        }
        for name, control in binding.controls.items():
            said += words(control, chosen[name])
        draw.shuffle(said)
        data = {model.object_tag.value.removeprefix("$"): data_of(model.object_tag, said) for model in binding.models}
        for model in binding.models:
            if model.adapter_class.compares:
                data |= compared(model, chosen)
                continue
            for part in model.inputs:
                name = part.name.removeprefix("$")
                # The first of the fields gives the answer away, as a category; nothing is known of the others.
                first = part is model.inputs[0] and part.object_tag is None
                told = "/".join(chosen_words(binding, chosen, model)) if first else None
                data.setdefault(name, told)
        # Several models may answer one control.
        objects = {control.control_tag.name: model.object_tag for model in binding.models for control in model.controls}
        regions = []
        for name, control in binding.controls.items():
            shown = shown_of(objects[name], data)
            value = placed(control, chosen[name], answers(control)[chosen[name]], shown.data)
            regions += control.encode([value], control.control_tag.to_names[0], shown)
        yield data, regions


def test_the_gallery_has_the_recipes_that_the_readme_promises():
    assert {"sentiment", "topics", "taxonomy", "rating", "entities", "keywords", "entities-and-topic"} <= set(RECIPES)


def test_no_recipe_is_called_as_another():
    assert sorted(load_recipe(path).name for path in RECIPES.values()) == sorted(RECIPES)


@each_recipe
def test_a_recipe_begins_with_the_line_that_makes_editors_complete_it(name):
    assert RECIPES[name].read_text(encoding="utf-8").splitlines()[0] == MODELINE


@each_recipe
def test_a_recipe_describes_itself_and_explains_its_parts(name):
    lines = RECIPES[name].read_text(encoding="utf-8").splitlines()
    assert lines[1] == "#" and lines[2].startswith("# "), "say what it is for under the modeline"
    assert any(" # " in line for line in lines), "explain at least one of its lines"
    description = load_recipe(RECIPES[name]).description
    assert description.endswith(".") and len(description) <= 100


@each_recipe
def test_a_recipe_loads_without_a_warning_and_binds_all_that_it_names(name):
    recipe = load_recipe(RECIPES[name])
    binding = binding_of(name)
    assert (recipe.warnings, binding.warnings, binding.unbound) == ((), (), ())
    assert len(binding.models) >= len(recipe.models)
    assert binding.config is not None
    answered = {name for control in binding.controls.values() for name in control.names}
    answered |= {control_tag.name for control_tag in binding.asking}
    assert answered == {control.name for control in binding.config.controls}


@each_recipe
def test_a_recipe_with_smart_tools_names_the_switch_that_they_need_and_no_other_does(name):
    text = " ".join(line.strip("# ") for line in RECIPES[name].read_text(encoding="utf-8").splitlines())
    assert ("Interactive preannotations" in text) == bool(binding_of(name).asking)


@each_recipe
def test_a_recipe_is_valid_by_the_committed_schema(name):
    schema = json.loads((REPOSITORY / "schemas" / "recipe.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(RECIPES[name].read_text(encoding="utf-8")), schema)


@each_light_recipe
def test_a_recipe_is_served_learns_and_predicts(name, tmp_path):
    binding = binding_of(name)
    tasks = list(annotated_tasks(binding))
    backend = Backend(RECIPES[name], tmp_path / "data")
    try:
        project = {
            "id": 7, "created_at": "2026-11-23T09:03:34.474647Z", "title": name,
            "label_config": backend.recipe.labeling_config,
        }  # fmt: skip
        for id, (data, regions) in enumerate(tasks, 1):
            stamp = f"2026-11-23T10:{id // 60:02d}:{id % 60:02d}.000000Z"
            answer = backend.post("/webhook", {
                "action": "ANNOTATION_CREATED", "project": project,
                "task": {"id": id, "data": data, "updated_at": stamp},
                "annotation": {"id": id, "task": id, "updated_at": stamp, "result": regions},
            })  # fmt: skip
            assert answer.status_code == 200, answer.text
        assert backend.train(project)["job_status"] == "finished"
        setup = backend.post("/setup", {"project": "7.1795424614", "schema": backend.recipe.labeling_config})
        version = setup.json["model_version"]
        assert version.startswith(f"{name}-v1-")
        asked = {
            "tasks": [{"id": id, "data": data} for id, (data, _) in enumerate(tasks[:8], 1)],
            "project": "7.1795424614", "label_config": backend.recipe.labeling_config,
        }  # fmt: skip
        predictions = backend.post("/predict", asked).json["results"]
    finally:
        backend.store.close()
    assert len(predictions) == 8
    for (data, regions), prediction in zip(tasks, predictions, strict=False):
        assert prediction["model_version"] == version
        assert 0 <= prediction["score"] <= 1
        for region in prediction["result"]:
            assert binding.controls[region["from_name"]].problem(region, data) is None
        # What the words of a text give away must be learnt: choices exactly, numbers roughly.
        hidden = {control.config_name for model in binding.models if not model.spec.show for control in model.controls}
        assert hidden.isdisjoint(region["from_name"] for region in prediction["result"])
        for control_name, control in binding.controls.items():
            if control_name in hidden:
                continue
            said = [region for region in prediction["result"] if region["from_name"] == control_name]
            taught = [region for region in regions if region["from_name"] == control_name]
            if control.value_type is Interval:
                shown = shown_of(next(iter(binding.models)).object_tag, data)
                found, wanted = (control.decode(part, shown).values for part in (said, taught))
                assert judge(Interval, [(wanted, found)])["value"] == 1
            elif control.value_type in (Choice, Moment, Ranking, Span):
                assert [region["value"] for region in said] == [region["value"] for region in taught]
            else:
                [found], [wanted] = control.decode(said).values, control.decode(taught).values
                scale = max(answer.value for answer in answers(control))
                assert abs(found.value - wanted.value) <= scale / 3


@pytest.mark.parametrize(
    "prompt",
    [
        {"from_name": "box", "type": "rectanglelabels",
         "value": {"x": 20, "y": 15, "width": 44, "height": 58, "rotation": 0, "rectanglelabels": ["Part"]}},
        {"from_name": "point", "type": "keypointlabels",
         "value": {"x": 50 / 1.2, "y": 40 / 0.9, "width": 1, "keypointlabels": ["Part"]}, "is_positive": True},
        # Label Studio's editor sends no painted mask; another program may.
        {"from_name": "mask", "type": "brushlabels",
         "value": {"format": "rle", "rle": encode_brush(DISC), "brushlabels": ["Part"]}},
    ],
    ids=["box", "point", "painted"],
)  # fmt: skip
def test_the_smart_segmentation_recipe_cuts_out_what_a_person_marks(tmp_path, prompt):
    image = base64.b64encode(disc(tmp_path / "disc.png", "Red", (50, 40), 20).read_bytes()).decode()
    backend = Backend(RECIPES["smart-segmentation"], tmp_path / "data")
    drawn = {"id": "x", "to_name": "image", "original_width": 120, "original_height": 90, **prompt}

    def ask(context):
        asked = {
            "tasks": [{"id": 1, "data": {"image": f"data:image/png;base64,{image}"}}],
            "params": {"context": context},
        }
        return backend.post("/predict", asked).json["results"][0]

    try:
        assert ask(None) == []  # nobody drew anything, so there is no prediction
        assert ask({"result": []})["result"] == []
        [region] = ask({"result": [drawn]})["result"]
        [other] = ask({"result": [{**drawn, "id": "y"}]})["result"]
    finally:
        backend.store.close()
    assert (region["from_name"], region["type"], region["value"]["brushlabels"]) == ("mask", "brushlabels", ["Part"])
    assert (region["id"], other["id"]) == ("mask-0-x", "mask-0-y")  # else the editor puts one in the place of the other
    pixels = decode_brush(region["value"]["rle"], 120, 90)
    assert (pixels & DISC).sum() / (pixels | DISC).sum() > 0.9


def test_the_keywords_recipe_marks_what_it_names_and_the_rest_of_what_a_person_marks(tmp_path):
    text = "C++ since 2024-05-01, Rust (not rust) since 3 May 2021: Widget, WIDGET, Widgets"
    selected = {"id": "x", "from_name": "mention", "to_name": "text", "type": "labels",
                "value": {"start": 56, "end": 62, "text": "Widget", "labels": ["Product"]}}  # fmt: skip

    def ask(context):
        asked = {"tasks": [{"id": 1, "data": {"text": text}}], "params": {"context": context}}
        [prediction] = backend.post("/predict", asked).json["results"]
        return [(region["value"]["text"], *region["value"]["labels"]) for region in prediction["result"]]

    backend = Backend(RECIPES["keywords"], tmp_path / "data")
    try:
        assert ask(None) == [
            ("C++", "Language"), ("2024-05-01", "Date"), ("Rust", "Language"), ("3 May 2021", "Date")
        ]  # fmt: skip
        assert ask({"result": [selected]}) == [("WIDGET", "Product")]
    finally:
        backend.store.close()


@each_recipe
def test_new_copies_a_recipe_that_is_valid(name, tmp_path):
    def lsml(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "lsml", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    made = lsml("new", name)
    assert (made.returncode, made.stderr) == (0, "")
    schema, _, text = RECIPES[name].read_text(encoding="utf-8").partition("\n#\n")
    assert schema == "# yaml-language-server: $schema=../schemas/recipe.schema.json", "which is not beside a copy"
    assert (tmp_path / f"{name}.yaml").read_text(encoding="utf-8") == text
    checked = lsml("validate", f"{name}.yaml")
    assert (checked.returncode, checked.stderr) == (0, "")
    # Above it stands which libraries are not installed here, if any.
    assert checked.stdout.splitlines()[-1] == f"{name}.yaml: valid; {binding_of(name).state()}"


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_the_examples_of_a_recipe_are_answers_that_its_config_allows(path):
    binding = binding_of(path.stem)
    for task in json.loads(path.read_text(encoding="utf-8")):
        for annotation in task["annotations"]:
            for region in annotation["result"]:
                assert binding.controls[region["from_name"]].problem(region, task["data"]) is None


def test_a_recipe_is_found_with_or_without_its_ending():
    assert find_recipe("sentiment") == find_recipe("sentiment.yaml") == RECIPES["sentiment"]


def test_a_recipe_that_is_not_there_names_those_that_are():
    with pytest.raises(NotFound) as caught:
        find_recipe("something-else")
    assert str(caught.value) == f"the gallery has no recipe `something-else`; it has {', '.join(RECIPES)}"
