"""Judges against scikit-learn's own."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, r2_score

from lsml.metrics import judge
from lsml.metrics.texts import edits
from lsml.values import Box, Choice, KeyPoint, Number, Span, Text


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
