"""Judges against scikit-learn's and COCO's own."""

import random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, r2_score

from lsml.metrics import judge
from lsml.metrics.texts import edits
from lsml.values import (
    Box,
    Choice,
    Interval,
    Keyframe,
    KeyPoint,
    Mask,
    Moment,
    Number,
    Polygon,
    Ranking,
    Relation,
    Span,
    Text,
    Track,
)


def choices(*labels):
    return tuple(Choice(label) for label in labels)


def test_single_labels_are_judged_as_scikit_learn_does():
    draw = random.Random(1)
    truth = [draw.choice("ABC") for _ in range(200)]
    guess = [label if draw.random() < 0.7 else draw.choice("ABCD") for label in truth]
    judged = judge(Choice, [(choices(t), choices(g)) for t, g in zip(truth, guess, strict=True)])
    assert judged["metric"] == "macro_f1"
    assert judged["value"] == pytest.approx(f1_score(truth, guess, average="macro"), abs=1e-5)
    assert judged["accuracy"] == pytest.approx(accuracy_score(truth, guess), abs=1e-5)
    assert sum(sum(row.values()) for row in judged["confusion"].values()) == judged["examples"] == 200
    assert judged["per_label"]["A"]["examples"] == truth.count("A")


def test_several_labels_are_judged_label_by_label():
    judged = judge(Choice, [(choices("A", "B"), choices("A")), (choices("B"), choices("B", "A")), ((), ())])
    assert judged["per_label"]["A"] == {"precision": 0.5, "recall": 1.0, "f1": 0.666667, "examples": 1}
    assert judged["per_label"]["B"] == {"precision": 1.0, "recall": 0.5, "f1": 0.666667, "examples": 2}
    assert judged["accuracy"] == pytest.approx(1 / 3, abs=1e-5)


def test_a_task_without_a_prediction_counts_as_a_miss():
    assert judge(Choice, [(choices("A"), ())])["value"] == 0.0


def test_numbers_are_judged_as_scikit_learn_does():
    draw = random.Random(2)
    truth = [draw.uniform(0, 10) for _ in range(50)]
    guess = [value + draw.gauss(0, 2) for value in truth]
    judged = judge(Number, [((Number(t),), (Number(g),)) for t, g in zip(truth, guess, strict=True)])
    assert judged["value"] == pytest.approx(r2_score(truth, guess), abs=1e-5)
    assert judged["mean_absolute_error"] == pytest.approx(mean_absolute_error(truth, guess), abs=1e-5)


def test_alike_numbers_still_tell_better_from_worse():
    near = judge(Number, [((Number(3),), (Number(3.1),))] * 3)["value"]
    far = judge(Number, [((Number(3),), (Number(5),))] * 3)["value"]
    assert far < near < judge(Number, [((Number(3),), (Number(3),))] * 3)["value"] == 1.0


@pytest.mark.parametrize("value_type", [Choice, Number, Span])
def test_without_examples_nothing_is_judged(value_type):
    judged = judge(value_type, [])
    assert (judged["value"], judged["examples"], judged["per_label"]) == (None, 0, {})


def spans(*found):
    return tuple(Span(start, end, label, 0.5) for start, end, label in found)


def test_spans_are_right_where_start_end_and_label_are_the_same():
    judged = judge(
        Span,
        [
            (spans((0, 3, "A"), (4, 6, "B")), spans((0, 3, "A"), (4, 7, "B"))),
            (spans((1, 2, "A")), spans((1, 2, "B"))),
            (spans((1, 2, "A")), spans((1, 2, "A"), (1, 2, "A"))),
            ((), ()),
        ],
    )
    assert judged == {
        "metric": "span_f1",
        "value": 0.5,
        "examples": 4,
        "per_label": {
            "A": {"precision": 1.0, "recall": 0.666667, "f1": 0.8, "examples": 3},
            "B": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "examples": 1},
        },
        "precision": 0.5,
        "recall": 0.5,
        "spans": 4,
        "calibration_error": None,
        "calibration": [],
    }


def test_nothing_found_is_right_only_where_there_is_nothing():
    assert judge(Span, [((), ())])["value"] == 1.0
    assert judge(Span, [((), spans((0, 1, "A")))])["value"] == 0.0
    assert judge(Span, [(spans((0, 1, "A")), ())])["value"] == 0.0


# ------------------------------------------------------------------------------------------------ shapes


def square(x, score=None, label="A", item=0):
    return Box(label=label, score=score, item=item, x=x, y=0.0, width=0.1, height=0.1)


