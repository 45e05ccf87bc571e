"""The weights that a recipe means, their path and their metadata, read without importing torch or running any code.

A `.pt` file is a zip with a pickle in it. The pickle is read with stand-ins for every class that it names, so that none of
its code runs. `.onnx` files have theirs in the protobuf, OpenVINO folders in `metadata.yaml`.
"""

from __future__ import annotations

import ast
import io
import os
import pickle  # an Unpickler that finds no class but its own stand-in
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

import yaml

from lsml.adapters.parts.weight_files import find_weights, is_published, is_url, shown_weights
from lsml.errors import AdapterError
from lsml.files.digests import content_digest

_MOST_PICKLE: Final = 64 << 20  # bytes; the description of a model takes some hundred kilobytes
_SUFFIXES: Final = {"-cls": "classify", "-seg": "segment", "-pose": "pose", "-obb": "obb"}
HEADS: Final = {"classify": "-cls", "segment": "-seg", "pose": "-pose", "obb": "-obb", "detect": ""}
_ARCHITECTURE: Final = re.compile(r"(.*?)(-cls|-seg|-pose|-obb)?\.ya?ml\Z")


@dataclass(frozen=True)
class WeightsInfo:
    """The metadata of weights: task (detect, obb, segment, pose, classify), class names in order, number of a pose's points,
    side of the training images in pixels, and file of the architecture (yolov8n-obb.yaml).
    """

    task: str
    names: tuple[str, ...] = ()
    keypoints: int = 0
    imgsz: int | None = None
    architecture: str = ""


def is_architecture(weights: str) -> bool:
    """Return True if the name is that of an architecture, from which a model with random weights is made."""
    return weights.endswith((".yaml", ".yml"))


def is_exported(weights: str) -> bool:
    """Return True if the weights are only for serving: ONNX or OpenVINO."""
    return weights.endswith(".onnx") or Path(weights).is_dir()


def missing(weights: str, *, download: bool) -> str | None:
    """Return what to do, in a sentence, if weights are missing on this machine; None if they are there or downloadable."""
    if is_architecture(weights) or find_weights(weights) is not None or (download and is_published(weights)):
        return None
    if is_url(weights):
        return f"{shown_weights(weights)} is not on this machine; download it once: lsml fetch RECIPE"
    if not is_published(weights):
        return (
            f"weights {weights} do not exist; expected a .pt or .onnx file or an OpenVINO folder, relative to the "
            "recipe"
        )
    return f"weights {weights} are not on this machine; download them once: lsml fetch RECIPE"


