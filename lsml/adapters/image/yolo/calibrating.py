"""Calibrated scores of a trained model, by the images that judged its epochs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lsml.adapters.base import Example
from lsml.adapters.image.yolo.fitting import Learnt
from lsml.adapters.image.yolo.results import values_of
from lsml.adapters.parts.found_objects import calibration_of
from lsml.adapters.parts.regressions import HeldOut, temperature
from lsml.adapters.parts.training_objects import boxes_of_poses
from lsml.values import Box, Choice, Mask, Polygon, Shape, Value

if TYPE_CHECKING:
    from ultralytics.engine.results import Results

_SHAPES: Final[dict[str, tuple[type[Shape], ...]]] = {
    "detect": (Box,), "obb": (Box,), "pose": (Box,), "segment": (Polygon, Mask),
}  # fmt: skip
_RULED_OUT: Final = 1e-9  # the least probability that has a logarithm


def with_calibration(learnt: Learnt, results: Iterable[Results], examples: Sequence[Example]) -> Learnt:
    """Return the model with what its results for held-out examples tell of its scores.

    Of objects it is the share that is right at an overlap of 0.5, by score; of poses that of their boxes; of labels a
    temperature.
    """
    kinds = frozenset({"choice", "box", "polygon", "mask"})
    answers = [values_of(one, kinds, learnt.goal.labels.__getitem__, lambda *_: None) for one in results]
    if learnt.goal.task == "classify":
        return replace(learnt, temperature=temperature(_held_out(learnt.goal.labels, answers, examples)))
    annotated = [
        boxes_of_poses(example.values, learnt.goal) if learnt.goal.task == "pose" else example.values
        for example in examples
    ]
    for shape in _SHAPES.get(learnt.goal.task, ()):
        pairs = [
            ([one for one in known if isinstance(one, shape)], [one for one in values if isinstance(one, shape)])
            for values, known in zip(answers, annotated, strict=True)
        ]
        if any(true for true, _ in pairs) and any(said for _, said in pairs):
            return replace(learnt, calibration=calibration_of(pairs))
    return learnt


def calibrated(learnt: Learnt, values: Sequence[Value]) -> list[Value]:
    """Return the values of one image with calibrated scores."""
    if learnt.goal.task != "classify":
        return learnt.calibration.calibrated(values)
    shares = [_score(value) ** (1.0 / learnt.temperature) for value in values]
    whole = sum(shares)
    if learnt.temperature == 1.0 or not whole:
        return list(values)
    return [Choice(value.label, min(1.0, share / whole)) for value, share in zip(_choices(values), shares, strict=True)]


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
