"""grabcut cuts out what a person marks."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

from lsml.adapters.base import Target
from lsml.adapters.image.grabcut import GrabCut
from lsml.errors import AdapterError
from lsml.values import Box, Ellipse, KeyPoint, Mask, Polygon
from tests.support.drawings import disc

KINDS = dict.fromkeys(("mask", "polygon", "ellipse", "box"), ("Cell", "Dirt"))
ASPECT = 120 / 90


def cutter(kinds=KINDS, **options):
    labels = tuple(dict.fromkeys(label for names in kinds.values() for label in names))
    return GrabCut(GrabCut.Options(**options), Target(labels=labels, kinds=kinds))


def truth(centre=(50, 40), radius=20):
    ys, xs = np.mgrid[:90, :120]
    return (xs + 0.5 - centre[0]) ** 2 + (ys + 0.5 - centre[1]) ** 2 <= radius**2


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.fixture
def image(tmp_path):
    return disc(tmp_path / "disc.png", "Red", (50, 40), 20)


BOX = Box(label="Cell", x=24 / 120, y=14 / 90, width=52 / 120, height=52 / 90, aspect=ASPECT)


def test_a_box_becomes_the_mask_the_outline_the_ellipse_and_the_bounds_of_what_is_in_it(image):
    mask, polygon, ellipse, box = cutter().respond(image, [BOX])
    assert [type(value) for value in (mask, polygon, ellipse, box)] == [Mask, Polygon, Ellipse, Box]
    assert {mask.label, polygon.label, ellipse.label, box.label} == {"Cell"}
    assert (box.x * 120, box.y * 90, box.width * 120, box.height * 90) == pytest.approx((30, 20, 40, 40), abs=2)
    assert overlap(mask.pixels(), truth()) > 0.95
    assert (ellipse.x * 120, ellipse.y * 90) == pytest.approx((50, 40), abs=1)
    assert (ellipse.radius_x * 120, ellipse.radius_y * 90) == pytest.approx((20, 20), abs=1)
    corners = np.array(polygon.points) * (120, 90)
    assert np.hypot(*(corners - (50, 40)).T) == pytest.approx(np.full(len(corners), 20), abs=2)
    assert 6 <= len(corners) <= 60


def test_one_point_on_an_object_is_enough_and_one_beside_it_keeps_out(tmp_path, image):
    points = [KeyPoint(label="Cell", x=50 / 120, y=40 / 90, aspect=ASPECT)]
    (mask,) = cutter({"mask": ("Cell",)}).respond(image, points)
    assert overlap(mask.pixels(), truth()) > 0.9
    both = Image.open(image).convert("RGB")
    both.paste(Image.open(disc(tmp_path / "other.png", "Red", (50, 40), 20)).crop((28, 18, 72, 62)), (74, 18))
    both.save(tmp_path / "both.png")
    beside = KeyPoint(label="Cell", x=96 / 120, y=40 / 90, positive=False, aspect=ASPECT)
    (mask,) = cutter({"mask": ("Cell",)}).respond(tmp_path / "both.png", [*points, beside])
    assert not mask.pixels()[40, 96] and mask.pixels()[40, 50]


def test_each_box_is_an_object_and_points_refine_the_box_that_they_lie_in(image):
    second = Box(label="Dirt", x=0.7, y=0.1, width=0.2, height=0.2, aspect=ASPECT)
    inside = KeyPoint(label="Cell", x=50 / 120, y=40 / 90, aspect=ASPECT)
    masks = cutter({"mask": ("Cell", "Dirt")}).respond(image, [BOX, second, inside])
    assert [mask.label for mask in masks] == ["Cell", "Dirt"]
    assert masks[0].pixels()[40, 50]


def test_the_label_is_the_prompts_else_the_only_one_there_is(image):
    assert [v.label for v in cutter({"mask": ("Organ",)}).respond(image, [BOX])] == ["Organ"]
    assert [v.label for v in cutter({"mask": ()}).respond(image, [BOX])] == [""]
    assert cutter({"mask": ("Liver", "Heart")}).respond(image, [BOX]) == []


def test_a_box_that_is_tight_already_is_not_answered_again(image):
    tight = Box(label="Cell", x=30 / 120, y=20 / 90, width=40 / 120, height=40 / 90, aspect=ASPECT)
    cut = cutter({"box": ("Cell",), "mask": ("Cell",)})
    assert [type(value) for value in cut.respond(image, [tight])] == [Mask]


@pytest.mark.parametrize(
    "box",
    [
        Box(label="Cell", x=0.0, y=0.0, width=1.0, height=1.0),
        Box(label="Cell", x=0.3, y=0.3, width=0.001, height=0.001),
        Box(label="Cell", x=0.99, y=0.99, width=0.5, height=0.5),
        Box(label="Cell", x=0.5, y=0.5, width=0.01, height=0.4),
        Box(label="Cell", x=0.3, y=0.2, width=0.3, height=0.3, rotation=45, aspect=ASPECT),
    ],
)
def test_no_box_is_too_odd(image, box):
    for mask in cutter({"mask": ("Cell",)}).respond(image, [box]):
        assert mask.pixels().any()


@pytest.mark.parametrize("colour", ["black", "white"])
def test_a_picture_of_one_colour_gives_back_the_box(tmp_path, colour):
    path = tmp_path / "plain.png"
    Image.new("RGB", (120, 90), colour).save(path)
    (mask,) = cutter({"mask": ("Cell",)}).respond(path, [BOX])
    assert mask.pixels().sum() == 52 * 52


def test_a_mask_that_stays_is_not_refined_further(image, monkeypatch):
    import cv2

    original, refined = cv2.grabCut, []
    monkeypatch.setattr(cv2, "grabCut", lambda *given: refined.append(given) or original(*given))
    masks = [cutter({"mask": ("Cell",)}, iterations=count).respond(image, [BOX]) for count in (3, 20)]
    assert masks[0] == masks[1] and len(refined) < 12


def test_a_photograph_is_cut_at_a_bounded_size_and_the_mask_has_the_size_of_the_photograph(tmp_path):
    path = tmp_path / "astronaut.png"
    Image.fromarray(data.astronaut()).resize((1024, 1024)).save(path)
    box = Box(label="Cell", x=0.26, y=0.02, width=0.3, height=0.4)
    (mask,) = cutter({"mask": ("Cell",)}, size=256).respond(path, [box])
    pixels = mask.pixels()
    assert pixels.shape == (1024, 1024)
    assert pixels[250, 440] and not pixels[60, 900]


def test_a_file_that_is_no_image_is_a_sentence(tmp_path):
    (tmp_path / "page.png").write_text("<html>")
    with pytest.raises(AdapterError, match=r"page\.png cannot be read as an image"):
        cutter().respond(tmp_path / "page.png", [BOX])
