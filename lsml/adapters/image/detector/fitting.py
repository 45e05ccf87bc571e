"""Training a detector on annotated boxes, by the loss of its library, and judging its epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from lsml.adapters.base import Example, Progress
from lsml.adapters.image.detector.model import DetectionModel
from lsml.adapters.image.detector.options import DetectorOptions
from lsml.adapters.parts.fine_tuning import Descent, descend
from lsml.adapters.parts.found_objects import LEAST_SCORE, Pairs, calibration_of, mean_average_precision
from lsml.adapters.parts.pictures import read_image
from lsml.adapters.parts.training_objects import Line, TrainingGoal, check_objects, held_out_of, lines_of
from lsml.values import Box

if TYPE_CHECKING:
    from torch import Tensor

_RATE: Final = 1e-4
_DECAY: Final = 1e-4
_WARMUP: Final = 0.05


class AnnotatedImage(NamedTuple):
    """An image, and a line (class, centre x, centre y, width, height) for each of its boxes."""

    path: Path
    lines: Sequence[Line]


def fit_detector(
    make: Callable[[], DetectionModel],
    examples: Sequence[Example],
    goal: TrainingGoal,
    options: DetectorOptions,
    seed: int,
    progress: Progress,
) -> DetectionModel:
    """Return a model that was trained on examples, and calibrated where some are kept to judge its epochs.

    `make`: returns the starting point. Raises NotEnoughData, AdapterError, and what `progress` raises.
    """
    import torch

    lines = [lines_of(example.values, goal) or [] for example in examples]
    check_objects(goal, lines)
    held_out = held_out_of(range(len(examples)), judge=options.patience > 0)
    learnt = [
        AnnotatedImage(one.data, rows)
        for at, (one, rows) in enumerate(zip(examples, lines, strict=True))
        if at not in held_out
    ]
    judged = [examples[index] for index in held_out]
    model = make()
    if options.freeze:
        for name, weights in model.module.named_parameters():
            weights.requires_grad_(".backbone." not in f".{name}")
    rate = _RATE if options.learning_rate == "auto" else options.learning_rate
    settings = Descent(options.epochs, rate, _DECAY, _WARMUP, options.train_batch, options.patience)
    wrong = (lambda: 1.0 - mean_average_precision(_pairs(model, judged, goal, options))) if judged else None
    draw = torch.Generator().manual_seed(seed)
    descend(model.module, learnt, lambda some: _loss(model, some, options.flip), settings, draw, progress, wrong)
    if judged:
        model.calibration = calibration_of(_pairs(model, judged, goal, options))
    return model


def detection_inputs(
    model: DetectionModel, some: Sequence[AnnotatedImage], flip: float
) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Return images as the model takes them, (images, 3, rows, columns), and the classes and places of their boxes, as its
    loss takes them. A share `flip` of them is mirrored.
    """
    import torch

    device = model.module.device
    pixels, labels = [], []
    for one in some:
        image = model.scaling.input_of(read_image(one.path))
        rows = torch.tensor(one.lines, dtype=torch.float32).reshape(-1, 5)  # (boxes, class and place)
        if torch.rand(()) < flip:
            image = image.flip(2)
            rows[:, 1] = 1 - rows[:, 1]
        pixels.append(image)
        labels.append({"class_labels": rows[:, 0].long().to(device), "boxes": rows[:, 1:].to(device)})
    return model.scaling.normalised(torch.stack(pixels).to(device)), labels


def _loss(model: DetectionModel, some: Sequence[AnnotatedImage], flip: float) -> Tensor:
    pixels, labels = detection_inputs(model, some, flip)
    loss: Tensor = model.module(pixel_values=pixels, labels=labels).loss
    return loss


def _pairs(model: DetectionModel, examples: Sequence[Example], goal: TrainingGoal, options: DetectorOptions) -> Pairs:
    """Return (annotated, predicted) boxes of examples."""
    model.module.eval()
    pairs = []
    for begin in range(0, len(examples), options.batch):
        some = examples[begin : begin + options.batch]
        found = model.boxes([read_image(example.data) for example in some], LEAST_SCORE, options.max_det)
        pairs += [
            ([one for one in example.values if isinstance(one, Box) and one.label in goal.labels], boxes)
            for example, boxes in zip(some, found, strict=True)
        ]
    return pairs
