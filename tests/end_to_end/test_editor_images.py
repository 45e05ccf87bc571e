"""What Label Studio's own editor draws for our shapes, and what it gets back for a person's mouse: in a real browser."""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lsml.binding import control_of
from lsml.controls.brush import decode_brush
from lsml.labeling import parse_labeling_config
from lsml.labeling.view import View
from lsml.recipe.gallery import find_recipe
from lsml.values import Box, Ellipse, KeyPoint, Mask, Polygon, Shape
from lsml.values.coverage import bounds
from tests.support.backend import RunningBackend, until
from tests.support.browser import Editor
from tests.support.drawings import disc
from tests.support.label_studio import LEGACY_TOKEN, RealLabelStudio

pytestmark = [pytest.mark.studio, pytest.mark.usefixtures("browser"), pytest.mark.timeout(300)]
WIDTH, HEIGHT = 120, 90
LABEL = '<Label value="Object"/>'
SMART = f"""<View><Image name="image" value="$image"/><BrushLabels name="mask" toName="image">{LABEL}</BrushLabels>
<RectangleLabels name="box" toName="image" smart="true" smartOnly="true">{LABEL}</RectangleLabels>
<KeyPointLabels name="point" toName="image" smart="true" smartOnly="true">{LABEL}</KeyPointLabels></View>"""
# Tags whose regions the editor sends to nobody, whatever they say: the name of each one's control, its tool, and what the
# editor itself calls that tool, with "-dynamic" if it is a smart one.
SILENT = {
    "BrushLabels": ("brush", "brush-tool", "BrushTool-dynamic"),
    "BitmaskLabels": ("bitmask", "bitmask-tool", "BitmaskTool-dynamic"),
    "PolygonLabels": ("polygon", "polygon-tool", "PolygonTool"),
    "EllipseLabels": ("ellipse", "ellipse-tool", "EllipseTool"),
}
SILENCE = f"""<View><Image name="image" value="$image"/><BrushLabels name="mask" toName="image" smart="false">{LABEL}</BrushLabels>
{"".join(f'<{tag} name="{name}" toName="image" smart="true">{LABEL}</{tag}>' for tag, (name, _, _) in SILENT.items())}
<RectangleLabels name="box" toName="image" smart="true" smartOnly="true">{LABEL}</RectangleLabels></View>"""
# One model whose answer takes every shape at once: the control of each, by what the editor calls its regions.
ANSWERS = {
    "brushlabels": "BrushLabels", "bitmasklabels": "BitmaskLabels", "polygonlabels": "PolygonLabels",
    "ellipselabels": "EllipseLabels", "rectanglelabels": "RectangleLabels",
}  # fmt: skip
EVERY_SHAPE = f"""<View><Image name="image" value="$image"/>
{"".join(f'<{tag} name="{type}" toName="image" smart="false">{LABEL}</{tag}>' for type, tag in ANSWERS.items())}
<RectangleLabels name="box" toName="image" smart="true" smartOnly="true">{LABEL}</RectangleLabels>
<KeyPointLabels name="point" toName="image" smart="true" smartOnly="true">{LABEL}</KeyPointLabels></View>"""
_YS, _XS = np.mgrid[:HEIGHT, :WIDTH]
DISC = (_XS + 0.5 - 50) ** 2 + (_YS + 0.5 - 40) ** 2 <= 20**2
RING = DISC & ~((_XS + 0.5 - 50) ** 2 + (_YS + 0.5 - 40) ** 2 <= 8**2)


def filled(corners: list[tuple[float, float]]) -> Any:
    """Which pixels lie inside an outline, whose corners are fractions of the image."""
    image = Image.new("1", (WIDTH, HEIGHT))
    ImageDraw.Draw(image).polygon([(x * WIDTH, y * HEIGHT) for x, y in corners], fill=1)
    return np.asarray(image)


