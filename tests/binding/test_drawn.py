"""What others drew in COCO files and YOLO folders is what a person would have drawn, under the recipe's labels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lsml.binding import Binding, bind
from lsml.binding.drawn import read_drawn
from lsml.errors import RequestError
from lsml.labeling import parse_labeling_config
from lsml.labeling.image_sets import read_image_set
from lsml.recipe import load_recipe
from lsml.values import Box, Polygon
from tests.conftest import TOPICS

XML = """<View><Image name="image" value="$image"/>
<RectangleLabels name="box" toName="image"><Label value="Vehicle"/><Label value="Dog"/></RectangleLabels>
<PolygonLabels name="outline" toName="image"><Label value="Vehicle"/></PolygonLabels></View>"""
RECIPE = """lsml: 1
name: streets
tags:
  RectangleLabels: {adapter: yolo, labels: {Vehicle: [car, truck]}}
  PolygonLabels: {adapter: yolo, options: {weights: yolo11n-seg.pt}, labels: {Vehicle: [car, truck]}}
"""
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 200, "height": 100},
               {"id": 2, "file_name": "b.jpg", "width": 50, "height": 50}],
    "categories": [{"id": 3, "name": "car"}, {"id": 7, "name": "dog"}, {"id": 9, "name": "kite"}],
    "annotations": [
        {"image_id": 1, "category_id": 3, "bbox": [20, 10, 100, 50], "segmentation": [[20, 10, 120, 10, 20, 60]]},
        {"image_id": 1, "category_id": 7, "bbox": [0, 0, 50, 100]},
        {"image_id": 1, "category_id": 9, "bbox": [0, 0, 50, 100]},
        {"image_id": 1, "category_id": 3, "bbox": [0, 0, 9, 9], "iscrowd": 1, "segmentation": {"counts": [9]}},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def binding(tmp_path_factory: pytest.TempPathFactory) -> Binding:
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return bind(load_recipe(path), parse_labeling_config(XML))


def decoded(binding: Binding, task: dict) -> dict[str, tuple]:
    """The values that lsml reads of a task's one annotation, by control."""
    [annotation] = task["annotations"]
    return {
        name: control.decode([one for one in annotation["result"] if one["from_name"] == name]).values
        for name, control in binding.controls.items()
    }


