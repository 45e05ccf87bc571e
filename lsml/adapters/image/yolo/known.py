"""A YOLO model's answers to the recipe from its weights and options alone: quickly, and without the library."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lsml.adapters.base import Target
from lsml.adapters.image.yolo.options import YoloOptions
from lsml.adapters.image.yolo.weights import HEADS, info_of, is_architecture, missing
from lsml.errors import AdapterError
from lsml.labeling import ControlTag, ObjectTag

# The kinds of value that the results of each task can become.
GIVES: Final = {
    "detect": ("box", "track"),
    "obb": ("box",),
    "segment": ("polygon", "mask", "box", "track"),
    "pose": ("keypoint", "box", "track"),
    "classify": ("choice",),
}
# The task for each kind, the most specific kind first, as a pose has a box, too.
_NATURAL: Final = {
    "choice": "classify",
    "keypoint": "pose",
    "mask": "segment",
    "polygon": "segment",
    "track": "detect",
    "box": "detect",
}
_KINDS: Final = {
    "Choices": "choice", "Taxonomy": "choice", "RectangleLabels": "box", "Rectangle": "box", "PolygonLabels": "polygon",
    "Polygon": "polygon", "BrushLabels": "mask", "Brush": "mask", "BitmaskLabels": "mask", "Bitmask": "mask",
    "KeyPointLabels": "keypoint", "KeyPoint": "keypoint", "VideoRectangle": "track",
}  # fmt: skip
_TITLES: Final = {"box": "boxes", "polygon": "polygons", "mask": "masks", "keypoint": "points", "choice": "labels",
                  "track": "tracks of boxes"}  # fmt: skip


def refusal(options: YoloOptions, control_tag: ControlTag, object_tag: ObjectTag) -> str | None:
    """Return which weights would fit, if the task of these does not fit the tag; or what is wrong with them."""
    kind = _KINDS.get(control_tag.tag)
    if kind is None:
        return None
    if (kind == "track") != (object_tag.tag == "Video"):
        reads = "videos" if kind == "track" else "images"
        return f"{control_tag.selector}: yolo finds {_TITLES[kind]} in {reads}, but this tag is for {object_tag.tag}"
    weights = options.weights or _default_weights(kind)
    try:
        info = info_of(weights)
    except AdapterError as error:
        return f"{control_tag.selector}: {error}"
    task = info.task if options.task == "auto" else options.task
    if kind not in GIVES[task]:
        source = (
            f"weights {Path(weights).name} are for {task}" if options.task == "auto" else f"`task: {task}` is chosen"
        )
        fitting = " or ".join(f"yolo11n{HEADS[task]}.pt" for task, kinds in GIVES.items() if kind in kinds)
        return (
            f"{control_tag.selector} takes {_TITLES[kind]}, and {source}, which gives {_listed(GIVES[task])}; use weights "
            f"such as {fitting}"
        )
    if options.tile is not None and (task != "detect" or kind != "box"):
        return f"{control_tag.selector}: options.tile is for boxes that are not rotated; remove it for {_TITLES[kind]}"
    for name in options.classes or ():
        if info.names and name not in info.names:
            close = difflib.get_close_matches(name, info.names, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"they have {_listed(info.names, 8)}"
            return f"{control_tag.selector}: options.classes has `{name}`, which is not a class of {weights}; {hint}"
    return None


def lacks(options: YoloOptions, target: Target) -> str | None:
    """Return what to do if the weights are missing on this machine, or cannot predict before training."""
    weights = weights_of(options, target)
    try:
        absent = missing(weights, download=options.download)
        task = info_of(weights).task
    except AdapterError as error:
        return str(error)
    if absent is not None:
        return absent
    if is_architecture(weights):
        return f"weights {weights} are an architecture with random weights; it predicts once it is trained"
    if options.task not in ("auto", task):
        named = Path(weights).name
        return (
            f"weights {named} are for {task}, and {options.task} is trained from them; it predicts once it is trained"
        )
    return None


def class_names(options: YoloOptions, target: Target) -> dict[str, tuple[str, ...]]:
    """Return the names of the weights' classes, if they can be read; for points `person::0` and so on."""
    if lacks(options, target) is not None:
        return {}
    info = info_of(weights_of(options, target))
    names = tuple(name for name in info.names if options.classes is None or name in options.classes)
    points = tuple(f"{name}::{index}" for name in names for index in range(info.keypoints))
    found = {kind: points if kind == "keypoint" else names for kind in target.kinds}
    return {kind: known for kind, known in found.items() if known}


def limits(target: Target, label_tags: Sequence[ControlTag]) -> str | None:
    """Return a sentence: its classes exclude each other, and several may hold."""
    if "choice" in target.kinds:
        answers = "predicts one label of an image, because its classes are mutually exclusive"
        return f"{answers}; images with several labels are not used for training" if target.multiple else None
    if not any(tag.attributes.get("choice", "").lower() == "multiple" for tag in label_tags):
        return None
    return "is trained on every label of a region, but usually predicts only the likeliest"


def weights_of(options: YoloOptions, target: Target) -> str:
    """Return the weights that the recipe names, else the smallest published ones for the wanted kinds."""
    if options.weights is not None:
        return options.weights
    return _default_weights(next((kind for kind in _NATURAL if kind in target.kinds), "box"))


def _default_weights(kind: str) -> str:
    return f"yolo11n{HEADS[_NATURAL[kind]]}.pt"


def _listed(names: Sequence[str], most: int = 10) -> str:
    shown = [_TITLES.get(name, name) for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")