def test_boxes_are_judged_by_mean_average_precision():
    truth = [square(0.0), square(0.3)]
    guess = [square(0.0, 0.9), square(0.6, 0.8), square(0.3, 0.7)]
    found = judge(Box, [(truth, guess)])
    # Precision is 1 up to a recall of one half, and 2/3 from there on: 51 and 50 of the 101 recalls.
    assert found["metric"] == "map50"
    assert found["value"] == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-6)
    row = found["per_label"]["A"]
    assert (row["examples"], row["precision"], row["recall"]) == (2, pytest.approx(2 / 3, abs=1e-6), 1.0)


def test_a_box_is_found_once_on_its_own_page_and_by_its_own_label():
    assert judge(Box, [([square(0)], [square(0, 0.9), square(0, 0.8)])])["per_label"]["A"]["precision"] == 0.5
    assert judge(Box, [([square(0)], [square(0, 0.9, item=1)])])["value"] == 0
    assert judge(Box, [([square(0)], [square(0, 0.9, label="B")])])["value"] == 0
    assert judge(Box, [([], [square(0, 0.9)])])["value"] is None
    assert judge(Box, [([square(0)], [])])["value"] == 0


def test_points_of_one_object_are_judged_together():
    def pose(shift, group, score=None):
        return [KeyPoint(label=name, score=score, x=x + shift, y=y, group=group)
                for name, x, y in (("head", 0.2, 0.2), ("foot", 0.4, 0.8))]  # fmt: skip

    truth = pose(0.0, "p") + pose(0.4, "q")
    assert judge(KeyPoint, [(truth, pose(0.001, "1", 0.9) + pose(0.401, "2", 0.8))])["value"] == 1
    swapped = [*pose(0.0, "1", 0.9)[:1], *pose(0.3, "1", 0.9)[1:]]
    assert judge(KeyPoint, [(truth, swapped)])["value"] == pytest.approx(51 / 101, abs=0.01)
    alone = [KeyPoint(label="head", x=0.5, y=0.5)]
    assert judge(KeyPoint, [(alone, [KeyPoint(label="head", score=0.5, x=0.502, y=0.5)])])["value"] == 1


def test_points_in_a_line_are_judged_by_how_long_it_is():
    def spine(off):
        return [KeyPoint(label=f"{n}", score=0.9, x=0.2 + n / 10, y=0.5 + off, group="1") for n in range(6)]

    truth = [msgspec.structs.replace(point, score=None) for point in spine(0)]
    assert judge(KeyPoint, [(truth, spine(0.02))])["value"] == 1  # a twenty-fifth of its length
    assert judge(KeyPoint, [(truth, spine(0.2))])["value"] == 0


def test_how_far_a_point_may_be_goes_by_the_size_of_its_object():
    def line(shift, group, score=None):
        """Three points in a line, which span no area."""
        return [KeyPoint(label=name, score=score, x=0.5 + shift, y=y, group=group)
                for name, y in (("head", 0.3), ("hip", 0.5), ("foot", 0.7))]  # fmt: skip

    def value(shift, *boxes):
        return judge(KeyPoint, [([*line(0.0, "p"), *boxes], line(shift, "1", 0.9))])["value"]

    # 0.4 long, so taken to be 0.1 wide: half of the similarity is lost at 0.14 * sqrt(0.04) * sqrt(2 ln 2) = 0.0330.
    assert (value(0.032), value(0.034)) == (1, 0)
    # A box says it better, of which an object fills 0.53: 0.14 * sqrt(0.53 * 0.4 * 0.6) * sqrt(2 ln 2) = 0.0588.
    large = Box("person", x=0.3, y=0.2, width=0.4, height=0.6, group="p")
    assert (value(0.058, large), value(0.060, large)) == (1, 0)
    # A box of another object, or on another page, says nothing.
    for other in ({"group": "q"}, {"item": 1}):
        assert value(0.050, msgspec.structs.replace(large, **other)) == 0
    # Nor does a box count as a point where points stand alone.
    alone = [KeyPoint(label="head", x=0.5, y=0.5)]
    assert judge(KeyPoint, [([*alone, large], [KeyPoint(label="head", score=0.5, x=0.5, y=0.5)])])["value"] == 1


def test_ranking_is_by_score_over_all_images():
    pairs = [([square(0.0)], [square(0.0, 0.2)]), ([], [square(0.5, 0.9)])]
    assert judge(Box, pairs)["value"] == pytest.approx(0.5)


