"""Probabilities that are as often right as they say."""

import numpy as np
import pytest

from lsml.adapters.base import Target, silent
from lsml.adapters.parts import regressions
from lsml.adapters.parts.linear_head import LinearHead, labelled
from lsml.adapters.parts.regressions import HeldOut, temperature
from lsml.adapters.text.classifier import TextClassifier
from lsml.metrics.calibration import calibration
from lsml.values import Choice


class Example:
    def __init__(self, data, *labels):
        self.data, self.values = data, tuple(map(Choice, labels))


def world(count, multiple, seed=0):
    """Examples of three labels whose places in space overlap, so that nobody can be sure of all."""
    draw = np.random.default_rng(seed)
    centres = np.array([[2.0, 0, 0], [0, 2, 0], [0, 0, 2]])
    places = draw.integers(0, 3, count)
    rows = centres[places] + draw.normal(0, 1.5, (count, 3))
    rows = np.hstack([rows, draw.normal(0, 1, (count, 60))])  # noise, to be sure of without reason
    others = draw.random(count) < 0.4
    labels = [["ABC"[place], *(["C"] if multiple and other and place != 2 else [])]
              for place, other in zip(places, others, strict=True)]  # fmt: skip
    return rows, [Example(row, *of_row) for row, of_row in zip(rows, labels, strict=True)]


def fit(count, multiple, **options):
    rows, examples = world(count, multiple)
    learnt = labelled(examples, Target(("A", "B", "C"), multiple=multiple), "points")
    chosen = TextClassifier.Options(**options)
    return LinearHead.fit(rows, learnt, multiple=multiple, options=chosen, seed=0, progress=silent)


def errors(head, multiple):
    """The calibration error as it is, and as it was before."""
    rows, examples = world(3000, multiple, seed=9)
    bare = LinearHead.restore({**head.state(), "temperature": 1.0}, rows.shape[1])
    found = []
    for one in (head, bare):
        said = one.values(rows)
        shown = [
            (value.score, value.label in {choice.label for choice in example.values})
            for values, example in zip(said, examples, strict=True)
            for value in (values if multiple else [max(values, key=lambda value: value.score)])
        ]
        found.append(calibration(shown)["calibration_error"])
    return found


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("multiple", [True, False])
def test_probabilities_are_nearer_to_how_often_they_are_right(multiple, small, monkeypatch):
    if not small:
        monkeypatch.setattr(regressions, "_MOST_WORK", 0)
    head = fit(200 if small else 1000, multiple, C=30.0, class_weight="none")
    now, before = errors(head, multiple)
    assert now < 0.6 * before, (now, before, head.state()["temperature"])


def test_the_order_of_the_labels_stays(multiple=False):
    head = fit(200, multiple)
    rows, _ = world(100, multiple, seed=4)
    bare = LinearHead.restore({**head.state(), "temperature": 1.0}, rows.shape[1])
    orders = [[sorted(values, key=lambda value: value.score) for values in one.values(rows)] for one in (head, bare)]
    assert [[v.label for v in values] for values in orders[0]] == [[v.label for v in values] for values in orders[1]]


def test_a_head_that_was_saved_without_a_temperature_answers_as_it_did():
    head = fit(60, multiple=False)
    rows, _ = world(5, multiple=False)
    state = head.state()
    del state["temperature"]
    old = LinearHead.restore(state, rows.shape[1])
    assert old.state()["temperature"] == 1.0
    assert [list(values) for values in old.values(rows)] != [list(values) for values in head.values(rows)]


@pytest.mark.parametrize("wrong", [0, -1.0, float("nan")])
def test_a_temperature_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="temperature"):
        LinearHead.restore({**fit(60, multiple=False).state(), "temperature": wrong}, 63)


def test_with_too_few_examples_nothing_is_known():
    assert fit(8, multiple=False).state()["temperature"] == 1.0
    assert temperature([]) == temperature([HeldOut(np.full((3, 2), -np.inf), np.zeros(3, dtype=int))]) == 1.0


def test_where_all_were_right_it_is_not_certain():
    logits = np.tile([0.0, 1.0], (50, 1))
    found = temperature([HeldOut(logits, np.ones(50, dtype=int))])
    assert 0.05 < found < 0.5
