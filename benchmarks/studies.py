"""Studies of learning.py: each is some data, and curves of how models learn from more and more of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from lsml.adapters.base import Example
from lsml.metrics import judge
from lsml.values import Box, Choice, Span, Value

METRICS = {Choice: "macro_f1", Span: "span_f1", Box: "map50"}

Learner = Callable[[Sequence[Example], Sequence[Example], int], list[Sequence[Value]]]


class Asked(NamedTuple):
    """One point: how good a learner, or an order, is after `size` annotations that `seed` draws."""

    learner: str
    size: int
    seed: int


class Study(NamedTuple):
    """Curves of one kind of data. `tasks`: those to annotate, `judged`: the others.

    `learners`: the rows of the table; `compared`: those of them that should win, each with the ones that it is compared to.
    `measured`: yields the values of points. `split`: True if each seed also draws the tasks to judge by.
    """

    metric: str
    tasks: int
    judged: int
    learners: tuple[str, ...]
    compared: dict[str, tuple[str, ...]]
    measured: Callable[[Collection[Asked]], Iterator[tuple[Asked, float]]]
    split: bool = False


def study_of(
    train: Sequence[Example],
    test: Sequence[Example],
    kind: type,
    learners: dict[str, Learner],
    compared: dict[str, tuple[str, ...]],
) -> Study:
    """Return the study of learners that all learn the same examples."""

    def measured(asked: Collection[Asked]) -> Iterator[tuple[Asked, float]]:
        for one in sorted(asked, key=lambda one: (one.size, one.seed)):
            drawn = random.Random(one.seed).sample(list(train), one.size)
            guesses = learners[one.learner](drawn, test, one.seed)
            pairs = [(example.values, guess) for example, guess in zip(test, guesses, strict=True)]
            yield one, float(judge(kind, pairs)["value"] or 0.0)

    return Study(METRICS[kind], len(train), len(test), tuple(learners), compared, measured)