def test_texts_are_judged_by_their_characters_and_by_whether_they_are_the_same():
    pairs = [((Text("kitten"),), (Text("sitting"),)), ((Text("a  b"),), (Text(" a b"),)), ((Text("x"),), ()), ((), ())]
    judged = judge(Text, pairs)
    assert judged == {
        "metric": "character_similarity",
        "value": pytest.approx((4 / 7 + 1 + 0 + 1) / 4, abs=1e-6),
        "examples": 4,
        "per_label": {},
        "exact_match": 0.5,
    }
    assert judge(Text, [])["value"] is None


@given(st.text("ab🤖", max_size=8), st.text("ab🤖", max_size=8))
def test_edits_are_those_of_the_whole_table(one, other):
    row = list(range(len(other) + 1))
    for at, mine in enumerate(one, 1):
        before, row = row, [at]
        for index, theirs in enumerate(other, 1):
            row.append(min(before[index] + 1, row[-1] + 1, before[index - 1] + (mine != theirs)))
    assert edits(one, other) == row[-1]


# pycocotools measures boxes and masks itself, as everybody who publishes a number does.


def coco_map50(kind, pairs, to_coco, size):
    """mAP@0.5 as pycocotools works it out."""
    import contextlib
    import io

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    labels = sorted({value.label for truth, guess in pairs for value in (*truth, *guess)})
    numbers = {label: number for number, label in enumerate(labels, 1)}
    images = [{"id": image, "width": size[0], "height": size[1]} for image in range(1, len(pairs) + 1)]
    truths, guesses = [], []
    for image, (truth, guess) in enumerate(pairs, 1):
        for values, made in ((truth, truths), (guess, guesses)):
            for value in values:
                facts = {"id": len(made) + 1, "image_id": image, "category_id": numbers[value.label], "iscrowd": 0}
                made.append({**facts, "score": value.score, "area": 1.0, **to_coco(value)})
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        categories = [{"id": number, "name": label} for label, number in numbers.items()]
        known.dataset = {"info": {}, "images": images, "annotations": truths, "categories": categories}
        known.createIndex()
        found = COCOeval(known, known.loadRes(guesses), kind)
        found.params.iouThrs = np.array([0.5])
        found.params.maxDets = [1000]
        found.params.areaRng, found.params.areaRngLbl = [[0, 1e10]], ["all"]
        found.evaluate()
        found.accumulate()
    precision = found.eval["precision"][0, :, :, 0, 0]
    return float(np.mean([column.mean() for column in precision.T if column.min() >= 0]))


def world(made, images=30, seed=1):
    """Annotated shapes, and predictions that are near, beside, doubled, missing or of another label."""
    draw = random.Random(seed)
    pairs = []
    for _ in range(images):
        truth = [made(draw, None, None) for _ in range(draw.randrange(0, 6))]
        guess = [made(draw, value, draw.random()) for value in truth for _ in range(draw.choice([0, 1, 1, 1, 2]))]
        guess += [made(draw, None, draw.random()) for _ in range(draw.randrange(0, 4))]
        pairs.append((truth, guess))
    return pairs


def drawn_box(draw, near, score):
    if near is None:
        x, y, side = draw.uniform(0, 0.7), draw.uniform(0, 0.7), draw.uniform(0.05, 0.3)
        return Box(label=draw.choice("ABC"), score=score, x=x, y=y, width=side, height=side)
    moved = [draw.gauss(0, near.width / 8) for _ in range(2)]
    label = near.label if draw.random() < 0.9 else "D"
    return Box(label=label, score=score, x=near.x + moved[0], y=near.y + moved[1], width=near.width, height=near.height)


@pytest.mark.parametrize("seed", range(5))
def test_boxes_are_judged_as_pycocotools_does(seed):
    pytest.importorskip("pycocotools")
    pairs = world(drawn_box, seed=seed)
    theirs = coco_map50(
        "bbox", pairs, lambda box: {"bbox": [640 * box.x, 640 * box.y, 640 * box.width, 640 * box.height]}, (640, 640)
    )
    assert 0.2 < theirs < 0.9
    assert judge(Box, pairs)["value"] == pytest.approx(theirs, abs=1e-6)


def drawn_mask(draw, near, score):
    rows, columns = np.mgrid[:60, :80]
    if near is None:
        label, row, column = draw.choice("AB"), draw.uniform(0, 60), draw.uniform(0, 80)
        reach = draw.uniform(4, 15)
    else:
        where = np.argwhere(near.pixels())
        label, (row, column) = near.label, where.mean(axis=0) + np.array([draw.gauss(0, 1.5), draw.gauss(0, 1.5)])
        reach = max(2.0, (len(where) / np.pi) ** 0.5)
    return Mask.from_pixels((rows - row) ** 2 + (columns - column) ** 2 <= reach**2, label, score=score)