def written(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_boxes_and_outlines_of_a_coco_file_become_regions(binding, tmp_path):
    path = written(tmp_path / "set.json", COCO)
    export = read_drawn(path, binding, answers=True)
    first, second = export.tasks
    assert first["data"] == {"image": "a.jpg"}
    found = decoded(binding, first)
    assert found["box"] == (
        Box(label="Vehicle", x=0.1, y=0.1, width=0.5, height=0.5),
        Box(label="Dog", x=0, y=0, width=0.25, height=1),
    )
    assert [type(one) for one in found["outline"]] == [Polygon]
    assert found["outline"][0].points == ((0.1, 0.1), (0.6, 0.1), (0.1, 0.6))
    assert second["annotations"] == [{"result": []}]  # an image in which there is nothing teaches, too
    assert export.notes == (
        f"{path}: read as COCO: 2 annotated images, 2 regions of RectangleLabels#box, 1 region of PolygonLabels#outline",
        f"{path}: left out, because these classes match no label: kite (1); map them under `labels` of the recipe",
        f"{path}: 1 object left out: each stands for a crowd",
    )


@pytest.mark.parametrize(
    ("annotations", "image"), [("annotations/instances_val.json", "val/a.jpg"), ("set.json", "images/a.jpg")]
)
def test_images_are_found_where_the_usual_layouts_have_them(binding, tmp_path, annotations, image):
    path = written(tmp_path / annotations, COCO)
    written(tmp_path / image, "")
    task = read_drawn(path, binding, answers=True).tasks[0]
    assert (path.parent / task["data"]["image"]).resolve() == (tmp_path / image).resolve()


def yolo(folder: Path, names: str = "names: [car, dog]\n") -> Path:
    written(folder / "data.yaml", names)
    for name in ("a", "b", "c"):
        written(folder / "images" / "train" / f"{name}.jpg", "")
    written(folder / "labels" / "train" / "a.txt", "0 0.35 0.35 0.5 0.5\n1 0.1 0.1 0.6 0.1 0.1 0.6\n")
    written(folder / "labels" / "train" / "b.txt", "")
    return folder


@pytest.mark.parametrize("names", ["names: [car, dog]\n", "names: {0: car, 1: dog}\n"])
def test_a_yolo_folder_becomes_tasks(binding, tmp_path, names):
    folder = yolo(tmp_path / "set", names)
    export = read_drawn(folder, binding, answers=True)
    first, second, third = export.tasks
    assert first["data"] == {"image": "set/images/train/a.jpg"}
    box, around = decoded(binding, first)["box"]
    assert (box.label, box.x, box.y, box.width, box.height) == ("Vehicle", *map(pytest.approx, (0.1, 0.1, 0.5, 0.5)))
    assert around == Box(label="Dog", x=0.1, y=0.1, width=0.5, height=0.5)
    assert second["annotations"] == [{"result": []}]
    assert "annotations" not in third
    assert export.notes == (
        f"{folder}: read as a YOLO folder: 2 annotated images, 2 regions of RectangleLabels#box, 0 regions of PolygonLabels#outline",
        f"{folder}: not annotated, because they have no file of labels: 1 image",
    )


REFUSED = {
    "a class without a name": ("labels/train/a.txt", "7 0.5 0.5 0.1 0.1\n", "labels/train/a.txt:1: expected a class number"),
    "a line that is no box": ("labels/train/a.txt", "0 0.5 0.5 0.1 0.1\n\n0 1 2\n", "labels/train/a.txt:3: expected a class number"),
    "a line of no numbers": ("labels/train/a.txt", "car 0.5 0.5 0.1 0.1\n", "labels/train/a.txt:1: expected a class number"),
    "a number that is none": ("labels/train/a.txt", "0 0.5 nan 0.1 0.1\n", "labels/train/a.txt:1: expected a class number"),
    "rotated boxes": ("labels/train/a.txt", "0 0 0 1 0 1 1 0 1\n", "seems to hold rotated boxes, which are not supported"),
    "poses": ("data.yaml", "names: [car]\nkpt_shape: [17, 3]\n", "the set holds poses, which are not supported"),
    "no names": ("data.yaml", "nc: 2\n", "data.yaml: has no `names`"),
    "no YAML": ("data.yaml", "names: [car\n", "data.yaml: is not YAML: "),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_told_of_a_yolo_folder_is_refused_with_its_place(binding, tmp_path, what):
    file, content, sentence = REFUSED[what]
    folder = yolo(tmp_path / "set")
    written(folder / file, content)
    with pytest.raises(RequestError) as refusal:
        read_drawn(folder, binding, answers=True)
    assert sentence in str(refusal.value)


def test_a_coco_file_that_lacks_what_it_needs_is_refused_with_the_entry(binding, tmp_path):
    path = written(tmp_path / "set.json", {**COCO, "annotations": [{"image_id": 1}]})
    with pytest.raises(RequestError, match="entry 1 of `annotations` has no `category_id`, which COCO requires"):
        read_drawn(path, binding, answers=True)


def test_a_recipe_that_draws_nothing_is_told_so(tmp_path):
    recipe = written(tmp_path / "recipe.yaml", "lsml: 1\nname: texts\ntags: {Choices: text-classifier}\n")
    path = written(tmp_path / "set.json", COCO)
    with pytest.raises(
        RequestError, match="is COCO, and the recipe has no control tag that is for boxes or outlines on an Image"
    ):
        read_drawn(path, bind(load_recipe(recipe), parse_labeling_config(TOPICS)), answers=True)


@pytest.mark.parametrize("content", ["[]", "{", '{"images": 1, "categories": []}', '{"data": {"text": "a"}}'])
def test_other_files_are_left_to_others(tmp_path, content):
    assert read_image_set(written(tmp_path / "set.json", content)) is None
    assert read_image_set(tmp_path) is None


def test_without_answers_a_folder_of_images_is_tasks_and_with_them_nothing(binding, tmp_path):
    written(tmp_path / "shots" / "a.png", "")
    written(tmp_path / "shots" / ".hidden" / "b.png", "")
    assert read_drawn(tmp_path / "shots", binding, answers=False).tasks == [{"data": {"image": "shots/a.png"}}]
    assert read_drawn(tmp_path / "shots", binding, answers=True) is None
