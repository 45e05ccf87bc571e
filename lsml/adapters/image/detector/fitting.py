"""Training a detector on annotated boxes or outlines, by the loss of its library, and judging its epochs."""

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
from lsml.adapters.parts.training_objects import Line, TrainingGoal, check_objects, held_out_of, hull_of, lines_of
from lsml.values import Box, Value

if TYPE_CHECKING:
    from torch import Tensor

_RATE: Final = 1e-4
_DECAY: Final = 1e-4
_WARMUP: Final = 0.05


class AnnotatedImage(NamedTuple):
    """An image, and a line for each of its objects: (class, centre x, centre y, width, height) for a model of boxes; (class,
    x, y, x, y, ...), an outline, for one of masks. Places are fractions of the image.
    """

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
    """Return images as the model takes them, (images, 3, rows, columns), and the classes, boxes and masks of their objects, as
    its loss takes them. A share `flip` of them is mirrored.
    """
    import torch

    device = model.module.device
    pixels, labels = [], []
    for one in some:
        image = model.scaling.input_of(read_image(one.path))
        lines = [(line[0], *hull_of(line[1:])) for line in one.lines] if model.cuts_out else one.lines
        rows = torch.tensor(lines, dtype=torch.float32).reshape(-1, 5)  # (objects, class and place)
        masks = _masks(one.lines, image.shape[1:]) if model.cuts_out else None
        if torch.rand(()) < flip:
            image = image.flip(2)
            rows[:, 1] = 1 - rows[:, 1]
            masks = None if masks is None else masks.flip(2)
        pixels.append(image)
        told = {"class_labels": rows[:, 0].long(), "boxes": rows[:, 1:]} | ({} if masks is None else {"masks": masks})
        labels.append({name: numbers.to(device) for name, numbers in told.items()})
    return model.scaling.normalised(torch.stack(pixels).to(device)), labels


def _loss(model: DetectionModel, some: Sequence[AnnotatedImage], flip: float) -> Tensor:
    import torch

    pixels, labels = detection_inputs(model, some, flip)
    said = model.module(pixel_values=pixels, labels=labels)
    loss: Tensor = said.loss
    if loss.dim():
        # Without an object in the whole batch, transformers' loss of masks is empty, and so is the sum with it.
        loss = torch.stack([part for name, part in said.loss_dict.items() if name.startswith("loss_ce")]).sum()
    return loss


def _masks(lines: Sequence[Line], size: Sequence[int]) -> Tensor:
    """Return the pixels of outlines in an input of (rows, columns) pixels, 1 in an object: (objects, rows, columns)."""
    import numpy as np
    import torch

    from lsml.values.geometry import fill_outline

    rows, columns = size
    filled = np.zeros((len(lines), rows, columns), np.float32)
    for number, line in enumerate(lines):
        filled[number] = fill_outline(list(zip(line[1::2], line[2::2], strict=True)), columns, rows)
    return torch.from_numpy(filled)


def _pairs(model: DetectionModel, examples: Sequence[Example], goal: TrainingGoal, options: DetectorOptions) -> Pairs:
    """Return (annotated, predicted) boxes of examples; of outlines and masks, the boxes around them."""
    model.module.eval()
    pairs = []
    for begin in range(0, len(examples), options.batch):
        some = examples[begin : begin + options.batch]
        found = model.objects([read_image(example.data) for example in some], LEAST_SCORE, options.max_det)
        pairs += [(_boxes(example.values, goal), boxes) for example, boxes in zip(some, found, strict=True)]
    return pairs


def _boxes(values: Sequence[Value], goal: TrainingGoal) -> list[Box]:
    if goal.task == "detect":
        return [one for one in values if isinstance(one, Box) and one.label in goal.labels]
    boxes = []
    for number, *points in lines_of(values, goal) or []:
        x, y, wide, high = hull_of(points)
        boxes.append(Box(goal.labels[int(number)], x=x - wide / 2, y=y - high / 2, width=wide, height=high))
    return boxes
