"""`lsml train` learns boxes from what other tools wrote: a COCO file, and a YOLO folder."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import write_recipe
from tests.support import worlds
from tests.support.commands import lsml, said

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]
NAMES = ("blue", "red")
BOXES = """<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image">
<Label value="red"/><Label value="blue"/></RectangleLabels></View>"""
# Nothing worth having is learnt in one epoch from random weights: what is learnt from is the point.
TAGS = """tags:
  RectangleLabels:
    adapter: yolo
    options: {weights: yolov8n.yaml, epochs: 1, imgsz: 32, train_batch: 8, patience: 0}
"""


def coco(folder: Path) -> str:
    """The name of a COCO file in the folder, whose images are beside it."""
    (folder / "images").mkdir()
    images, objects = [], []
    for number, example in enumerate(worlds.shape_examples("box", 12), 1):
        shutil.copy(example.data, folder / "images")
        images.append({"id": number, "file_name": example.data.name, "width": worlds.SIZE, "height": worlds.SIZE})
        for box in example.values:
            sides = [side * worlds.SIZE for side in (box.x, box.y, box.width, box.height)]
            objects.append(
                {"id": len(objects), "image_id": number, "category_id": NAMES.index(box.label), "bbox": sides}
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES)]
    (folder / "instances.json").write_text(
        json.dumps({"images": images, "annotations": objects, "categories": categories})
    )
    return "instances.json"


def yolo(folder: Path) -> str:
    """The name of a YOLO folder in the folder."""
    for name in ("images", "labels"):
        (folder / "set" / name).mkdir(parents=True)
    for example in worlds.shape_examples("box", 12):
        shutil.copy(example.data, folder / "set" / "images")
        lines = [
            f"{NAMES.index(box.label)} {box.x + box.width / 2} {box.y + box.height / 2} {box.width} {box.height}\n"
            for box in example.values
        ]
        (folder / "set" / "labels" / f"{example.data.stem}.txt").write_text("".join(lines))
    (folder / "set" / "data.yaml").write_text(f"names: {list(NAMES)}\n")
    return "set"


@pytest.mark.parametrize("write", [coco, yolo])
def test_boxes_that_others_drew_are_learnt(write, tmp_path):
    write_recipe(tmp_path, TAGS, config=BOXES)
    given = write(tmp_path)
    text = said(lsml("train", "triage.yaml", given, cwd=tmp_path))
    assert re.match(r"triage-v1-[0-9a-f]{8}: promoted: the first version\n", text), text
    (plan,) = (tmp_path / ".lsml").rglob("model.json")
    assert json.loads(plan.read_text())["labels"] == ["red", "blue"], "in the order of the labeling config"
    assert re.search(r"box: map50 \d\.\d+ on \d+ held-out examples", text), text
    judged = json.loads(said(lsml("evaluate", "triage.yaml", given, "--json", cwd=tmp_path)))
    assert judged["tasks"] == 12 and set(judged["tags"]["box"]["per_label"]) == set(NAMES)
