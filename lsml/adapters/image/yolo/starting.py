"""The starting point of a YOLO model: its weights, its task and labels, and the size of images."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from lsml.adapters.base import Target
from lsml.adapters.image.yolo.library import download, ultralytics
from lsml.adapters.image.yolo.options import YoloOptions
from lsml.adapters.image.yolo.weights import (
    architecture_for,
    info_of,
    is_architecture,
    is_exported,
    missing,
)
from lsml.adapters.parts.weight_files import find_weights
from lsml.errors import AdapterError
from lsml.files.digests import content_digest

if TYPE_CHECKING:
    from torch.nn import Module

_log = logging.getLogger(__name__)


def path_of(weights: str, options: YoloOptions) -> Path:
    """Return the file of the weights, downloaded if the recipe allows it. Raises AdapterError."""
    absent = missing(weights, download=options.download)
    if absent is not None:
        raise AdapterError(absent)
    path = find_weights(weights) or download(weights)
    expected = options.sha256
    if expected is not None and content_digest(path) != expected.lower():
        raise AdapterError(
            f"{path}: has SHA-256 {content_digest(path)}, and options.sha256 expects {expected.lower()}; it is not loaded"
        )
    return path


def module_of(path: Path) -> Module:
    """Return the module of a file of weights."""
    return ultralytics().YOLO(str(path)).model


def task_of(weights: str, options: YoloOptions, target: Target) -> str:
    """Return the task that is learnt: boxes in frames for tracks, else the one that the recipe chooses, or that of the
    weights.
    """
    if "track" in target.kinds:
        return "detect"
    if options.task != "auto":
        return cast(str, options.task)
    return info_of(weights).task


class StartingPoint(NamedTuple):
    """The start of a training: the module whose tensors are used as far as they fit, or None for random ones; the
    architecture; and the side of images in pixels.
    """

    module: Module | None
    architecture: str | dict[str, object]
    imgsz: int


def start_of(weights: str, options: YoloOptions, task: str) -> StartingPoint:
    """Return the start of a training from weights.

    Raises AdapterError if the weights are missing, or cannot learn.
    """
    info = info_of(weights)
    usual = 224 if task == "classify" else 640
    imgsz = options.imgsz or (info.imgsz if info.task == task else None) or usual
    if is_architecture(weights):
        _log.warning(
            "yolo starts from random weights (%s); pretrained weights need far fewer examples and epochs",
            weights,
        )
        path = find_weights(weights)
        same = info.task == task
        return StartingPoint(None, str(path or weights) if same else architecture_for(task, info), imgsz)
    path = path_of(weights, options)
    if is_exported(str(path)):
        raise AdapterError(
            f"{path}: was exported for serving and cannot be trained; give the .pt file that it was made from"
        )
    module = module_of(path)
    return StartingPoint(module, module.yaml if info.task == task else architecture_for(task, info), imgsz)