@pytest.mark.parametrize("seed", range(3))
def test_masks_are_judged_as_pycocotools_does(seed):
    coding = pytest.importorskip("pycocotools.mask")
    pairs = world(drawn_mask, images=20, seed=seed)

    def to_coco(mask):
        code = coding.encode(np.asfortranarray(mask.pixels().astype(np.uint8)))
        return {"segmentation": code, "bbox": coding.toBbox(code).tolist()}

    theirs = coco_map50("segm", pairs, to_coco, (80, 60))
    assert 0.2 < theirs < 0.95
    assert judge(Mask, pairs)["value"] == pytest.approx(theirs, abs=1e-6)


def test_outlines_are_judged_like_the_masks_that_they_enclose():
    def outline(x, score=None):
        return Polygon(label="A", score=score, points=((x, 0.1), (x + 0.2, 0.1), (x + 0.2, 0.3), (x, 0.3)))

    judged = judge(Polygon, [([outline(0.1), outline(0.6)], [outline(0.11, 0.9), outline(0.72, 0.8)])])
    assert judged["value"] == pytest.approx(51 / 101)
    assert judge(Polygon, [([outline(0.001)], [outline(0.0012, 0.5)])])["value"] == 1


def test_tiny_shapes_are_told_apart():
    pixels = np.zeros((3000, 4000), dtype=bool)
    pixels[1000:1004, 1000:1004] = True
    truth = Mask.from_pixels(pixels, "A")
    near = Mask.from_pixels(np.roll(pixels, 1, axis=1), "A", score=0.9)  # 12 of 20 pixels
    far = Mask.from_pixels(np.roll(pixels, 2, axis=1), "A", score=0.9)  # 8 of 24
    assert judge(Mask, [([truth], [near])])["value"] == 1
    assert judge(Mask, [([truth], [far])])["value"] == 0


def test_tracks_are_judged_by_where_they_are_and_when():
    def track(start, end, x=0.1, score=None):
        frames = (Keyframe(start, x, 0.1, 0.2, 0.2), Keyframe(end, x, 0.1, 0.2, 0.2, enabled=False))
        return Track(label="A", score=score, keyframes=frames)

    assert judge(Track, [([track(0, 10)], [track(0, 9, score=0.9)])])["value"] == 1
    assert judge(Track, [([track(0, 10)], [track(0, 4, score=0.9)])])["value"] == 0
    assert judge(Track, [([track(0, 10)], [track(0, 10, x=0.25, score=0.9)])])["value"] == 0
    assert judge(Track, [([track(0, 10)], [track(20, 30, score=0.9)])])["value"] == 0
    stays = Track(label="A", keyframes=(Keyframe(0, 0.1, 0.1, 0.2, 0.2),))
    assert judge(Track, [([stays], [track(0, 10, score=0.9)])])["value"] == 1


def test_the_calibration_error_is_how_far_scores_are_from_how_often_they_are_right():
    sure = [((Choice("A"),), (Choice("A", score=0.9),))] * 45 + [((Choice("B"),), (Choice("A", score=0.9),))] * 55
    assert judge(Choice, sure)["calibration_error"] == pytest.approx(0.45, abs=0.2)
    honest = [((Choice("A"),), (Choice("A" if number % 10 else "B", score=0.9),)) for number in range(200)]
    assert judge(Choice, honest)["calibration_error"] < 0.05
    groups = judge(Choice, honest)["calibration"]
    assert sum(group["count"] for group in groups) == len(honest)
    assert all(abs(group["score"] - group["right"]) < 0.2 for group in groups)
    assert judge(Choice, sure[:9])["calibration"] == []
    assert judge(Choice, sure[:9])["calibration_error"] is None
    assert judge(Choice, [(choices("A"), choices("A"))] * 50)["calibration_error"] is None


@pytest.mark.parametrize("found", [
    lambda place, score=None: Span(place, 9, "A", score),
    lambda place, score=None: Interval(place, 9, "A", score),
    lambda place, score=None: Relation(f"r{place}", "r", "A", score),
    lambda place, score=None: square(place / 10, score),
])  # fmt: skip
def test_the_calibration_error_of_regions_is_that_of_the_predicted_ones(found):
    pairs = [([found(0)], [found(0 if number % 5 else 8, 0.5)]) for number in range(50)]
    judged = judge(type(found(0)), pairs)
    assert judged["calibration_error"] == pytest.approx(0.3)
    assert sum(group["count"] for group in judged["calibration"]) == 50
    assert judge(type(found(0)), [(truth, [found(0)]) for truth, _ in pairs])["calibration_error"] is None


