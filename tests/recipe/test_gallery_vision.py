"""The gallery's recipes with detectors pre-label, learn and predict, with small real weights in place of the ones that they name.

The weights of YOLO start from those of a package, so that they are pretrained, and have the class names of the real ones.
No package ships any for `detector`: small ones that learnt the drawn world stand for them.
"""

from __future__ import annotations

import base64
import functools
import json
from pathlib import Path

import msgspec
import pytest
import yaml

from lsml.adapters.parts.weight_files import VARIABLE
from lsml.labeling import parse_labeling_config
from lsml.labeling.view import View
from lsml.recipe import load_recipe
from lsml.recipe.gallery import gallery_recipes
from lsml.values import Choice, KeyPoint, kind_of
from tests.adapters.image.test_yolo import film
from tests.conftest import Backend
from tests.recipe.test_gallery import RECIPES, binding_of
from tests.support import worlds
from tests.support.cases import DETECTOR, FIBRILS, YOLO
from tests.support.drawings import disc
from tests.support.transformer_models import tiny_owl, tiny_sam2

SEEING = [
    name for name, path in RECIPES.items()
    if any(m.adapter in ("yolo", "detector") for m in load_recipe(path).models)
    and not any(m.needs for m in load_recipe(path).models)  # tests/end_to_end/test_needs.py
]  # fmt: skip

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]
RECIPES = gallery_recipes()
WORLDS = {
    "detection": "box", "detection-apache": "box", "detection-from-scratch": "box", "oriented-boxes": "rotated", "segmentation": "polygon",
    "segmentation-apache": "mask", "pose": "pose", "image-classification": "choice", "video-tracking": None,
}  # fmt: skip
OF_DETECTOR = {
    "PekingU/rtdetr_v2_r18vd": "detector",
    "Roboflow/rf-detr-seg-medium": "masks",
}  # those that stand for them
PROJECT = "7.1795424614"


@functools.cache
def names(data_set: str, key: str = "names") -> dict[int, str]:
    """The class names of one of ultralytics' data sets."""
    from ultralytics.utils import ROOT

    facts = yaml.safe_load((ROOT / "cfg" / "datasets" / f"{data_set}.yaml").read_text())
    return facts["names"] if key == "names" else dict(enumerate(facts[key].values()))


