"""A real Label Studio with images that were uploaded to it: the smart tool answers, images, and all that yolo learns, are learnt and drawn."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
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
from lsml.values import Box, Choice, KeyPoint, Polygon, Value
from tests.support.backend import RunningBackend, until
from tests.support.browser import Editor, require_browser
from tests.support.drawings import COLOURS, disc, discs
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio

pytestmark = [pytest.mark.studio, pytest.mark.timeout(1000)]
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

    status = until("the training is over", probe, 900) or {}
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


class Task(NamedTuple):
    """A task of yolo: the world that it is learnt from, its control tags, their kinds of values, and the share of what is in
    the images that it has to find."""

    world: str
    tags: str
    kinds: dict[str, type[Value]]
    least: float
    options: str = ""


_COLOURS = '<Label value="blue"/><Label value="red"/>'
TASKS = {
    "detect": Task("box", f'<RectangleLabels name="box" toName="image">{_COLOURS}</RectangleLabels>', {"box": Box}, 0.7),
    "obb": Task("rotated", f'<RectangleLabels name="turned" toName="image">{_COLOURS}</RectangleLabels>', {"turned": Box}, 0.5),
    "segment": Task(
        "polygon", f'<PolygonLabels name="outline" toName="image">{_COLOURS}</PolygonLabels>', {"outline": Polygon}, 0.6
    ),
    "pose": Task(
        "pose",
        f"""<RectangleLabels name="body" toName="image">{_COLOURS}</RectangleLabels><KeyPointLabels name="joint" toName="image">
        <Label value="head"/><Label value="tail"/><Label value="ear"/></KeyPointLabels>""",
        {"body": Box, "joint": KeyPoint}, 0.5, "epochs: 50, learning_rate: 0.004",
    ),
    "classify": Task(
        "choice", '<Choices name="kind" toName="image"><Choice value="blue"/><Choice value="red"/></Choices>',
        {"kind": Choice}, 0.8,
    ),
}  # fmt: skip
SELECTORS = {
    "detect": "RectangleLabels#box", "obb": "RectangleLabels#turned", "segment": "PolygonLabels#outline",
    "pose": "RectangleLabels#body, KeyPointLabels#joint", "classify": "Choices#kind",
}  # fmt: skip
TRAINED = 30  # images of a project that somebody annotated; lsml says what is on the others


class Learnt(NamedTuple):
    """A project that yolo learnt, and what it says of the tasks that nobody annotated is stored in Label Studio."""

    task: Task
    controls: dict[str, Control]
    project: int
    tasks: list[int]
    version: str
    examples: list[Example]

    def said(self, regions: list[dict[str, Any]]) -> list[Value]:
        """The values of a task's regions."""
        decoded = (
            control.decode([region for region in regions if region["from_name"] == name])
            for name, control in self.controls.items()
        )
        return [value for one in decoded for value in one.values or ()]


@pytest.fixture(scope="module")
def yolos(studio: RealLabelStudio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBackend]:
    """lsml with a model for each task."""
    from tests.support.cases import FIBRILS

    folder = tmp_path_factory.mktemp("yolos")
    tags = "".join(
        f'  "{SELECTORS[name]}":\n    adapter: yolo\n    options: {{weights: {FIBRILS}, task: {name}, imgsz: 96, train_batch: 8, '
        f"patience: 0, {task.options or 'epochs: 25'}}}\n"
        for name, task in TASKS.items()
    )
    (folder / "yolos.yaml").write_text(f"lsml: 1\nname: yolos\ntags:\n{tags}", encoding="utf-8")
    with RunningBackend(folder / "yolos.yaml", folder / "data", environment=access(studio)) as lsml:
        yield lsml


@pytest.fixture(scope="module", params=TASKS)
def learnt(
    request: pytest.FixtureRequest,
    studio: RealLabelStudio,
    yolos: RunningBackend,
    tmp_path_factory: pytest.TempPathFactory,
) -> Learnt:
    from tests.support import worlds

    task = TASKS[request.param]
    xml = f'<View><Image name="image" value="$image"/>{task.tags}</View>'
    config = parse_labeling_config(xml)
    controls = {tag.name: control_of(tag, config) for tag in config.controls}
    examples = worlds.shape_examples(task.world, TRAINED + 6)
    on = View(None, (worlds.SIZE, worlds.SIZE))
    project = studio.create_project(f"Learns to {request.param}", xml)
    tasks = upload(studio, project, [example.data for example in examples])
    backend = studio.add_backend(project, yolos.address)
    assert "-v0-" in studio.get_backend(backend)["model_version"]
    for id, example in zip(tasks[:TRAINED], examples, strict=False):
        regions = [
            region
            for name, control in controls.items()
            for region in control.encode(
                [one for one in example.values if isinstance(one, task.kinds[name])], "image", on
            )
        ]
        studio.annotate(id, [{"id": f"r{number}", **region} for number, region in enumerate(regions)])
    studio.start_training(backend)
    trained(yolos, project)
    version = studio.get_backend(backend)["model_version"]
    studio.retrieve_predictions(project, tasks[TRAINED:])
    return Learnt(task, controls, project, tasks[TRAINED:], version, examples[TRAINED:])


def same(one: Value, other: Value) -> bool:
    """Whether both are the same thing at the same place of a drawn image."""
    from tests.support import worlds

    if type(one) is not type(other) or one.label != other.label:
        return False
    if isinstance(one, KeyPoint):
        return math.hypot(one.x - other.x, one.y - other.y) < 0.12  # the ends of a shape are twice as far apart
    return isinstance(one, Choice) or worlds.overlap(one, other) > 0.5


def found(examples: list[Example], said: list[list[Value]]) -> float:
    """The share of what is on the images that something said of them is the same as."""
    hits = [
        any(same(one, true) for one in values)
        for example, values in zip(examples, said, strict=True)
        for true in example.values
    ]
    return sum(hits) / len(hits)


@pytest.mark.models
def test_yolo_learns_what_people_draw_and_finds_it_on_other_images(studio: RealLabelStudio, learnt: Learnt) -> None:
    assert "-v1-" in learnt.version
    said = []
    for task in learnt.tasks:
        [prediction] = studio.predictions(task)
        assert prediction["model_version"] == learnt.version
        said.append(learnt.said(prediction["result"]))
    assert found(learnt.examples, said) >= learnt.task.least


@pytest.mark.models
def test_what_yolo_learnt_is_shown_by_the_editor(studio: RealLabelStudio, learnt: Learnt) -> None:
    require_browser()
    [stored] = studio.predictions(learnt.tasks[0])
    with Editor(studio) as editor:
        editor.open(learnt.project, learnt.tasks[0], "image")
        drawn = until("the editor shows what was found", editor.serialized, 60) or []
        kept = os.environ.get("LSML_TEST_SCREENSHOTS")
        if kept:
            editor.picture(Path(kept) / f"learnt-{next(iter(learnt.controls))}.png")
    shown, meant = learnt.said(drawn), learnt.said(stored["result"])
    assert len(shown) == len(meant) > 0
    assert all(any(same(one, other) for other in shown) for one in meant)
