"""What a detector answers of an image when a person drew on it: what is there, and nothing else."""

import numpy as np
import pytest

from lsml.adapters.parts.drawn import drawn_part, in_drawn
from lsml.values import Box, Ellipse, KeyPoint, Mask, Polygon
from tests.support.cases import YOLO

DETECT, OBB, SEGMENT, POSE, CLASSIFY = YOLO

LEFT = Box("dog", 0.6, x=0.1, y=0.1, width=0.2, height=0.2)
NEXT = Box("cat", 0.9, x=0.2, y=0.3, width=0.2, height=0.2)
RIGHT = Box("dog", 0.8, x=0.7, y=0.7, width=0.2, height=0.2)
FOUND = [LEFT, RIGHT, NEXT]


def around(x, y, width, height, label="dog"):
    return Box(label, x=x, y=y, width=width, height=height)


def test_what_lies_in_the_drawn_box_is_answered_best_first_and_the_rest_of_the_photo_is_not():
    assert in_drawn(FOUND, [around(0.05, 0.05, 0.45, 0.5)]) == [NEXT, LEFT]


def test_what_lies_in_two_drawn_boxes_is_answered_once():
    assert in_drawn(FOUND, [around(0.6, 0.6, 0.3, 0.3), around(0.65, 0.65, 0.3, 0.3)]) == [RIGHT]


def test_what_is_drawn_so_already_is_not_answered_again_and_what_is_drawn_loosely_is():
    assert in_drawn(FOUND, [around(0.1, 0.1, 0.201, 0.2), around(0.05, 0.05, 0.45, 0.5)]) == [NEXT]
    assert in_drawn(FOUND, [around(0.68, 0.68, 0.24, 0.24)]) == [RIGHT]


def test_what_a_box_only_touches_is_not_in_it():
    assert in_drawn(FOUND, [around(0.0, 0.0, 0.18, 0.9)]) == []


@pytest.mark.parametrize(
    "drawn",
    [
        Polygon("", points=((0.6, 0.6), (1.0, 0.6), (0.8, 1.0))),
        Ellipse("", x=0.8, y=0.8, radius_x=0.15, radius_y=0.15),
        Mask.from_pixels(np.pad(np.ones((4, 4)), ((6, 0), (6, 0))), ""),
        KeyPoint("", x=0.8, y=0.75),
    ],
    ids=["outline", "ellipse", "brush", "point"],
)
def test_any_tool_may_ask(drawn):
    assert in_drawn(FOUND, [drawn]) == [RIGHT]


def test_a_point_beside_what_is_meant_keeps_out_what_is_under_it():
    beside = KeyPoint("", x=0.15, y=0.15, positive=False)
    assert in_drawn(FOUND, [around(0.05, 0.05, 0.45, 0.5), beside]) == [NEXT]


def test_a_pose_is_answered_whole_or_not_at_all():
    pose = [
        Box("person", 0.8, group="0", x=0.1, y=0.1, width=0.3, height=0.6),
        KeyPoint("head", 0.7, group="0", x=0.25, y=0.15),
        KeyPoint("foot", 0.4, group="0", x=0.2, y=0.68),
    ]
    other = [KeyPoint("head", 0.9, group="1", x=0.9, y=0.15), KeyPoint("foot", 0.9, group="1", x=0.9, y=0.6)]
    assert in_drawn([*other, *pose], [around(0.0, 0.0, 0.5, 0.65)]) == pose
    assert in_drawn(pose, [around(0.0, 0.0, 0.5, 0.2)]) == []


def test_nothing_drawn_asks_for_nothing():
    assert in_drawn(FOUND, []) == []
    assert drawn_part(np.zeros((10, 20, 3)), [KeyPoint("", x=0.5, y=0.5)]) is None


def test_the_part_of_an_image_is_that_of_the_last_region_with_an_area():
    image = np.arange(200).reshape(10, 20, 1)
    prompts = [around(0, 0, 1, 1), around(0.5, 0.2, 0.25, 0.3), KeyPoint("", x=0, y=0)]
    assert (drawn_part(image, prompts) == image[2:5, 10:15]).all()


@pytest.mark.models
@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", [DETECT, OBB, SEGMENT, POSE], ids=["detect", "obb", "segment", "pose"])
def test_a_model_answers_what_is_in_the_drawn_half_of_a_picture(case):
    model = case.ready()
    two = next(e for e in case.examples if len({value.group or id(value) for value in e.values}) == 2)
    halves = [model.respond(two.data, [around(x, 0.0, 0.5, 1.0)]) for x in (0.0, 0.5)]
    everything = model.predict([two.data])[0]
    assert all(halves) and all(value in everything for half in halves for value in half)
    assert not [value for value in halves[0] if value in halves[1]]
    for half in halves:
        assert [value.score for value in half] == sorted((value.score for value in half), reverse=True)
        if case is not POSE:  # points of a pose alone do not stand for it
            assert model.respond(two.data, half) == []


@pytest.mark.models
@pytest.mark.timeout(300)
def test_a_classifier_says_what_the_drawn_part_of_a_picture_shows():
    model = CLASSIFY.ready()
    by_label = {e.values[0].label: e for e in CLASSIFY.examples}
    for label, example in by_label.items():
        answered = model.respond(example.data, [around(0.0, 0.0, 1.0, 1.0)])
        assert max(answered, key=lambda value: value.score).label == label
        assert sum(v.score for v in model.respond(example.data, [around(0.2, 0.2, 0.6, 0.6)])) == pytest.approx(
            1, abs=1e-4
        )
        assert model.respond(example.data, [KeyPoint("", x=0.5, y=0.5)]) == []
