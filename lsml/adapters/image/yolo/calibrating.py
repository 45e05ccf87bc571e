"""Calibrated scores of a trained model, by the images that judged its epochs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lsml.adapters.base import Example
from lsml.adapters.image.yolo.fitting import Learnt
from lsml.adapters.image.yolo.results import values_of
from lsml.adapters.parts.calibration import PlattScaling
from lsml.adapters.parts.regressions import HeldOut, temperature
from lsml.values import Box, Choice, Mask, Polygon, Shape, Value
from lsml.values.coverage import overlaps

if TYPE_CHECKING:
    from ultralytics.engine.results import Results

LEAST: Final = 0.05  # the score from which objects of held-out images count
_FOUND: Final = 0.5  # the least overlap of an object that was found
_SHAPES: Final[dict[str, tuple[type[Shape], ...]]] = {"detect": (Box,), "obb": (Box,), "segment": (Polygon, Mask)}
_RULED_OUT: Final = 1e-9  # the least probability that has a logarithm


def with_calibration(learnt: Learnt, results: Iterable[Results], examples: Sequence[Example]) -> Learnt:
    """Return the model with what its results for held-out examples tell of its scores.

    Of objects it is the share that is right at an overlap of 0.5, by score; of labels a temperature. Poses stay as they are.
    """
    kinds = frozenset({"choice", "box", "polygon", "mask"})
    answers = [values_of(one, kinds, learnt.goal.labels.__getitem__, lambda *_: None) for one in results]
    if learnt.goal.task == "classify":
        return replace(learnt, temperature=temperature(_held_out(learnt.goal.labels, answers, examples)))
    scores: list[float] = []
    right: list[bool] = []
    for shape in _SHAPES.get(learnt.goal.task, ()):
        pairs = [
            (
                [one for one in values if isinstance(one, shape)],
                [one for one in example.values if isinstance(one, shape)],
            )
            for values, example in zip(answers, examples, strict=True)
        ]
        if not any(said for said, _ in pairs) or not any(true for _, true in pairs):
            continue
        for said, true in pairs:
            for label in {one.label for one in said}:
                own = sorted((one for one in said if one.label == label), key=_score, reverse=True)
                scores += map(_score, own)
                right += _found(own, [one for one in true if one.label == label])
        break
    return replace(learnt, calibration=PlattScaling.fit(scores, right))


def calibrated(learnt: Learnt, values: Sequence[Value]) -> list[Value]:
    """Return the values of one image with calibrated scores."""
    if learnt.goal.task != "classify":
        return learnt.calibration.calibrated(values)
    shares = [_score(value) ** (1.0 / learnt.temperature) for value in values]
    whole = sum(shares)
    if learnt.temperature == 1.0 or not whole:
        return list(values)
    return [Choice(value.label, min(1.0, share / whole)) for value, share in zip(_choices(values), shares, strict=True)]


def _found(said: Sequence[Shape], true: Sequence[Shape]) -> Iterator[bool]:
    """Yield for each shape, surest first, whether it is one that was annotated and that none before it has found."""
    left = overlaps(said, true)
    for row in range(len(said)):
        best = int(left[row].argmax()) if len(true) else -1
        hit = best >= 0 and bool(left[row, best] >= _FOUND)
        if hit:
            left[:, best] = -1.0
        yield hit


def _held_out(labels: Sequence[str], answers: Sequence[Sequence[Value]], examples: Sequence[Example]) -> list[HeldOut]:
    import numpy as np

    pairs = [
        (said, true[0].label)
        for values, example in zip(answers, examples, strict=True)
        if (said := _choices(values)) and len(true := _choices(example.values)) == 1
    ]
    if not pairs:
        return []
    shares = np.array([[_score(choice) for choice in said] for said, _ in pairs])  # (images, labels)
    return [HeldOut(np.log(np.maximum(shares, _RULED_OUT)), np.array([labels.index(label) for _, label in pairs]))]


def _choices(values: Sequence[Value]) -> list[Choice]:
    return [value for value in values if isinstance(value, Choice)]


def _score(value: Value) -> float:
    return value.score or 0.0
