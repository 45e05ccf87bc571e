"""A detector of transformers on a device: images in, boxes and masks out. It holds its scaling and its calibration."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import msgspec

from lsml.adapters.image.detector.scaling import Scaling
from lsml.adapters.parts.calibration import PlattScaling
from lsml.adapters.parts.devices import FittingBatch, computing_with, precision_of
from lsml.adapters.parts.found_objects import boxes_of, shapes_of
from lsml.adapters.parts.transformers_models import config_of, device_of, load_model, trained_names
from lsml.values.coverage import ImageShape

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel

    from lsml.arrays import Array

# By `model_type`.
FAMILIES: Final = {"rt_detr": "RT-DETR", "rt_detr_v2": "RT-DETRv2", "d_fine": "D-FINE", "rf_detr": "RF-DETR"}
_HEAD: Final = "AutoModelForObjectDetection"
_MASKS: Final = "AutoModelForInstanceSegmentation"
_BOXES: Final = frozenset({"box"})
_OWN: Final = "lsml_detector"  # what lsml adds to the configuration of a saved model
# The layers with a row for each class; those of all decoder layers are called so.
_CLASSES: Final = ("class_embed", "enc_score_head", "denoising_class_embed", "enc_out_class_embed")
_PRIOR: Final = 0.01  # the probability that a new class begins with


class _BesideWeights(msgspec.Struct, frozen=True):
    """The parts of a saved model beside its weights."""

    scaling: Scaling
    calibration: PlattScaling


class DetectionModel:
    """A model that computes one batch at a time for all threads."""

    def __init__(self, module: PreTrainedModel, scaling: Scaling, device: str, *, half: bool = False) -> None:
        self.module = module.to(device_of(device))
        self.scaling = scaling.in_steps_of(_step(module))
        self.cuts_out = type(module).__name__.endswith(_MASKS.removeprefix("AutoModel"))
        self._precision = precision_of(self.module.device, half=half)
        self._fitting = FittingBatch("detector")
        self.calibration = PlattScaling()
        self.names = tuple(str(module.config.id2label[number]) for number in range(module.config.num_labels))
        self._lock = threading.Lock()

    @classmethod
    def of(cls, folder: Path, device: str, imgsz: int | None, *, masks: bool = False, half: bool = False) -> Self:
        """Return the model of a folder, by the library or saved before; with `masks`, if its weights give some.

        Raises AdapterError, or ValueError for a wrong one.
        """
        own = config_of(str(folder)).get(_OWN)
        kept = None if own is None else msgspec.convert(own, _BesideWeights, strict=False)
        module = _wanted_part(load_model(_head_of(folder), folder), masks=masks)
        model = cls(module, kept.scaling if kept else _sized(folder, imgsz), device, half=half)
        if kept is not None:
            model.calibration = PlattScaling.restore(kept.calibration)
        return model

    @classmethod
    def fresh(
        cls, folder: Path, labels: Sequence[str], device: str, imgsz: int | None, seed: int, *,
        masks: bool = False, half: bool = False,
    ) -> Self:  # fmt: skip
        """Return the model of a folder with classes for `labels`, which begin with the weights of classes of the same names.

        Raises AdapterError.
        """
        module = _wanted_part(_with_classes(folder, labels, seed), masks=masks)
        return cls(module, _sized(folder, imgsz), device, half=half)

    def save(self, directory: Path) -> None:
        """Write everything that `of` needs: safetensors and JSON."""
        setattr(self.module.config, _OWN, msgspec.to_builtins(_BesideWeights(self.scaling, self.calibration)))
        self.module.save_pretrained(directory, safe_serialization=True)

    def objects(
        self,
        images: Sequence[Array],
        floor: float,
        most: int,
        wanted: frozenset[str] | None = None,
        kinds: frozenset[str] = _BOXES,
    ) -> list[list[ImageShape]]:
        """Return the objects on images (rows, columns, 3), BGR, surest first, as shapes of some kinds: box, mask, polygon.

        `floor`: the least score; `most`: of an image; `wanted`: the only classes, by name. Raises AdapterError where an image
        does not fit into the device's memory.
        """
        import torch

        with self._lock, torch.inference_mode():
            return self._fitting.results(images, lambda some: self._found(some, floor, most, wanted, kinds))

    def _found(
        self, images: Sequence[Array], floor: float, most: int, wanted: frozenset[str] | None, kinds: frozenset[str]
    ) -> list[list[ImageShape]]:
        import torch

        pixels = torch.stack([self.scaling.input_of(image) for image in images])
        given = self.scaling.normalised(pixels.to(self.module.device))
        with computing_with(self.module.device, self._precision):
            found = self.module(pixel_values=given)
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
            shapes: list[ImageShape] = []
            for row, (place, number, score) in enumerate(zip(places[at], numbers[at], best[at], strict=True)):
                if score < 0:
                    break  # the rest are of other classes
                sure, name = self.calibration.after(score), self.names[number]
                if sure < floor:
                    continue
                if "box" in kinds:
                    shapes += boxes_of(_corners(place, image), image.shape, name, sure)
                if kinds - _BOXES and self.cuts_out:
                    shapes += shapes_of(_pixels(found.pred_masks[at, queries[at, row]], image), kinds, name, sure)
            made.append(shapes)
        return made


def _corners(place: Sequence[float], image: Array) -> tuple[float, float, float, float]:
    """Return (left, top, right, bottom) in pixels of a place (centre x, centre y, width, height) in fractions."""
    (x, y, wide, high), (rows, columns) = place, image.shape[:2]
    return (x - wide / 2) * columns, (y - high / 2) * rows, (x + wide / 2) * columns, (y + high / 2) * rows


def _pixels(mask: Tensor, image: Array) -> Array:
    """Return the logits of a mask, (rows, columns) over the input, as booleans (rows, columns) of an image."""
    from torch.nn.functional import interpolate

    size = (image.shape[0], image.shape[1])
    pixels: Array = (interpolate(mask[None, None].float(), size, mode="bilinear")[0, 0] > 0).cpu().numpy()
    return pixels


def cuts_out(config: Mapping[str, object]) -> bool:
    """Return True for weights that give masks, too, by the content of their `config.json`."""
    heads = config.get("architectures")
    return isinstance(heads, list) and any(str(one).endswith(_MASKS.removeprefix("AutoModel")) for one in heads)


def _head_of(folder: Path) -> str:
    return _MASKS if cuts_out(config_of(str(folder))) else _HEAD


def _wanted_part(module: PreTrainedModel, *, masks: bool) -> PreTrainedModel:
    """Return a model that takes any size; of one that also gives masks, where they are not wanted, its part for boxes."""
    part: PreTrainedModel = module
    if not masks and type(module).__name__.endswith(_MASKS.removeprefix("AutoModel")):
        part = module.model
    return _of_any_size(part)


def classes_of(config: Mapping[str, object]) -> tuple[str, ...]:
    """Return the classes of weights, by the content of their `config.json`; empty for a model of another kind."""
    if config.get("model_type") not in FAMILIES:
        return ()
    return trained_names(config, _HEAD) or trained_names(config, _MASKS)


def _sized(folder: Path, imgsz: int | None) -> Scaling:
    scaling = Scaling.of(folder)
    return scaling if imgsz is None else scaling._replace(rows=imgsz, columns=imgsz)


def _step(module: PreTrainedModel) -> int:
    """Return the number of pixels of which the sides of an input must be a multiple: 32, or a window of RF-DETR's patches."""
    backbone = getattr(module.config, "backbone_config", None)
    windows, patch = getattr(backbone, "num_windows", None), getattr(backbone, "patch_size", None)
    return windows * patch if isinstance(windows, int) and isinstance(patch, int) else 32


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
        head = _head_of(folder)
        old = load_model(head, folder)
        new = load_model(head, folder, num_labels=len(labels), ignore_mismatched_sizes=True, **numbered)
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
