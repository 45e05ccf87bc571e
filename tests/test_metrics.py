"""Judges against scikit-learn's own."""

import random

import pytest
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, r2_score

from lsml.metrics import judge
from lsml.values import Choice, Number


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


@pytest.mark.parametrize("value_type", [Choice, Number])
def test_without_examples_nothing_is_judged(value_type):
    judged = judge(value_type, [])
    assert (judged["value"], judged["examples"], judged["per_label"]) == (None, 0, {})