KNOWN = {
    "": lambda: names("coco"), "-seg": lambda: names("coco"), "-obb": lambda: names("DOTAv1"),
    "-pose": lambda: {0: "person"}, "-cls": lambda: names("ImageNet", "map"),
}  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A folder with the files that the recipes name."""
    import torch
    from ultralytics import YOLO as Library

    folder = tmp_path_factory.mktemp("weights")
    for suffix, classes in KNOWN.items():
        if suffix:
            model = Library(f"yolov8n{suffix}.yaml").load(str(FIBRILS))
            model.model.names = classes()
            torch.save({"model": model.model.half()}, folder / f"yolo11n{suffix}.pt")
    # One that finds the shapes of the drawn world, and calls them as the recipes' labels are called.
    learnt = YOLO[0].ready()._learnt.module
    learnt.names = {0: "car", 1: "person"}
    torch.save({"model": learnt}, folder / "yolo11n.pt")
    learnt.names = {0: "blue", 1: "red"}
    for case, file in zip(DETECTOR, OF_DETECTOR.values(), strict=True):
        (folder / file).mkdir()
        case.ready().save(folder / file)
        facts = json.loads((folder / file / "config.json").read_text())
        facts["id2label"] = {"0": "car", "1": "person"}
        (folder / file / "config.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture
def serve(tmp_path, weights, monkeypatch):
    """A function that serves a recipe, made small: few epochs on small images."""
    monkeypatch.setenv(VARIABLE, str(weights))
    monkeypatch.setenv("LSML_CACHE_DIR", str(tmp_path / "cache"))
    served = []

    def start(name: str) -> Backend:
        recipe = yaml.safe_load(RECIPES[name].read_text(encoding="utf-8"))
        for model in recipe["tags"].values():
            model["options"] |= {"imgsz": 96, "epochs": 20, "train_batch": 8, "patience": 0}
            if model["adapter"] == "detector":
                small = weights / OF_DETECTOR[model["options"]["weights"]]
                model["options"] |= {"weights": str(small), "learning_rate": 2e-3}
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe))
        served.append(Backend(path, tmp_path / "data"))
        return served[-1]

    yield start
    for backend in served:
        backend.store.close()


def test_every_recipe_with_a_detector_has_a_world():
    assert set(WORLDS) == set(SEEING)


@pytest.mark.parametrize("name", SEEING)
def test_every_label_of_a_recipe_is_meant_by_a_class_of_the_weights_that_it_names(name):
    (model,) = binding_of(name).models
    file = model.spec.options.weights
    if file.endswith(".yaml"):
        return
    if model.spec.adapter == "detector":
        file = "yolo11n.pt"  # classes of COCO, as those of these weights
    known = [name.casefold() for name in KNOWN[file.removeprefix("yolo11n").removesuffix(".pt")]().values()]
    known += [f"person::{place}" for place in range(17)]
    for translation in model.classes.translation.values():
        meant = {label for name, label in translation.items() if name in known}
        assert meant == set(translation.values())


def data_uri(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def relabelled(value, target):
    """A value of the drawn world with a label of the recipe in the place of its own."""
    labels = target.kinds[kind_of(type(value))]
    known = ["head", "tail", "ear"] if isinstance(value, KeyPoint) else ["red", "blue"]
    return msgspec.structs.replace(value, label=labels[known.index(value.label) % len(labels)])


@pytest.mark.parametrize("name", [name for name, kind in WORLDS.items() if kind])
def test_a_recipe_learns_from_what_people_draw_and_serves_it(name, serve):
    backend, binding = serve(name), binding_of(name)
    (model,) = binding.models
    examples = worlds.shape_examples(WORLDS[name], 24)
    project = {"id": 7, "created_at": "2026-11-23T09:03:34.474647Z", "title": name,
               "label_config": backend.recipe.labeling_config}  # fmt: skip
    tasks = [{"id": id, "data": {"image": data_uri(e.data, "image/png")}} for id, e in enumerate(examples, 1)]
    for task, example in zip(tasks, examples, strict=True):
        values = [relabelled(value, model.target) for value in example.values]
        regions = []
        for control in model.controls:
            own = [value for value in values if isinstance(value, control.value_type)]
            regions += control.encode(own, "image", View(example.data, size=(worlds.SIZE, worlds.SIZE)))
        if not regions and control.value_type is Choice:
            continue
        stamp = f"2026-11-23T10:00:{task['id']:02d}.000000Z"
        answer = backend.post("/webhook", {
            "action": "ANNOTATION_CREATED", "project": project, "task": {**task, "updated_at": stamp},
            "annotation": {"id": task["id"], "task": task["id"], "updated_at": stamp, "result": regions},
        })  # fmt: skip
        assert answer.status_code == 200, answer.text
    asked = {"tasks": tasks, "project": PROJECT, "label_config": backend.recipe.labeling_config}
    before = backend.post("/predict", asked).json["results"]
    assert (before == [[]] * len(tasks)) == (name == "detection-from-scratch"), "only random weights abstain"
    end = backend.train(project)
    assert end["job_status"] == "finished", end
    predictions = backend.post("/predict", asked).json["results"]
    regions = [region for prediction in predictions for region in prediction["result"]]
    for region in regions:
        assert binding.controls[region["from_name"]].problem(region, {}) is None
    assert predictions[0]["model_version"].startswith(f"{name}-v1-")
    if name not in ("detection-from-scratch", "pose"):  # these need more than twenty epochs
        assert len(regions) >= len(tasks) / 2
    row = backend.store.versions.served(PROJECT)
    notes = " ".join(row.card["notes"])
    assert ("random weights" in notes) == (name == "detection-from-scratch")


def test_tracks_are_served_as_label_studio_draws_them(serve, tmp_path):
    backend, binding = serve("video-tracking"), binding_of("video-tracking")
    path, _ = film(tmp_path / "film.avi", 50, rate=25.0)
    answer = backend.post("/predict", {
        "tasks": [{"id": 1, "data": {"video": data_uri(path, "video/avi")}}], "project": PROJECT,
        "label_config": backend.recipe.labeling_config,
    })  # fmt: skip
    (prediction,) = answer.json["results"]
    assert {region["value"]["labels"][0] for region in prediction["result"]} == {"Person", "Car"}
    for region in prediction["result"]:
        assert binding.controls["box"].problem(region, {}) is None
        value = region["value"]
        frames = [one["frame"] for one in value["sequence"]]
        assert value["framesCount"] == 50 and value["duration"] == pytest.approx(2.0)
        assert frames == sorted(frames) and frames[0] >= 1 and frames[-1] <= 50
        assert value["sequence"][-1]["enabled"] is False


def test_the_configs_of_the_recipes_are_what_label_studio_reads():
    for name in SEEING:
        assert parse_labeling_config(load_recipe(RECIPES[name]).labeling_config).controls


def test_the_segment_anything_recipe_answers_marks_once_its_weights_are_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nothing"))
    path = tmp_path / "segment-anything.yaml"
    text = RECIPES["segment-anything"].read_text(encoding="utf-8")
    image = {"image": data_uri(disc(tmp_path / "disc.png", "Red", (50, 40), 20), "image/png")}
    point = {"id": "x", "from_name": "point", "to_name": "image", "type": "keypointlabels", "original_width": 120,
             "original_height": 90, "value": {"x": 50 / 1.2, "y": 40 / 0.9, "width": 1, "keypointlabels": ["Part"]}}  # fmt: skip
    asked = {"tasks": [{"id": 1, "data": image}], "params": {"context": {"result": [point]}}}
    answers = []
    # Nobody trained the weights, so this shows the way that a mask goes, and not that it is good.
    for weights in ("facebook/sam2.1-hiera-tiny", str(tiny_sam2(tmp_path / "weights"))):
        path.write_text(text.replace("weights: facebook/sam2.1-hiera-tiny", f"weights: {weights}"))
        backend = Backend(path, tmp_path / "data")
        try:
            answers.append(backend.post("/predict", asked).json)
        finally:
            backend.store.close()
    assert answers[0]["results"][0]["result"] == []
    [region] = answers[1]["results"][0]["result"]
    assert (region["from_name"], region["type"], region["value"]["brushlabels"]) == ("mask", "brushlabels", ["Part"])


def test_the_open_vocabulary_recipe_finds_words_and_typed_prompts_and_their_boxes_become_masks(tmp_path):
    # Nobody trained the weights: what is shown is the way of words, boxes and masks.
    owl, sam = tiny_owl(tmp_path / "owl"), tiny_sam2(tmp_path / "sam")
    text = RECIPES["open-vocabulary"].read_text(encoding="utf-8")
    recipe = yaml.safe_load(text.replace("google/owlv2-base-patch16-ensemble", str(owl)))
    labels = '<Label value="Person"/><Label value="Vehicle"/>'
    recipe["labeling_config"] = recipe["labeling_config"].replace(
        "</View>", f'<BrushLabels name="mask" toName="image">{labels}</BrushLabels></View>'
    )
    recipe["tags"]["BrushLabels#mask"] = {
        "adapter": "segment-anything", "needs": "RectangleLabels#box", "options": {"weights": str(sam)},
    }  # fmt: skip
    recipe["tags"]["RectangleLabels#box"]["threshold"] = 0.05
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(recipe))
    image = {"image": data_uri(disc(tmp_path / "disc.png", "Red", (50, 40), 20), "image/png")}
    typed = {"id": "x", "from_name": "prompt", "to_name": "image", "type": "textarea",
             "value": {"text": ["vehicle: red disc"]}}  # fmt: skip
    backend = Backend(tmp_path / "mine.yaml", tmp_path / "data")
    try:
        [plain] = backend.post("/predict", {"tasks": [{"id": 1, "data": image}]}).json["results"]
        asked = {"tasks": [{"id": 1, "data": image}], "params": {"context": {"result": [typed]}}}
        [prompted] = backend.post("/predict", asked).json["results"]
    finally:
        backend.store.close()
    boxes = [one for one in plain["result"] if one["from_name"] == "box"]
    masks = [one for one in plain["result"] if one["from_name"] == "mask"]
    assert boxes and masks and len(masks) <= len(boxes)
    found = [one for one in prompted["result"] if one["from_name"] == "box"]
    assert found and {one["value"]["rectanglelabels"][0] for one in found} == {"Vehicle"}