def info_of(weights: str) -> WeightsInfo:
    """Return the metadata of weights; where they are missing, those that follow from their name. Raises AdapterError."""
    path = find_weights(weights)
    if path is None or (is_architecture(weights) and path.is_file()):
        return WeightsInfo(_task_of_name(weights), architecture=Path(weights).name if is_architecture(weights) else "")
    try:
        return _read(str(path), content_digest(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, yaml.YAMLError, pickle.PickleError,
            zipfile.BadZipFile, EOFError) as error:  # fmt: skip
        raise AdapterError(
            f"{path}: cannot be read as YOLO weights: {type(error).__name__}; expected a .pt or .onnx file, or an OpenVINO "
            "folder, that ultralytics made"
        ) from error


def architecture_for(task: str, info: WeightsInfo) -> str:
    """Return the architecture's file with the head for `task`: yolov8n-obb.yaml -> yolov8n.yaml.

    Raises AdapterError if the weights do not name their architecture.
    """
    match = _ARCHITECTURE.match(info.architecture)
    if match is None:
        raise AdapterError(f"the weights do not name their architecture, so {task} cannot be trained from them")
    return f"{match[1]}{HEADS[task]}.yaml"


def _task_of_name(weights: str) -> str:
    stem = Path(weights).stem
    return next((task for suffix, task in _SUFFIXES.items() if stem.endswith(suffix)), "detect")


@lru_cache(maxsize=64)
def _read(path: str, _content: str) -> WeightsInfo:
    file = Path(path)
    if file.is_dir():
        return _of_metadata(yaml.safe_load((file / "metadata.yaml").read_text(encoding="utf-8")))
    if file.suffix == ".onnx":
        with file.open("rb") as content:
            metadata = dict(_onnx_metadata(content))
        return _of_metadata({key: _literal(value) for key, value in metadata.items()})
    return _of_checkpoint(file)


def _of_metadata(metadata: dict[str, Any]) -> WeightsInfo:
    names = metadata["names"]
    shape = metadata.get("kpt_shape")
    size = metadata.get("imgsz")
    return WeightsInfo(
        task=str(metadata["task"]),
        names=_in_order(names),
        keypoints=int(shape[0]) if shape else 0,
        imgsz=int(max(size)) if isinstance(size, list) else None,
    )


def _in_order(names: dict[int, str] | Iterable[str]) -> tuple[str, ...]:
    return tuple(str(names[index]) for index in sorted(names)) if isinstance(names, dict) else tuple(map(str, names))


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


class _StandIn(dict[object, object]):
    """A stand-in for any class, function or object of a pickle. It accepts everything and does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.update(state)

    def __call__(self, *_: object, **__: object) -> _StandIn:
        return _StandIn()

    def append(self, _: object) -> None:
        """Ignore an item, as a list's stand-in."""

    def extend(self, _: object) -> None:
        """Ignore items, as a list's stand-in."""

    def add(self, _: object) -> None:
        """Ignore an item, as a set's stand-in."""

    def __hash__(self) -> int:  # type: ignore[override]  # a dict has none
        return id(self)


class _PickleReader(pickle.Unpickler):
    """A reader of a pickle's data that runs none of its code: every name that it looks up is a stand-in."""

    def find_class(self, module: str, name: str) -> Any:
        return type(name, (_StandIn,), {"of": f"{module}.{name}"})

    def persistent_load(self, _: object) -> Any:
        return _StandIn()

    def get_extension(self, code: int) -> NoReturn:
        raise pickle.UnpicklingError(f"extension {code}")


def _of_checkpoint(path: Path) -> WeightsInfo:
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        if archive.getinfo(name).file_size > _MOST_PICKLE:
            raise ValueError("its pickle is too large")
        checkpoint = _PickleReader(io.BytesIO(archive.read(name))).load()
    model = checkpoint.get("ema") or checkpoint.get("model")
    plan = model.get("yaml") or {}
    given = checkpoint.get("train_args") or {}
    head = type(model).of.rpartition(".")[2]
    tasks = {"DetectionModel": "detect", "OBBModel": "obb", "SegmentationModel": "segment", "PoseModel": "pose",
             "ClassificationModel": "classify"}  # fmt: skip
    shape = model.get("kpt_shape") or plan.get("kpt_shape")
    size = given.get("imgsz")
    return WeightsInfo(
        task=tasks[head],
        names=_in_order(model["names"]),
        keypoints=int(shape[0]) if isinstance(shape, list | tuple) else 0,
        imgsz=size if isinstance(size, int) else None,
        architecture=Path(str(plan.get("yaml_file") or "")).name,
    )


def _onnx_metadata(file: BinaryIO) -> Iterator[tuple[str, str]]:
    """Yield the metadata of an ONNX file: field 14 of its ModelProto, each with a key (1) and a value (2). The rest is
    skipped.

    Source: https://protobuf.dev/programming-guides/encoding and onnx.proto.
    """
    while (tag := _varint(file)) is not None:
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            _varint(file)
        elif wire == 2:
            length = _varint(file) or 0
            if field == 14:
                entry = io.BytesIO(file.read(length))
                texts: dict[int, str] = {}
                while (inner := _varint(entry)) is not None:
                    texts[inner >> 3] = entry.read(_varint(entry) or 0).decode("utf-8")
                yield texts.get(1, ""), texts.get(2, "")
            else:
                file.seek(length, os.SEEK_CUR)
        elif wire in (1, 5):
            file.seek(8 if wire == 1 else 4, os.SEEK_CUR)
        else:
            raise ValueError("no ONNX file")


def _varint(file: BinaryIO | io.BytesIO) -> int | None:
    number = shift = 0
    while byte := file.read(1):
        number |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return number
        shift += 7
        if shift > 63:
            raise ValueError("no ONNX file")
    return None