def turned(x: float, y: float, width: float, height: float, degrees: float) -> list[tuple[float, float]]:
    """The corners of a rectangle that was rotated about its top left one, in pixels."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    offsets = [(0, 0), (width * WIDTH, 0), (width * WIDTH, height * HEIGHT), (0, height * HEIGHT)]
    return [(x + (a * cos - b * sin) / WIDTH, y + (a * sin + b * cos) / HEIGHT) for a, b in offsets]


KITE = ((0.5, 0.2), (0.8, 0.5), (0.5, 0.9), (0.3, 0.5))
# What is drawn, by which tag, and which pixels that covers.
SHAPES: dict[str, tuple[Shape, Any]] = {
    "RectangleLabels": (Box("Object", x=0.4, y=0.2, width=0.4, height=0.3, rotation=30), filled(turned(0.4, 0.2, 0.4, 0.3, 30))),
    "PolygonLabels": (Polygon("Object", points=KITE), filled(list(KITE))),
    "EllipseLabels": (
        Ellipse("Object", x=0.5, y=0.5, radius_x=0.3, radius_y=0.2),
        ((_XS + 0.5) / WIDTH - 0.5) ** 2 / 0.09 + ((_YS + 0.5) / HEIGHT - 0.5) ** 2 / 0.04 <= 1,
    ),
    "BrushLabels": (Mask.from_pixels(RING, "Object"), RING),
    "BitmaskLabels": (Mask.from_pixels(RING, "Object"), RING),
    "KeyPointLabels": (KeyPoint("Object", x=0.7, y=0.3, size=0.05), (_XS + 0.5 - 84) ** 2 + (_YS + 0.5 - 27) ** 2 <= 6**2),
}  # fmt: skip


def blueness(editor: Editor) -> Any:
    """How much more blue than red there is in what the editor shows of the image, (rows, columns): its noise is grey."""
    pixels = np.asarray(Image.open(io.BytesIO(editor.image())).convert("RGB").resize((WIDTH, HEIGHT)), float)
    return pixels[:, :, 2] - pixels[:, :, 0]


def keep(editor: Editor, name: str) -> None:
    """A screenshot to look at, where LSML_TEST_SCREENSHOTS names a folder."""
    if folder := os.environ.get("LSML_TEST_SCREENSHOTS"):
        editor.picture(Path(folder) / f"{name}.png")


def overlap(one: Any, other: Any) -> float:
    return float((one & other).sum() / (one | other).sum())


def uploaded(studio: RealLabelStudio, project: int, path: Path) -> int:
    """The task of an image that was just uploaded."""
    before = {task["id"] for task in studio.tasks(project)}
    studio.upload(project, path.name, path.read_bytes())
    [task] = {task["id"] for task in studio.tasks(project)} - before
    return int(task)


@pytest.mark.parametrize("tag", SHAPES)
def test_every_shape_is_drawn_where_it_was_meant(tag, studio, editor, tmp_path):
    value, truth = SHAPES[tag]
    xml = f'<View><Image name="image" value="$image"/><{tag} name="c" toName="image">{LABEL}</{tag}></View>'
    config = parse_labeling_config(xml)
    control, on = control_of(config.controls[0], config), View("image.png", (WIDTH, HEIGHT))
    project = studio.create_project(f"Drawn {tag}", xml)
    task = uploaded(studio, project, disc(tmp_path / "disc.png", "Red", (50, 40), 20))
    editor.open(project, task, "image")
    bare = blueness(editor)
    regions = [{"id": "r0", **region} for region in control.encode([value], "image", on)]
    studio.annotate(task, regions)
    editor.open(project, task, "image")
    editor.driver.execute_script("window.Htx.annotationStore.selected.unselectAll()")
    keep(editor, tag)
    assert overlap(blueness(editor) - bare > 8, truth) > (0.6 if tag == "KeyPointLabels" else 0.8)  # a dot is small
    [read], [meant] = control.decode(editor.serialized(), on).values, control.decode(regions, on).values
    for name in meant.__struct_fields__:
        ours, theirs = getattr(meant, name), getattr(read, name)
        if name == "points":
            ours, theirs = np.array(ours), np.array(theirs)
        assert theirs == pytest.approx(ours), name


@pytest.fixture(scope="module")
def smart(studio, tmp_path_factory) -> Iterator[tuple[RunningBackend, int]]:
    """lsml with grabcut, and a project whose smart tools ask it."""
    folder = tmp_path_factory.mktemp("smart")
    access = {"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN}
    with RunningBackend(find_recipe("smart-segmentation"), folder / "data", environment=access) as lsml:
        project = studio.create_project("Smart", SMART)
        studio.add_backend(project, lsml.address, is_interactive=True)
        yield lsml, project


def mark_disc(tool: str, studio, editor, project: int, folder: Path) -> str:
    """Open a task with a red disc, and mark the disc with a smart tool; the name of the control that is asked with."""
    task = uploaded(studio, project, disc(folder / "disc.png", "Red", (50, 40), 20))
    editor.open(project, task, "image")
    editor.switch_on_auto_annotation()
    editor.record_prompts()
    if tool == "rectangle-tool":
        editor.take("box", tool)
        editor.draw((0.2, 0.15), (0.64, 0.73))
        return "box"
    editor.take("point", tool)
    editor.draw((50 / WIDTH, 40 / HEIGHT))
    return "point"


@pytest.mark.parametrize("tool", ["rectangle-tool", "key-point-tool"])
def test_what_a_person_marks_with_a_smart_tool_becomes_a_mask(tool, studio, editor, smart, tmp_path):
    lsml, project = smart
    mark_disc(tool, studio, editor, project, tmp_path)
    until("the mask", lambda: [region["type"] for region in editor.serialized()] == ["brushlabels"])
    keep(editor, f"smart-{tool}")
    [region] = editor.serialized()
    assert region["from_name"] == "mask"
    assert overlap(decode_brush(region["value"]["rle"], WIDTH, HEIGHT), DISC) > 0.9
    assert "Traceback" not in lsml.output


def answering(studio, adapter: str, folder: Path) -> RunningBackend:
    """lsml with an adapter for each control that takes an answer."""
    selectors = ", ".join(f"{tag}#{type}" for type, tag in ANSWERS.items())
    (folder / "recipe.yaml").write_text(f'lsml: 1\nname: shapes\ntags:\n  "{selectors}": {adapter}\n')
    access = {"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN}
    return RunningBackend(folder / "recipe.yaml", folder / "data", environment=access)


def drawn_shapes(editor: Editor) -> dict[str, Shape]:
    """What the editor holds, once it has all the shapes of an answer: by control, and nothing that was drawn to ask."""
    until("the shapes", lambda: {region["type"] for region in editor.serialized()} == set(ANSWERS))
    config, on = parse_labeling_config(EVERY_SHAPE), View("image.png", (WIDTH, HEIGHT))
    controls = {tag.name: control_of(tag, config) for tag in config.controls}
    regions = editor.serialized()
    assert sorted(region["from_name"] for region in regions) == sorted(ANSWERS)
    return {one["from_name"]: (controls[one["from_name"]].decode([one], on).values or ())[0] for one in regions}


@pytest.fixture(scope="module")
def every_shape(studio, tmp_path_factory) -> Iterator[tuple[RunningBackend, int]]:
    """lsml with grabcut, and a project whose smart tools ask it for every shape."""
    with answering(studio, "grabcut", tmp_path_factory.mktemp("shapes")) as lsml:
        project = studio.create_project("Every shape", EVERY_SHAPE)
        studio.add_backend(project, lsml.address, is_interactive=True)
        yield lsml, project


@pytest.mark.parametrize("tool", ["rectangle-tool", "key-point-tool"])
def test_the_answer_to_a_smart_tool_is_drawn_in_every_shape(tool, studio, editor, every_shape, tmp_path):
    lsml, project = every_shape
    mark_disc(tool, studio, editor, project, tmp_path)
    shapes = drawn_shapes(editor)
    keep(editor, f"smart-shapes-{tool}")
    for name, shape in shapes.items():
        left, top, right, bottom = bounds(shape)
        assert (left * WIDTH, top * HEIGHT) == pytest.approx((30, 20), abs=3), name
        assert (right * WIDTH, bottom * HEIGHT) == pytest.approx((70, 60), abs=3), name
    assert "Traceback" not in lsml.output


@pytest.fixture(scope="module")
def segmenting(studio, tmp_path_factory) -> Iterator[tuple[RunningBackend, int, Path]]:
    """The same with segment-anything, and the weights: random ones, whose masks have a place and no meaning."""
    from tests.support.transformer_models import tiny_sam2

    folder = tmp_path_factory.mktemp("segmenting")
    weights = tiny_sam2(folder / "tiny")
    with answering(studio, f"{{adapter: segment-anything, options: {{weights: {weights}}}}}", folder) as lsml:
        project = studio.create_project("Segment anything", EVERY_SHAPE)
        studio.add_backend(project, lsml.address, is_interactive=True)
        yield lsml, project, weights


@pytest.mark.models
@pytest.mark.parametrize("tool", ["rectangle-tool", "key-point-tool"])
def test_what_segment_anything_cuts_out_is_drawn_in_every_shape(tool, studio, editor, segmenting, tmp_path):
    from lsml.adapters.base import Target
    from lsml.adapters.image.segment_anything import SegmentAnything

    lsml, project, weights = segmenting
    asking = mark_disc(tool, studio, editor, project, tmp_path)
    shapes = drawn_shapes(editor)
    keep(editor, f"segment-anything-{tool}")
    config, on = parse_labeling_config(EVERY_SHAPE), View("image.png", (WIDTH, HEIGHT))
    control = control_of(next(tag for tag in config.controls if tag.name == asking), config)
    [prompt] = editor.prompts()
    marks = control.decode(prompt, on).values or ()
    kinds = ("mask", "polygon", "ellipse", "box")
    model = SegmentAnything(
        SegmentAnything.Options(weights=str(weights)), Target(("Object",), kinds=dict.fromkeys(kinds, ("Object",)))
    )
    meant = {type(value): value for value in model.respond(tmp_path / "disc.png", marks)}
    assert isinstance(meant[Mask], Mask) and 0 < meant[Mask].pixels().sum() < WIDTH * HEIGHT
    for name, shape in shapes.items():
        assert bounds(shape) == pytest.approx(bounds(meant[type(shape)]), abs=0.02), name
    for name in ("brushlabels", "bitmasklabels"):
        assert overlap(shapes[name].pixels(), meant[Mask].pixels()) > 0.99
    assert "Traceback" not in lsml.output


def test_a_second_mark_adds_a_mask_and_the_first_one_stays(studio, editor, smart, tmp_path):
    lsml, project = smart
    task = uploaded(studio, project, disc(tmp_path / "disc.png", "Red", (50, 40), 20))
    editor.open(project, task, "image")
    editor.switch_on_auto_annotation()
    for count, (start, end) in enumerate((((0.2, 0.15), (0.64, 0.73)), ((0.7, 0.6), (0.95, 0.95))), 1):
        editor.take("box", "rectangle-tool")
        editor.draw(start, end)
        until("the mask", lambda count=count: [one["type"] for one in editor.serialized()] == ["brushlabels"] * count)
    keep(editor, "smart-second")
    masks = [decode_brush(region["value"]["rle"], WIDTH, HEIGHT) for region in editor.serialized()]
    assert overlap(masks[0], DISC) > 0.9 and overlap(masks[1], DISC) < 0.1
    assert "Traceback" not in lsml.output


def test_a_click_beside_an_object_is_sent_as_one_that_keeps_out(studio, editor, smart, tmp_path):
    lsml, project = smart
    task = uploaded(studio, project, disc(tmp_path / "disc.png", "Red", (50, 40), 20))
    editor.open(project, task, "image")
    editor.switch_on_auto_annotation()
    editor.record_prompts()
    for place, beside in (((50 / WIDTH, 40 / HEIGHT), False), ((0.8, 0.2), True)):
        asked = len(editor.prompts())
        editor.take("point", "key-point-tool")
        editor.draw(place, beside=beside)
        until("the click is sent", lambda asked=asked: len(editor.prompts()) > asked)
        until("the mask", lambda: [region["type"] for region in editor.serialized()] == ["brushlabels"])
    keep(editor, "smart-beside")
    config = parse_labeling_config(SMART)
    control = control_of(next(tag for tag in config.controls if tag.name == "point"), config)
    first, second = ([point.positive for point in control.decode(prompt).values or ()] for prompt in editor.prompts())
    assert first == [True] and False in second
    [region] = editor.serialized()
    assert overlap(decode_brush(region["value"]["rle"], WIDTH, HEIGHT), DISC) > 0.9
    assert "Traceback" not in lsml.output


@pytest.mark.parametrize("tag", SILENT)
def test_what_a_person_makes_with_another_smart_tag_is_sent_to_nobody(tag, studio, editor, smart, tmp_path):
    lsml, _ = smart
    name, tool, called = SILENT[tag]
    project = studio.create_project(f"Silent {tag}", SILENCE)
    studio.add_backend(project, lsml.address, is_interactive=True)
    task = uploaded(studio, project, disc(tmp_path / "disc.png", "Red", (50, 40), 20))
    editor.open(project, task, "image")
    editor.switch_on_auto_annotation()
    editor.record_prompts()
    editor.take(name, tool)
    assert editor.taken() == called
    if tag == "PolygonLabels":
        for corner in ((0.3, 0.2), (0.6, 0.2), (0.6, 0.6), (0.3, 0.2)):
            editor.draw(corner)
            time.sleep(0.5)  # sooner, the editor takes it for a double click
    else:
        editor.draw((0.35, 0.4), (0.5, 0.5))
    until("the region is drawn", lambda: [region["from_name"] for region in editor.serialized()] == [name])
    time.sleep(2)  # the editor waits 1.2 s for one more stroke before it would ask about a mask
    keep(editor, f"silent-{name}")
    assert editor.prompts() == []
    # The same project asks about a rectangle, and about it alone.
    editor.take("box", "rectangle-tool")
    editor.draw((0.2, 0.15), (0.64, 0.73))
    until("the rectangle is sent", editor.prompts)
    assert [[region["from_name"] for region in sent] for sent in editor.prompts()] == [["box"]]


def test_a_person_who_turns_the_image_marks_what_is_upright(studio, editor, tmp_path):
    xml = f"""<View><Image name="image" value="$image" rotateControl="true"/>
    <RectangleLabels name="box" toName="image">{LABEL}</RectangleLabels></View>"""
    config = parse_labeling_config(xml)
    project = studio.create_project("Turned", xml)
    task = uploaded(studio, project, disc(tmp_path / "disc.png", "Red", (50, 40), 20))
    editor.open(project, task, "image")
    editor.turn(90)
    editor.take("box")
    # Turned clockwise, what was at (x, y) is seen at (1 - y, x).
    left, top, right, bottom = 30 / WIDTH, 20 / HEIGHT, 70 / WIDTH, 60 / HEIGHT
    editor.draw((1 - bottom, left), (1 - top, right))
    [region] = until("the box is drawn", editor.serialized)
    keep(editor, "turned")
    assert region["image_rotation"] == 90
    [box] = control_of(config.controls[0], config).decode([region], View(None, (WIDTH, HEIGHT))).values
    assert (box.x, box.y, box.width, box.height) == pytest.approx((left, top, right - left, bottom - top), abs=0.01)
