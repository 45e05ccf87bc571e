"""A real Label Studio with images that were uploaded to it: the smart tool answers, images and boxes are learnt and drawn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from lsml.adapters.base import Example
from lsml.binding import control_of
from lsml.controls.base import Control
from lsml.controls.brush import decode_brush
from lsml.labeling import parse_labeling_config
from lsml.labeling.view import View
from lsml.recipe.gallery import find_recipe
from lsml.values import Value
from tests.support.backend import RunningBackend, until
from tests.support.browser import Editor, require_browser
from tests.support.drawings import COLOURS, disc, discs
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio

pytestmark = [pytest.mark.studio, pytest.mark.timeout(400)]
BOXES = """<View><Image name="image" value="$image"/>
<RectangleLabels name="box" toName="image"><Label value="blue"/><Label value="red"/></RectangleLabels></View>"""
KINDS = """<View><Image name="image" value="$image"/><Choices name="kind" toName="image">{}</Choices></View>""".format(
    "".join(f'<Choice value="{colour}"/>' for colour in COLOURS)
)


def upload(studio: RealLabelStudio, project: int, paths: list[Path]) -> list[int]:
    """Upload images as a person does; the ids of their tasks, in order."""
    for path in paths:
        studio.upload(project, path.name, path.read_bytes())
    by_name = {str(task["data"]["image"]).split("-", 1)[1]: task["id"] for task in studio.tasks(project)}
    return [by_name[path.name] for path in paths]


def access(studio: RealLabelStudio, token: str = LEGACY_TOKEN) -> dict[str, str]:
    return {"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": token}


def trained(lsml: RunningBackend, project: int) -> dict[str, Any]:
    """What lsml says of the project once its first run is over."""

    def probe() -> dict[str, Any] | None:
        status = lsml.project(project)
        done = [run for run in status["runs"] if run["job_status"] not in ("queued", "started")]
        return status if done else None

    status = until("the training is over", probe, 300) or {}
    assert status["runs"][0]["job_status"] == "finished", status["runs"][0]
    return status


def test_a_rectangle_of_the_smart_tool_comes_back_as_a_mask(studio: RealLabelStudio, tmp_path: Path) -> None:
    xml = """<View><Image name="image" value="$image"/><BrushLabels name="mask" toName="image"><Label value="Object"/></BrushLabels>
    <RectangleLabels name="box" toName="image" smart="true"><Label value="Object"/></RectangleLabels></View>"""
    with RunningBackend(find_recipe("smart-segmentation"), tmp_path / "data", environment=access(studio)) as lsml:
        project = studio.create_project("Smart", xml)
        [task] = upload(studio, project, [disc(tmp_path / "disc.png", "Red", (50, 40), 20)])
        backend = studio.add_backend(project, lsml.address, is_interactive=True)
        # As Label Studio 1.23.2 itself sends a rectangle that was drawn with the smart tool.
        drawn = {
            "id": "XrKBfo-pzh", "from_name": "box", "to_name": "image", "type": "rectanglelabels", "origin": "manual",
            "original_width": 120, "original_height": 90, "image_rotation": 0,
            "value": {"x": 20, "y": 15, "width": 44, "height": 58, "rotation": 0, "rectanglelabels": ["Object"]},
        }  # fmt: skip
        answer = studio.interactive(backend, task, {"result": [drawn]})
        assert "Traceback" not in lsml.output
    [region] = answer["data"]["result"]
    assert (region["from_name"], region["type"]) == ("mask", "brushlabels")
    pixels = decode_brush(region["value"]["rle"], 120, 90)
    ys, xs = np.mgrid[:90, :120]
    truth = (xs + 0.5 - 50) ** 2 + (ys + 0.5 - 40) ** 2 <= 20**2
    assert (pixels & truth).sum() / (pixels | truth).sum() > 0.9


@pytest.mark.parametrize("kind", ["legacy", "personal"])
def test_images_are_learnt_from_what_annotators_say(studio: RealLabelStudio, tmp_path: Path, kind: str) -> None:
    token = LEGACY_TOKEN if kind == "legacy" else studio.personal_access_token()
    recipe = tmp_path / "images.yaml"
    recipe.write_text("lsml: 1\nname: images\ntags:\n  Choices: image-classifier\n", encoding="utf-8")
    with RunningBackend(recipe, tmp_path / "data", environment=access(studio, token)) as lsml:
        project = studio.create_project(f"Images {kind}", KINDS)
        pairs = discs(tmp_path, 18, seed=5 if kind == "legacy" else 6)
        tasks = upload(studio, project, [path for path, _ in pairs])
        backend = studio.add_backend(project, lsml.address)
        for task, (_, colour) in zip(tasks[:12], pairs, strict=False):
            studio.annotate(
                task, [{"from_name": "kind", "to_name": "image", "type": "choices", "value": {"choices": [colour]}}]
            )
        studio.start_training(backend)
        trained(lsml, project)
        studio.retrieve_predictions(project, tasks[12:])
        said = [studio.predictions(task)[-1]["result"][0]["value"]["choices"] for task in tasks[12:]]
    right = sum(labels == [colour] for labels, (_, colour) in zip(said, pairs[12:], strict=True))
    assert right >= 5


class Detected(NamedTuple):
    """A detector learnt, and what it says of the tasks that nobody annotated is stored in Label Studio."""

    project: int
    tasks: list[int]
    version: str
    examples: list[Example]


@pytest.fixture(scope="module")
def detected(studio: RealLabelStudio, tmp_path_factory: pytest.TempPathFactory) -> Detected:
    from tests.support import worlds
    from tests.support.cases import FIBRILS

    folder = tmp_path_factory.mktemp("detected")
    examples = worlds.shape_examples("box", 30)
    recipe = folder / "boxes.yaml"
    recipe.write_text(
        f"lsml: 1\nname: boxes\ntags:\n  RectangleLabels:\n    adapter: yolo\n    options: {{weights: {FIBRILS}, task: detect, "
        "imgsz: 96, epochs: 25, train_batch: 8, patience: 0}\n",
        encoding="utf-8",
    )
    control = boxes_control()
    on = View(None, (worlds.SIZE, worlds.SIZE))
    with RunningBackend(recipe, folder / "data", environment=access(studio)) as lsml:
        project = studio.create_project("Boxes", BOXES)
        tasks = upload(studio, project, [example.data for example in examples])
        backend = studio.add_backend(project, lsml.address)
        assert "-v0-" in studio.get_backend(backend)["model_version"]
        for task, example in zip(tasks[:24], examples, strict=False):
            regions = control.encode(example.values, "image", on)
            studio.annotate(task, [{"id": f"r{number}", **region} for number, region in enumerate(regions)])
        studio.start_training(backend)
        trained(lsml, project)
        version = studio.get_backend(backend)["model_version"]
        studio.retrieve_predictions(project, tasks[24:])
    return Detected(project, tasks[24:], version, examples[24:])


def boxes_control() -> Control:
    config = parse_labeling_config(BOXES)
    return control_of(config.controls[0], config)


def found(examples: list[Example], said: list[Sequence[Value]]) -> float:
    """The share of the objects that boxes with the right label lie on."""
    from tests.support import worlds

    hits = [
        any(one.label == box.label and worlds.overlap(one, box) > 0.5 for one in boxes)
        for example, boxes in zip(examples, said, strict=True)
        for box in example.values
    ]
    return sum(hits) / len(hits)


@pytest.mark.models
def test_a_detector_learns_boxes_and_what_it_finds_sits_on_the_objects(
    studio: RealLabelStudio, detected: Detected
) -> None:
    assert "-v1-" in detected.version
    said = []
    for task in detected.tasks:
        [prediction] = studio.predictions(task)
        assert prediction["model_version"] == detected.version
        said.append(boxes_control().decode(prediction["result"]).values or ())
    assert found(detected.examples, said) >= 0.7


@pytest.mark.models
def test_what_a_detector_learnt_is_drawn_on_the_objects(studio: RealLabelStudio, detected: Detected) -> None:
    require_browser()
    with Editor(studio) as editor:
        editor.open(detected.project, detected.tasks[0], "image")
        drawn = until("the editor shows the boxes", editor.serialized, 60) or []
        kept = os.environ.get("LSML_TEST_SCREENSHOTS")
        if kept:
            editor.picture(Path(kept) / "boxes.png")
    assert found(detected.examples[:1], [boxes_control().decode(drawn).values or ()]) >= 0.5
