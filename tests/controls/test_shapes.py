"""Shapes on images and in videos: what is drawn is what was meant, to the digit, whatever the image and whoever drew it."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lsml.binding import control_of
from lsml.controls.brush import decode_brush, encode_brush
from lsml.labeling import parse_labeling_config
from lsml.labeling.remarks import Reason, Remark
from lsml.labeling.view import Film, View
from lsml.values import Box, Ellipse, Keyframe, KeyPoint, Mask, Polygon, Track
from lsml.values.coverage import boxes_at, overlaps
from lsml.values.geometry import box_corners, box_of_corners, fill_outline
from lsml.wording import JSON

LABELS = '<Label value="Cat"/><Label value="Dog"/>'
SHAPES = ("Rectangle", "Polygon", "Ellipse", "KeyPoint", "Brush", "Bitmask")
TAGS = [*SHAPES, *(f"{tag}Labels" for tag in SHAPES), "VideoRectangle"]


def control(tag, labels=LABELS):
    inner = labels if tag.endswith("Labels") else ""
    companion = "" if tag.endswith("Labels") else f'<Labels name="label" toName="o">{labels}</Labels>'
    shown = "Video" if tag.startswith("Video") else "Image"
    config = parse_labeling_config(
        f'<View><{tag} name="c" toName="o">{inner}</{tag}>{companion}<{shown} name="o" value="$o"/></View>'
    )
    return control_of(config.controls[0], config)


def through_json(found, values, on):
    """Values as Label Studio stores them, and read back."""
    regions = json.loads(json.dumps(found.encode(values, "o", on)))
    assert [found.check(region, {}) for region in regions] == [None] * len(regions)
    return found.decode(regions, on).values


def close(one, other):
    for name in one.__struct_fields__:
        ours, theirs = getattr(one, name), getattr(other, name)
        if isinstance(ours, float):
            assert ours == pytest.approx(theirs, abs=1e-6), name
        elif isinstance(ours, tuple) and ours and isinstance(ours[0], Keyframe):
            assert len(ours) == len(theirs)
            for a, b in zip(ours, theirs, strict=True):
                close(a, b)
        elif isinstance(ours, tuple) and ours and isinstance(ours[0], tuple):
            assert np.array(ours) == pytest.approx(np.array(theirs), abs=1e-6)
        else:
            assert ours == theirs, name


# ------------------------------------------------------------------------------------------------ round trips

share = st.floats(0.0, 1.0)
length = st.floats(0.001, 0.5)
label = st.sampled_from(["Cat", "Dog"])
score = st.none() | share
sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


@given(share, share, length, length, st.floats(0, 359.99), label, score, sizes)
def test_a_box_comes_back_as_it_was(x, y, width, height, rotation, name, sure, size):
    rotation = round(rotation, 4)
    if not rotation:
        x, y = min(x, 1 - width), min(y, 1 - height)
    on = View(None, size)
    box = Box(label=name, score=sure, x=x, y=y, width=width, height=height, rotation=rotation, aspect=on.aspect)
    (back,) = through_json(control("RectangleLabels"), [box], on)
    close(back, box)


@given(st.lists(st.tuples(share, share), min_size=3, max_size=30), label, sizes)
def test_an_outline_comes_back_as_it_was(points, name, size):
    from lsml.values.geometry import area

    assume(area(np.array(points)) > 1e-3)
    on = View(None, size)
    polygon = Polygon(label=name, points=tuple(points), aspect=on.aspect)
    (back,) = through_json(control("PolygonLabels"), [polygon], on)
    close(back, polygon)


@given(share, share, length, length, st.floats(0, 359.9), label, sizes)
def test_an_ellipse_comes_back_as_it_was(x, y, rx, ry, rotation, name, size):
    on = View(None, size)
    ellipse = Ellipse(label=name, x=x, y=y, radius_x=rx, radius_y=ry, rotation=round(rotation, 4), aspect=on.aspect)
    (back,) = through_json(control("EllipseLabels"), [ellipse], on)
    close(back, ellipse)


@given(share, share, st.floats(0, 0.2), label, score, sizes)
def test_a_point_comes_back_as_it_was(x, y, dot, name, sure, size):
    on = View(None, size)
    point = KeyPoint(label=name, score=sure, x=x, y=y, size=dot, aspect=on.aspect)
    (back,) = through_json(control("KeyPointLabels"), [point], on)
    close(back, point)


masks = st.integers(1, 40).flatmap(
    lambda rows: st.integers(1, 40).flatmap(
        lambda columns: st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns).map(
            lambda bits: np.array(bits).reshape(rows, columns)
        )
    )
)


@given(masks, st.sampled_from(["BrushLabels", "BitmaskLabels", "Brush", "Bitmask"]))
def test_a_mask_comes_back_to_the_pixel(pixels, tag):
    assume(pixels.any())
    mask = Mask.from_pixels(pixels, "Cat")
    (back,) = through_json(control(tag), [mask], View(None, (mask.width, mask.height)))
    assert (back.pixels() == pixels).all() and back == mask


@given(masks)
def test_the_run_lengths_of_a_brush_hold_any_mask(pixels):
    rows, columns = pixels.shape
    assert (decode_brush(encode_brush(pixels), columns, rows) == pixels).all()


def test_a_long_run_is_cut_into_pieces_that_fit():
    pixels = np.ones((400, 500), dtype=bool)
    assert decode_brush(encode_brush(pixels), 500, 400).all()


@pytest.mark.parametrize("rle", [[], [0], [0, 0, 0, 4], [255] * 10, [0, 0, 0, 64, 58, 91], ["1"], [300]])
def test_bytes_that_are_no_brush_are_refused(rle):
    with pytest.raises(ValueError):
        decode_brush(rle, 4, 4)


frames = st.lists(st.tuples(st.integers(1, 200), share, share, st.booleans()), min_size=1, max_size=12,
                  unique_by=lambda one: one[0])  # fmt: skip


@given(frames, st.sampled_from([24.0, 25.0, 29.97, 30.0, 12.5]), label)
def test_a_track_comes_back_on_the_same_frames(places, rate, name):
    film = Film(rate, 200 / rate)
    places.sort()
    keyframes = tuple(
        Keyframe((frame - 1) / rate, x * 0.5, y * 0.5, 0.25, 0.5, enabled=enabled and frame != places[-1][0])
        for frame, x, y, enabled in places
    )
    track = Track(label=name, keyframes=keyframes, aspect=1.5)
    found = control("VideoRectangle")
    on = View(None, (150, 100), film=film)
    (region,) = found.encode([track], "o", on)
    assert [entry["frame"] for entry in region["value"]["sequence"]] == [frame for frame, *_ in places]
    assert region["value"]["framesCount"] == 200 and region["from_name"] == "c"
    (back,) = through_json(found, [track], on)
    close(back, track)


# ------------------------------------------------------------------------------------------------ strangers

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("x", "y", "width", "height", "rotation", "radiusX", "radiusY", "points", "rle", "format", "imageDataURL",
        "sequence", "framesCount", "duration", "labels", "rectanglelabels", "polygonlabels", "brushlabels")  # fmt: skip
values = st.dictionaries(st.sampled_from(KEYS), anything, max_size=10)


@given(st.sampled_from(TAGS), values, anything, st.dictionaries(st.sampled_from(
    ["id", "parentID", "score", "original_width", "original_height", "item_index", "is_positive"]), anything))  # fmt: skip
def test_no_json_of_a_stranger_raises(tag, value, odd, facts):
    found = control(tag)
    for region in (
        {"type": tag.lower(), "from_name": "c", "value": value, **facts},
        {"type": tag.lower(), "value": odd},
        odd,
    ):
        decoded = found.decode([region], None).values
        assert all(isinstance(one, found.value_type) for one in decoded or ())
        problem = found.check(region, {})
        assert problem is None or problem.startswith(("c", f"{tag}#c", "Labels#label"))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e400, True, "fifty", None])
@pytest.mark.parametrize("key", ["x", "y", "width", "height"])
def test_what_is_no_number_is_no_box(key, bad):
    value = {"x": 10, "y": 10, "width": 10, "height": 10, "rectanglelabels": ["Cat"], key: bad}
    region = {"type": "rectanglelabels", "value": value}
    assert control("RectangleLabels").decode([region]) == (None, (Remark(Reason.NO_NUMBER, JSON.shown(bad)),))
    assert control("RectangleLabels").check(region, {}) is not None


# ------------------------------------------------------------------------------------------------ what is drawn


def test_what_leaves_the_image_is_clipped_and_what_is_left_of_it_dropped():
    found, on = control("RectangleLabels"), View(None, (100, 100))
    boxes = [
        Box(label="Cat", x=-0.1, y=0.5, width=0.3, height=0.7),
        Box(label="Cat", x=1.2, y=0.5, width=0.3, height=0.2),
    ]
    (region,) = found.encode(boxes, "o", on)
    place = {key: region["value"][key] for key in ("x", "y", "width", "height")}
    assert place == {"x": 0, "y": 50, "width": 20, "height": 50}


@pytest.mark.parametrize("rotation", [0, 30, 90, 135, 180, 270, 359])
@pytest.mark.parametrize("aspect", [1.0, 2.0, 0.5])
def test_a_rotation_turns_pixels_about_the_top_left_corner(rotation, aspect):
    (corners,) = box_corners([(0.4, 0.3, 0.2, 0.1, rotation)], aspect)
    in_pixels = corners * [aspect, 1.0]
    along, down = in_pixels[1] - in_pixels[0], in_pixels[3] - in_pixels[0]
    assert corners[0] == pytest.approx([0.4, 0.3])
    assert math.degrees(math.atan2(along[1], along[0])) % 360 == pytest.approx(rotation % 360)
    assert float(np.hypot(*along)) == pytest.approx(0.2 * aspect)
    assert float(np.hypot(*down)) == pytest.approx(0.1)
    assert float(along @ down) == pytest.approx(0)
    assert box_of_corners(corners, aspect) == pytest.approx((0.4, 0.3, 0.2, 0.1, rotation % 360))


def test_the_parts_of_one_object_share_an_id_or_name_their_parent():
    box = Box(label="Cat", x=0.1, y=0.1, width=0.5, height=0.5, group="g")
    point = KeyPoint(label="Dog", x=0.2, y=0.2, group="g")
    on = View(None, (100, 100))
    assert control("RectangleLabels").encode([box], "o", on)[0]["id"] == "g"
    assert control("KeyPointLabels").encode([point], "o", on)[0]["parentID"] == "g"
    first, second = control("Rectangle").encode([box], "o", on)
    assert first["id"] == second["id"] and (first["from_name"], second["from_name"]) == ("c", "label")
    assert first["type"] == "rectangle" and second["type"] == "labels"


@pytest.mark.parametrize("told", [{"is_positive": False}, {"is_positive": 0}, {"is_positive": "0"}])
def test_a_click_beside_the_object_is_a_negative_point(told):
    region = {"type": "keypointlabels", "value": {"x": 1, "y": 2, "width": 1, "keypointlabels": ["Cat"]}, **told}
    (point,) = control("KeyPointLabels").decode([region]).values
    assert not point.positive
    region.pop("is_positive")
    assert control("KeyPointLabels").decode([region]).values[0].positive


@pytest.mark.parametrize("tag", TAGS[:-1])
def test_an_image_that_somebody_turned_to_look_at_it_is_marked_where_it_would_be_upright(tag):
    """Label Studio turns the view alone: `image_rotation` says how, and every other number is as if it had not."""
    found, on = control(tag), View("image.png", (40, 30))
    mask = Mask("Cat", width=40, height=30, runs=(405, 90, 705))
    values = {
        "Rectangle": Box("Cat", x=0.1, y=0.2, width=0.3, height=0.4), "Polygon": Polygon("Cat", points=((0.1, 0.1), (0.5, 0.1), (0.5, 0.5))),
        "Ellipse": Ellipse("Cat", x=0.5, y=0.5, radius_x=0.2, radius_y=0.1), "KeyPoint": KeyPoint("Cat", x=0.3, y=0.4),
        "Brush": mask, "Bitmask": mask,
    }  # fmt: skip
    regions = found.encode([values[tag.removesuffix("Labels")]], "o", on)
    assert {region["image_rotation"] for region in regions} == {0}
    upright = found.decode(regions, on).values
    turned = found.decode([{**region, "image_rotation": 90} for region in regions], on).values
    assert upright and json.dumps(found.encode(turned, "o", on)) == json.dumps(found.encode(upright, "o", on))


@pytest.mark.parametrize("tag", ["KeyPointLabels", "KeyPoint"])
def test_a_click_that_asks_a_model_has_its_label_beside_its_place(tag):
    # https://labelstud.io/guide/ml: the editor writes `labels` into the value of a smart point, and no other region.
    region = {
        "type": tag.lower(),
        "id": "a",
        "is_positive": True,
        "value": {"x": 1, "y": 2, "width": 1, "labels": ["Dog"]},
    }
    assert [point.label for point in control(tag).decode([region]).values] == ["Dog"]
    region["value"].pop("labels")
    assert [point.label for point in control(tag).decode([region]).values] == [""]


def test_of_two_boxes_of_one_object_only_the_first_stands_for_it():
    boxes = [Box(label="Cat", x=x, y=0.1, width=0.1, height=0.1, group="g") for x in (0.1, 0.5)]
    first, second = control("RectangleLabels").encode(boxes, "o", View(None, (100, 100)))
    assert first["id"] == "g" and second["id"] != "g"


def test_a_track_that_leaves_the_image_is_not_drawn_until_it_comes_back():
    places = [(0, 0.5), (1, 1.5), (2, 0.4), (3, 0.6)]
    track = Track(label="Cat", keyframes=tuple(Keyframe(t, x, 0.1, 0.2, 0.2) for t, x in places))
    (region,) = control("VideoRectangle").encode([track], "o", View(None, (150, 100), film=Film(10, 4)))
    assert [(k["frame"], k["time"], k["enabled"]) for k in region["value"]["sequence"]] == [
        (1, 0.1, False),
        (21, 2.1, True),
        (31, 3.1, False),
    ]


def test_a_track_of_rotated_boxes_keeps_each_rotation():
    track = Track(label="Cat", aspect=2.0, keyframes=(Keyframe(0, 0.1, 0.5, 0.9, 0.2, 80), Keyframe(1, 1.01, 0.5, 0.2, 0.2, 95)))  # fmt: skip
    (region,) = control("VideoRectangle").encode([track], "o", View(None, (200, 100), film=Film(10, 4)))
    assert [k["rotation"] for k in region["value"]["sequence"]] == [80, 95]
    assert region["value"]["sequence"][1]["x"] == 100
    assert control("VideoRectangle").check(region, {}) is None


def test_a_mask_of_another_size_is_brought_to_that_of_the_image():
    pixels = np.zeros((10, 20), dtype=bool)
    pixels[2:8, 5:15] = True
    (region,) = control("BrushLabels").encode([Mask.from_pixels(pixels, "Cat")], "o", View(None, (200, 100)))
    assert (region["original_width"], region["original_height"]) == (200, 100)
    drawn = decode_brush(region["value"]["rle"], 200, 100)
    assert drawn[20:80, 50:150].all() and drawn.sum() == 60 * 100


# ------------------------------------------------------------------------------------------------ what is shared


def box(x, y, width, height, rotation=0.0, **facts):
    return Box(label="Cat", x=x, y=y, width=width, height=height, rotation=rotation, **facts)


def test_boxes_share_what_geometry_says():
    assert overlaps([box(0, 0, 0.5, 0.5)], [box(0.25, 0, 0.5, 0.5)])[0, 0] == pytest.approx(1 / 3)
    square = box(0.25, 0.25, 0.5, 0.5)
    # The same square, turned by a right angle about its corner and put back where it was.
    turned = box(0.75, 0.25, 0.5, 0.5, 90)
    assert overlaps([square], [turned])[0, 0] == pytest.approx(1)
    # A square and the same turned by half a right angle about its middle share a regular octagon.
    half = math.sqrt(0.5) / 2
    diamond = box(0.5, 0.5 - half, 0.5, 0.5, 45)
    octagon = 2 * (math.sqrt(2) - 1)
    assert overlaps([square], [diamond])[0, 0] == pytest.approx(octagon / (2 - octagon))


@given(st.lists(st.tuples(share, share), min_size=3, max_size=8))
def test_an_outline_covers_the_pixels_that_a_slow_test_of_each_says(points):
    filled = fill_outline(np.array(points), 24, 16)
    for row in range(16):
        for column in range(24):
            x, y = (column + 0.5) / 24, (row + 0.5) / 16
            inside, near = False, False
            for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
                if (ay > y) != (by > y):
                    crossing = ax + (y - ay) / (by - ay) * (bx - ax)
                    near |= abs(crossing - x) < 1e-6
                    inside ^= crossing < x
                near |= abs(ay - y) < 1e-9
            if not near:
                assert filled[row, column] == inside


def test_outlines_ellipses_and_masks_are_compared_by_their_pixels():
    corners = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
    left = Polygon(label="Cat", points=corners)
    whole = Polygon(label="Cat", points=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
    assert overlaps([left], [whole, left])[0] == pytest.approx([0.5, 1], abs=0.01)
    circle = Ellipse(label="Cat", x=0.5, y=0.5, radius_x=0.25, radius_y=0.5, aspect=2.0)
    turned = Ellipse(label="Cat", x=0.5, y=0.5, radius_x=0.25, radius_y=0.5, rotation=77, aspect=2.0)
    assert overlaps([circle], [turned])[0, 0] > 0.98
    pixels = np.zeros((10, 10), dtype=bool)
    pixels[:, :5] = True
    masks = [Mask.from_pixels(pixels, "Cat"), Mask.from_pixels(~pixels, "Cat")]
    assert overlaps(masks, masks) == pytest.approx(np.eye(2))


def test_points_and_tracks_are_alike_where_they_are_near():
    points = [KeyPoint(label="Cat", x=x, y=0.5) for x in (0.5, 0.505, 0.6)]
    near = overlaps(points[:1], points)[0]
    assert near[0] == 1 and near[1] > 0.9 and near[2] < 0.01
    there = Track(label="Cat", keyframes=(Keyframe(0, 0, 0, 0.5, 0.5), Keyframe(2, 0.5, 0, 0.5, 0.5, enabled=False)))
    at = boxes_at(there, np.array([-0.5, 1.0, 2.0, 2.5]))
    assert at[1:3] == pytest.approx(np.array([(0.25, 0, 0.5, 0.5, 0), (0.5, 0, 0.5, 0.5, 0)]))
    assert np.isnan(at[[0, 3]]).all()
    stays = Track(label="Cat", keyframes=(Keyframe(1, 0.1, 0.2, 0.5, 0.5),))
    assert boxes_at(stays, np.array([0.9, 1.0, 60.0]))[:, 0] == pytest.approx([np.nan, 0.1, 0.1], nan_ok=True)
    shorter = Track(label="Cat", keyframes=(Keyframe(0, 0, 0, 0.5, 0.5), Keyframe(1, 0.25, 0, 0.5, 0.5, enabled=False)))
    assert overlaps([there], [there, shorter])[0] == pytest.approx([1, 0.5], abs=0.03)


def test_of_two_models_the_first_keeps_its_places_and_the_second_fills_the_others():
    from lsml.controls.base import ModelValues

    first = [Box(label="Cat", score=0.4, x=0.1, y=0.1, width=0.3, height=0.3)]
    second = [
        Box(label="Dog", score=0.9, x=0.12, y=0.1, width=0.3, height=0.3),
        Box(label="Dog", score=0.8, x=0.6, y=0.6, width=0.3, height=0.3),
        Box(label="Dog", score=0.1, x=0.1, y=0.7, width=0.1, height=0.1),
    ]
    answers = [ModelValues(some, lambda _label: 0.25) for some in (first, second)]
    chosen, certainty = control("RectangleLabels").combine(answers, {}, "confidence")
    assert [(one.label, one.score) for one in chosen] == [("Cat", 0.4), ("Dog", 0.8)]
    assert certainty == pytest.approx(
        math.exp(-0.4)
    )  # the first doubts its box by 0.4, the second its two by 0.2 and 0.1


@pytest.mark.parametrize(("kind", "doubt"), [("confidence", 0.2), ("margin", 0.4), ("entropy", 0.721928)])
def test_a_box_below_the_threshold_lowers_the_certainty_as_one_that_may_be_missed(kind, doubt):
    from lsml.controls.base import ModelValues

    def sure(*scores):
        boxes = [Box(label="Cat", score=score, x=0.2 * n, y=0, width=0.1, height=0.1) for n, score in enumerate(scores)]
        return control("RectangleLabels").combine([ModelValues(boxes, lambda _label: 0.25)], {}, kind)

    assert sure() == ([], 1.0), "nothing was found, nor may be missed"
    shown, missed = sure(0.2)
    assert shown == [] and missed == pytest.approx(math.exp(-doubt))
    assert sure(0.8)[1] == pytest.approx(missed) and sure(0.8, 0.2)[1] == pytest.approx(missed**2)
    assert sure(None)[1] is None


# ------------------------------------------------------------------------------------------------ drawn backwards


def region_of(tag, value, **facts):
    key = "labels" if tag == "VideoRectangle" or not tag.endswith("Labels") else tag.lower()
    return {"type": tag.lower(), "from_name": "c", "value": {**value, key: ["Cat"]}, **facts}


def test_a_negative_height_is_a_drag_upwards():
    value = {"x": 16, "y": 96, "width": 52, "height": -60, "rotation": 0}
    (found,) = control("RectangleLabels").decode([region_of("RectangleLabels", value)]).values
    assert (found.x, found.y, found.width, found.height) == pytest.approx((0.16, 0.36, 0.52, 0.6))


@given(st.floats(0.3, 0.6), st.floats(0.3, 0.6), st.floats(0.05, 0.2), st.floats(0.05, 0.2), st.sampled_from([0, 30, 90, 200]),
       st.sampled_from([(-1, 1), (1, -1), (-1, -1)]), st.sampled_from([1.0, 2.0, 0.5]))  # fmt: skip
def test_a_box_that_was_drawn_backwards_is_the_same_box(x, y, width, height, rotation, signs, aspect):
    """Its corner is another one of the four, and its sides lead back from there."""
    corners = box_corners([(x, y, width, height, rotation)], aspect)[0]
    start = corners[{(-1, 1): 1, (1, -1): 3, (-1, -1): 2}[signs]]
    place = {
        "x": start[0] * 100,
        "y": start[1] * 100,
        "width": signs[0] * width * 100,
        "height": signs[1] * height * 100,
    }
    on = View(None, (round(aspect * 1000), 1000))
    frame = {"frame": 1, "enabled": True, **place, "rotation": rotation}
    (found,) = (
        control("RectangleLabels").decode([region_of("RectangleLabels", {**place, "rotation": rotation})], on).values
    )
    (track,) = control("VideoRectangle").decode([region_of("VideoRectangle", {"sequence": [frame]})], on).values
    for one in (found, track.keyframes[0]):
        assert (one.x, one.y, one.width, one.height, one.rotation) == pytest.approx((x, y, width, height, rotation))


@pytest.mark.parametrize("tag", ["EllipseLabels", "Ellipse"])
def test_an_ellipse_that_was_drawn_backwards_has_the_radii_that_were_meant(tag):
    (found,) = control(tag).decode([region_of(tag, {"x": 50, "y": 50, "radiusX": -10, "radiusY": -20})]).values
    assert (found.x, found.y, found.radius_x, found.radius_y) == (0.5, 0.5, 0.1, 0.2)


SLIGHTLY = [
    ("RectangleLabels", {"x": -1, "y": 90, "width": 20, "height": 11}, {"x": 0, "y": 0.9, "width": 0.19, "height": 0.1}),
    ("KeyPointLabels", {"x": 100.4, "y": -0.4, "width": -0.5}, {"x": 1, "y": 0, "size": 0.005}),
    ("EllipseLabels", {"x": 101, "y": 50, "radiusX": 120, "radiusY": 10}, {"x": 1, "y": 0.5, "radius_x": 1, "radius_y": 0.1}),
    ("PolygonLabels", {"points": [[-1, 0], [100, 0], [100, 101], [-1, 101]]}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("tag", "value", "means"), SLIGHTLY)
def test_what_lies_slightly_beside_the_image_is_brought_to_its_edge(tag, value, means):
    (found,) = control(tag).decode([region_of(tag, value)]).values
    assert {name: getattr(found, name) for name in means} == pytest.approx(means)
    if tag == "PolygonLabels":
        assert np.array(found.points).min() == 0 and np.array(found.points).max() == 1


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("RectangleLabels", {"x": 10, "y": 20, "width": 30, "height": -15, "rotation": 0}),
        ("EllipseLabels", {"x": 10, "y": 20, "radiusX": 30, "radiusY": 15, "rotation": 10}),
        ("KeyPointLabels", {"x": 10, "y": 20.5, "width": 1}),
        ("PolygonLabels", {"points": [[1, 1], [50, 1], [50, 70.25]]}),
        ("VideoRectangle", {"framesCount": 10, "duration": 2, "sequence": [{"frame": 1, "x": 1, "y": 2, "width": 3, "height": 4}]}),
    ],
)  # fmt: skip
def test_numbers_that_are_texts_are_read(tag, value):
    as_texts = json.loads(json.dumps(value), parse_int=str, parse_float=str)
    plain, written = (control(tag).decode([region_of(tag, one)]) for one in (value, as_texts))
    assert plain.values and plain == written


def test_the_size_of_a_brush_may_be_a_text():
    found = control("BrushLabels")
    (region,) = found.encode([Mask.from_pixels(np.eye(4), "Cat")], "o", View(None, (4, 4)))
    sizes = {"original_width": "4", "original_height": "4"}
    assert found.decode([{**region, **sizes}]) == found.decode([region])


# ------------------------------------------------------------------------------------------------ left out

BOX = {"x": 1, "y": 1, "width": 9, "height": 9}


@pytest.mark.parametrize(
    ("tag", "value", "remark"),
    [
        ("RectangleLabels", {**BOX, "x": 150}, (Reason.OUTSIDE_IMAGE, "")),
        ("RectangleLabels", {**BOX, "width": 0}, (Reason.NO_AREA, "")),
        ("Rectangle", {**BOX, "x": "left"}, (Reason.NO_NUMBER, '"left"')),
        ("PolygonLabels", {"points": [[1, 1], [2, 2]]}, (Reason.NO_AREA, "")),
        ("Polygon", {"points": [[101, 1], [120, 1], [120, 20]]}, (Reason.OUTSIDE_IMAGE, "")),
        ("EllipseLabels", {"x": 150, "y": 1, "radiusX": 3, "radiusY": 3}, (Reason.OUTSIDE_IMAGE, "")),
        ("KeyPointLabels", {"x": 1, "y": 110}, (Reason.OUTSIDE_IMAGE, "")),
        ("BrushLabels", {"rle": [1, 2], "format": "rle"}, (Reason.UNREADABLE_PIXELS,
            "their pixels cannot be read (original_width and original_height are missing)")),
        ("BitmaskLabels", {"imageDataURL": "data:image/png;base64,AAAA"}, (Reason.UNREADABLE_PIXELS,
            "their pixels cannot be read (it is no PNG)")),
        ("VideoRectangle", {"sequence": []}, (Reason.NO_AREA, "")),
        ("VideoRectangle", {"sequence": ["x"]}, (Reason.NO_NUMBER, '"x"')),
    ],
)  # fmt: skip
def test_a_shape_that_cannot_be_understood_is_left_out_and_says_why(tag, value, remark):
    assert control(tag).decode([region_of(tag, value)]) == (None, (Remark(*remark),))


@pytest.mark.parametrize("tag", ["RectangleLabels", "Rectangle"])
def test_several_labels_of_a_shape_are_as_many_values_and_one_region_again_where_the_tag_allows_it(tag):
    single, several = control(tag), control(tag)
    label_tag = several.companion or several.control_tag
    label_tag.attributes["choice"] = "multiple"
    boxes = [
        Box(label=name, score=score, x=0.1, y=0.1, width=0.2, height=0.2)
        for name, score in (("Cat", 0.9), ("Dog", 0.6))
    ]
    on = View(None, (10, 10))
    assert len({region.get("id", number) for number, region in enumerate(single.encode(boxes, "o", on))}) == 2
    regions = several.encode(boxes, "o", on)
    assert len({region.get("id") for region in regions}) == 1
    assert regions[-1]["value"][several.label_key] == ["Cat", "Dog"] and regions[-1]["score"] == 0.6
    assert [several.check(region, {}) for region in regions] == [None] * len(regions)
    assert [one.label for one in several.decode(regions, on).values] == ["Cat", "Dog"]


def test_labels_of_a_companion_are_read_whatever_their_capitals_and_counted_where_the_config_lacks_them():
    regions = []
    for id, name in (("a", "cat"), ("b", "Cow")):
        regions.append({"id": id, "from_name": "c", "type": "rectangle", "value": BOX})
        regions.append({"id": id, "from_name": "label", "type": "labels", "value": {**BOX, "labels": [name]}})
    regions.append({"id": "of another tool", "from_name": "label", "type": "labels", "value": {"labels": ["Cow"]}})
    decoded = control("Rectangle").decode(regions)
    assert [one.label for one in decoded.values] == ["Cat"]
    assert decoded.remarks == (
        Remark(Reason.OTHER_CAPITALS, "`cat` is read as `Cat`"),
        Remark(Reason.UNKNOWN_LABEL, "Cow"),
    )
    assert control("Rectangle").decode(regions[2:]).values is None
