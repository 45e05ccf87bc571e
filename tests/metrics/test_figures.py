"""Figures of weighted tasks against the judges: all weights 1 is the judge's word, a task that counts twice stands there twice."""

import random

import numpy as np
import pytest

from lsml.metrics import FIGURES, figures_of, judge
from lsml.values import Box, Choice, Interval, KeyPoint, Number, Span, Text

DRAW = random.Random(3)


def chosen(count):
    labels = [DRAW.choice("ABC") for _ in range(count)]
    return [
        [((Choice(label),), (Choice(label if DRAW.random() < 0.7 else DRAW.choice("ABCD")),))]
        for label in labels
    ]  # fmt: skip


def several(count):
    def some():
        return tuple(Choice(label) for label in "ABC" if DRAW.random() < 0.5)

    return [[(some(), some()) for _ in range(DRAW.randrange(3))] for _ in range(count)]


def spans(count):
    def some():
        return tuple(Span(start, start + 3, DRAW.choice("XY")) for start in range(0, 12, 4) if DRAW.random() < 0.6)

    return [[(some(), some())] for _ in range(count)]


def intervals(count):
    def some():
        return tuple(Interval(start, start + DRAW.choice([2, 3]), DRAW.choice("XY")) for start in range(0, 12, 4))

    return [[(some(), some())] for _ in range(count)]


def numbers(count):
    return [
        [((Number(truth := DRAW.uniform(0, 9)),), (Number(truth + DRAW.gauss(0, 2)),) if DRAW.random() < 0.8 else ())]
        for _ in range(count)
    ]


def texts(count):
    return [[((Text("red car"),), (Text(DRAW.choice(["red car", "red cat", "blue"])),))] for _ in range(count)]


def box(score=None):
    return Box(DRAW.choice("PQ"), x=DRAW.choice([0.1, 0.12, 0.5]), y=0.1, width=0.3, height=0.3, score=score)


def boxes(count):
    return [
        [(tuple(box() for _ in range(DRAW.randrange(3))), tuple(box(DRAW.random()) for _ in range(DRAW.randrange(4))))]
        for _ in range(count)
    ]


def point(group, score=None):
    return KeyPoint(
        DRAW.choice("PQ"), x=DRAW.choice([0.1, 0.11, 0.6]), y=DRAW.choice([0.1, 0.7]), group=group, score=score
    )


def points(count, grouped):
    return [
        [
            (
                tuple(point("a" if grouped else None) for _ in range(2)),
                tuple(point("b" if grouped else None, DRAW.random()) for _ in range(2)),
            )
        ]
        for _ in range(count)
    ]


WORLDS = [
    (Choice, chosen(40)), (Choice, several(40)), (Span, spans(40)), (Interval, intervals(40)), (Number, numbers(40)), (Text, texts(40)),
    (Box, boxes(40)), (KeyPoint, points(40, grouped=False)), (KeyPoint, points(40, grouped=True)),
]  # fmt: skip


def flat(tasks):
    return [pair for pairs in tasks for pair in pairs]


@pytest.mark.parametrize(("kind", "tasks"), WORLDS)
def test_with_every_task_once_the_figure_is_the_judges(kind, tasks):
    figures = figures_of(kind, tasks)
    judged = judge(kind, flat(tasks))
    once = np.ones((1, len(tasks)))
    assert judged["metric"] == FIGURES[kind][0]
    assert figures.figure(FIGURES[kind][0], once)[0] == pytest.approx(judged["value"], abs=1e-5)
    for name in FIGURES[kind][1:]:
        if name in judged:
            assert figures.figure(name, once)[0] == pytest.approx(judged[name], abs=1e-5)
    for label, values in figures.by_label(once).items():
        row = judged["per_label"][label]
        if not np.isnan(values[0]):
            assert values[0] == pytest.approx(row.get("ap", row["f1"]), abs=1e-5)


@pytest.mark.parametrize(("kind", "tasks"), WORLDS)
def test_a_task_counts_as_often_as_its_weight_says(kind, tasks):
    figures = figures_of(kind, tasks)
    weights = np.random.default_rng(1).integers(0, 3, (4, len(tasks))).astype(float)
    found = figures.figure(FIGURES[kind][0], weights)
    for row, value in zip(weights, found, strict=True):
        repeated = flat([pairs * int(times) for pairs, times in zip(tasks, row, strict=True)])
        assert value == pytest.approx(judge(kind, repeated)["value"], abs=1e-5)


def test_what_no_task_says_anything_of_is_nan():
    for kind, tasks in WORLDS:
        assert np.isnan(figures_of(kind, tasks).figure(FIGURES[kind][0], np.zeros((1, len(tasks)))))[0], kind
        assert np.isnan(figures_of(kind, []).figure(FIGURES[kind][0], np.zeros((1, 0))))[0], kind


def test_it_tells_how_many_tasks_hold_a_label():
    tasks = [[((Choice("A"),), ())], [((Choice("A"), Choice("B")), ())], [((), (Choice("C"),))]]
    figures = figures_of(Choice, tasks)
    assert [figures.holding(label) for label in "ABCD"] == [2, 1, 0, 0]