def test_the_calibration_of_shapes_is_that_of_those_that_an_annotator_would_see():
    pairs = [([square(0.0)], [square(0.0, 0.9), square(0.5, 0.1)])] * 20
    assert judge(Box, pairs)["calibration_error"] == pytest.approx(0.1)


def test_an_interval_is_right_where_it_shares_half_of_the_time_with_one_of_its_label():
    def some(*ends):
        return [Interval(start, end, label) for start, end, label in ends]

    truth = some((0, 10, "A"), (10, 20, "B"), (30, 30, "A"))
    guess = some((1, 12, "A"), (2, 9, "A"), (10, 20, "A"), (30, 30, "A"))
    judged = judge(Interval, [(truth, guess)])
    assert judged["per_label"]["A"] == {"precision": 0.5, "recall": 1.0, "f1": 0.666667, "examples": 2}
    assert judged["per_label"]["B"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "examples": 1}
    assert (judged["metric"], judged["value"], judged["segments"]) == ("segment_f1", 0.571429, 3)
    assert judge(Interval, [(truth, truth), ([], [])])["value"] == 1
    assert judge(Interval, [([], [])])["value"] == 1
    assert judge(Interval, [(some((0, 10, "A")), some((5.1, 15, "A")))])["value"] == 0


def test_of_intervals_the_closest_pair_counts_and_each_once():
    truth = [Interval(0, 10, "A"), Interval(8, 18, "A")]
    judged = judge(Interval, [(truth, [Interval(0, 13, "A"), Interval(1, 10, "A")])])
    assert judged["per_label"]["A"]["precision"] == 0.5


def lines(*texts, item=0, label="Text", score=None):
    return tuple(
        Box(label, score=score, item=item, x=0.1, y=0.1 + 0.2 * place, width=0.5, height=0.1, text=text)
        for place, text in enumerate(texts)
    )


@pytest.mark.parametrize(
    ("truth", "guess", "rate"),
    [
        (lines("total 12", "paid"), lines("total 12", "paid"), 0.0),
        (lines("total 12", "paid"), lines("total  13", "paid", label="Other"), 1 / 12),  # white space and labels aside
        (lines("total 12", "paid"), lines("total 12"), 4 / 12),  # one that was not found was not read
        (lines("total 12"), lines(None), 1.0),
        (lines("total 12"), lines("total 12", item=1), 1.0),  # on another page
        (lines("total 12"), (), 1.0),
        (lines("a"), lines("abcd"), 3.0),  # much that is not there
        (lines(None), lines("much"), None),
        ((), lines("much"), None),
    ],
)
def test_what_is_written_in_shapes_is_judged_by_its_characters(truth, guess, rate):
    judged = judge(Box, [(truth, guess)])
    assert judged.get("character_error_rate") == (None if rate is None else pytest.approx(rate, abs=1e-6))


def test_rankings_are_judged_by_the_decisions_in_them():
    def agree(truth, guess):
        return judge(Ranking, [([truth], [guess] if guess else [])])["value"]

    abc = Ranking(("a", "b", "c"))
    assert agree(abc, abc) == 1 and agree(abc, Ranking(("c", "b", "a"))) == 0 and agree(abc, None) == 0
    assert agree(abc, Ranking(("a", "c", "b"))) == pytest.approx(2 / 3, abs=1e-6)
    picked = Ranking(("a", "b", "c"), ("_", "_", "best"))
    assert agree(picked, Ranking(("b", "a", "c"), ("_", "_", "best"))) == 1  # what is in no bucket has no order
    assert agree(picked, Ranking(("b", "a", "c"), ("_", "best", "best"))) == pytest.approx(2 / 3, abs=1e-6)
    assert judge(Ranking, [([abc], [abc])])["exact_match"] == 1


def test_a_date_is_right_in_all_its_parts_or_not():
    pairs = [([Moment("2026-03-04")], guess) for guess in ([Moment("2026-03-04", 0.4)], [Moment("2026-03-05")], [])]
    assert judge(Moment, pairs) == {"metric": "exact_match", "value": 0.333333, "examples": 3, "per_label": {}}
