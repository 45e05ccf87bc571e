"""A detector of transformers on a device: images in, boxes out. It holds its scaling of images and its calibration."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import msgspec

from lsml.adapters.parts.calibration import PlattScaling
from lsml.adapters.parts.found_objects import boxes_of
from lsml.adapters.parts.transformers_models import config_of, device_of, load_model, trained_names
from lsml.errors import AdapterError
from lsml.values import Box

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel

    from lsml.arrays import Array

FAMILIES: Final = {"rt_detr": "RT-DETR", "rt_detr_v2": "RT-DETRv2", "d_fine": "D-FINE"}  # by `model_type`
HEAD: Final = "AutoModelForObjectDetection"
_OWN: Final = "lsml_detector"  # what lsml adds to the configuration of a saved model
# The layers with a row for each class; those of all decoder layers are called so.
_CLASSES: Final = ("class_embed", "enc_score_head", "denoising_class_embed")
_PRIOR: Final = 0.01  # the probability that a new class begins with


class Scaling(NamedTuple):
    """The size of a model's input in pixels (rows, columns), and what is taken from colours in [0, 1] and divides them."""

    rows: int = 640
    columns: int = 640
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    spread: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @classmethod
    def of(cls, folder: Path) -> Scaling:
        """Return the scaling that a folder of weights names; 640 x 640 where it names none. Raises AdapterError."""
        path = folder / "preprocessor_config.json"
        if not path.is_file():
            return cls()
        try:
            facts = json.loads(path.read_bytes())
            size = facts.get("size") or {}
            made = cls(int(size.get("height", 640)), int(size.get("width", 640)))
            if facts.get("do_normalize"):
                colours = msgspec.convert((facts["image_mean"], facts["image_std"]), tuple[_Colours, _Colours])
                made = made._replace(mean=colours[0], spread=colours[1])
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise AdapterError(f"{path}: cannot be read as the settings of an image processor: {error}") from error
        return made

    def input_of(self, image: Array) -> Tensor:
        """Return an image (rows, columns, 3), BGR of bytes, as RGB of bytes in the model's size: (3, rows, columns)."""
        import numpy as np
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(image[:, :, ::-1])).permute(2, 0, 1)[None]
        # As the library's processor: smoothed where it becomes smaller.
        size = (self.rows, self.columns)
        return torch.nn.functional.interpolate(pixels, size, mode="bilinear", antialias=True)[0]

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return bytes (images, 3, rows, columns) as the numbers that a model takes."""
        import torch

        values = pixels.float() / 255
        if self.mean == (0.0, 0.0, 0.0) and self.spread == (1.0, 1.0, 1.0):
            return values
        mean, spread = (torch.tensor(one, device=values.device)[:, None, None] for one in (self.mean, self.spread))
        return (values - mean) / spread


_Colours = tuple[float, float, float]


class _BesideWeights(msgspec.Struct, frozen=True):
    """The parts of a saved model beside its weights."""

    scaling: Scaling
    calibration: PlattScaling


class DetectionModel:
    """A model that computes one batch at a time for all threads."""

    def __init__(self, module: PreTrainedModel, scaling: Scaling, device: str) -> None:
        self.module = module.to(device_of(device))
        self.scaling = scaling
        self.calibration = PlattScaling()
        self.names = tuple(str(module.config.id2label[number]) for number in range(module.config.num_labels))
        self._lock = threading.Lock()

    @classmethod
    def of(cls, folder: Path, device: str, imgsz: int | None) -> Self:
        """Return the model of a folder, by the library or saved before. Raises AdapterError, or ValueError for a wrong one."""
        own = config_of(str(folder)).get(_OWN)
        kept = None if own is None else msgspec.convert(own, _BesideWeights, strict=False)
        model = cls(_of_any_size(load_model(HEAD, folder)), kept.scaling if kept else _sized(folder, imgsz), device)
        if kept is not None:
            model.calibration = PlattScaling.restore(kept.calibration)
        return model

    @classmethod
    def fresh(cls, folder: Path, labels: Sequence[str], device: str, imgsz: int | None, seed: int) -> Self:
        """Return the model of a folder with classes for `labels`, which begin with the weights of classes of the same names.

        Raises AdapterError.
        """
        return cls(_of_any_size(_with_classes(folder, labels, seed)), _sized(folder, imgsz), device)

    def save(self, directory: Path) -> None:
        """Write everything that `of` needs: safetensors and JSON."""
        setattr(self.module.config, _OWN, msgspec.to_builtins(_BesideWeights(self.scaling, self.calibration)))
        self.module.save_pretrained(directory, safe_serialization=True)

    def boxes(
        self, images: Sequence[Array], floor: float, most: int, wanted: frozenset[str] | None = None
    ) -> list[list[Box]]:
        """Return the boxes on images (rows, columns, 3), BGR, surest first. `floor`: the least score; `most`: of an image;
        `wanted`: the only classes, by name.
        """
        import torch

        with self._lock, torch.inference_mode():
            pixels = torch.stack([self.scaling.input_of(image) for image in images])
            found = self.module(pixel_values=self.scaling.normalised(pixels.to(self.module.device)))
            scores = found.logits.float().sigmoid()  # (images, queries, classes)
            if wanted is not None:
                # Before the best are taken, so that others do not take the places of wanted ones.
                scores[..., [number for number, name in enumerate(self.names) if name not in wanted]] = -1.0
            scores = scores.flatten(1)
            best, index = scores.topk(min(most, found.logits.shape[1]), dim=1)
            queries = index // len(self.names)
            places = found.pred_boxes.float().gather(1, queries[:, :, None].expand(-1, -1, 4)).cpu().tolist()
            numbers, best = (index % len(self.names)).cpu().tolist(), best.cpu().tolist()
        made = []
        for at, image in enumerate(images):
            boxes: list[Box] = []
            for (x, y, wide, high), number, score in zip(places[at], numbers[at], best[at], strict=True):
                if score < 0:
                    break  # the rest are of other classes
                sure, name = self.calibration.after(score), self.names[number]
                if sure >= floor:
                    rows, columns = image.shape[:2]
                    row = (
                        (x - wide / 2) * columns,
                        (y - high / 2) * rows,
                        (x + wide / 2) * columns,
                        (y + high / 2) * rows,
                    )
                    boxes += boxes_of(row, image.shape, name, sure)
            made.append(boxes)
        return made


def classes_of(config: Mapping[str, object]) -> tuple[str, ...]:
    """Return the classes of weights, by the content of their `config.json`; empty for a model of another kind."""
    return trained_names(config, HEAD) if config.get("model_type") in FAMILIES else ()


def _sized(folder: Path, imgsz: int | None) -> Scaling:
    scaling = Scaling.of(folder)
    return scaling if imgsz is None else scaling._replace(rows=imgsz, columns=imgsz)


def _of_any_size(module: PreTrainedModel) -> PreTrainedModel:
    """Return a model that computes its positions for each input, and so takes any size."""
    module.config.anchor_image_size = None
    for part in module.modules():
        if hasattr(part, "eval_size"):
            part.eval_size = None
    return module


def _with_classes(folder: Path, labels: Sequence[str], seed: int) -> PreTrainedModel:
    import torch

    numbered = {"id2label": dict(enumerate(labels)), "label2id": {label: row for row, label in enumerate(labels)}}
    before = {name.casefold(): row for row, name in enumerate(classes_of(config_of(str(folder))))}
    known = [(row, before[label.casefold()]) for row, label in enumerate(labels) if label.casefold() in before]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        old = load_model(HEAD, folder)
        new = load_model(HEAD, folder, num_labels=len(labels), ignore_mismatched_sizes=True, **numbered)
        sources = dict(_class_layers(old))
        with torch.no_grad():
            for name, layer in _class_layers(new):
                # Layers of the same size were kept, although their rows stand for other classes.
                torch.nn.init.xavier_uniform_(layer.weight)
                if getattr(layer, "bias", None) is not None:
                    layer.bias.fill_(-math.log((1 - _PRIOR) / _PRIOR))
                for row, source in known:
                    layer.weight[row] = sources[name].weight[source]
                    if getattr(layer, "bias", None) is not None:
                        layer.bias[row] = sources[name].bias[source]
    return new


def _class_layers(module: PreTrainedModel) -> list[tuple[str, Module]]:
    """Return the layers with a row for each class, by name."""
    return [
        (name, part)
        for name, part in module.named_modules()
        if any(of in name.split(".") for of in _CLASSES) and hasattr(part, "weight")
    ]
