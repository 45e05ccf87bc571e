"""A loaded model: images in, ultralytics' results out. Each has a lock, as its predictors keep state."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final, NamedTuple

from lsml.adapters.image.yolo.library import all_threads, ultralytics
from lsml.adapters.parts.devices import FittingBatch
from lsml.adapters.parts.pictures import image_batches, in_parallel
from lsml.adapters.parts.pooled import Pool
from lsml.files.cache import cache_directory

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from ultralytics.engine.results import Results

    from lsml.arrays import Array


_log = logging.getLogger(__name__)
_IMGSZ: Final = {"classify": 224}  # the default where a model has none; else 640


class PredictSettings(NamedTuple):
    """The settings of a prediction: see the options of the same names. `classes` are the model's own numbers."""

    confidence: float
    iou: float
    imgsz: int | None
    max_det: int
    classes: tuple[int, ...] | None = None


class Engine:
    """A model on a device. `model`: a torch module, which is not changed, or the path of an exported one."""

    def __init__(self, model: Module, task: str, *, device: str, half: bool, imgsz: int | None) -> None:
        ultralytics()
        from ultralytics.models import yolo

        self.task = task
        self._lock = threading.Lock()
        self.imgsz = imgsz or _IMGSZ.get(task, 640)
        predictors = {"detect": yolo.detect.DetectionPredictor, "obb": yolo.obb.OBBPredictor,
                      "segment": yolo.segment.SegmentationPredictor, "pose": yolo.pose.PosePredictor,
                      "classify": yolo.classify.ClassificationPredictor}  # fmt: skip
        given = {
            "task": task, "mode": "predict", "save": False, "verbose": False, "rect": True, "conf": 0.001,
            "imgsz": self.imgsz, "device": None if device == "auto" else device,
            # Nothing is written there, but without it ultralytics would choose another folder.
            "save_dir": str(cache_directory("ultralytics") / "predict"),
        }  # fmt: skip
        if half:
            given["half"] = True
        with all_threads():
            self._predictor = predictors[task](overrides=given)
            self._predictor.callbacks = {}
            self._predictor.setup_model(model if isinstance(model, str) else _copy(model), verbose=False)
        backend = self._predictor.model
        self.names: tuple[str, ...] = tuple(backend.names[index] for index in sorted(backend.names))
        # A model of torch, or one exported so, takes any height and width; others only their own.
        self._flexible = _is_torch(backend) or bool(getattr(backend, "dynamic", False))
        self._asked: PredictSettings | None = None
        self._fitting = FittingBatch("yolo")

    def results(self, paths: Sequence[Path], asked: PredictSettings, batch: int) -> Iterator[Results]:
        """Yield one of ultralytics' Results for each image file, in order; while `batch` images are computed, as many are read.

        Raises AdapterError where a file is no image.
        """
        for images in image_batches(paths, batch):
            yield from self.results_of_images(images, asked)

    def results_of_images(self, images: Sequence[Array], asked: PredictSettings) -> list[Results]:
        """Return results for arrays (rows, columns, 3), in the order BGR.

        Each image is padded as if it were alone, and batched with others of the same size, so results do not depend on
        neighbours.
        """
        import torch

        with self._lock, torch.inference_mode():
            self._ask(asked, images[0])
            if self.task == "classify":
                return self._run(list(images), list(images), range(len(images)))
            fitted = in_parallel(self._letterbox, images)
            alike: dict[tuple[int, ...], list[int]] = {}
            for index, image in enumerate(fitted):
                alike.setdefault(image.shape, []).append(index)
            found: dict[int, Results] = {}
            for indices in alike.values():
                found.update(zip(indices, self._run(fitted, images, indices), strict=True))
        return [found[index] for index in range(len(images))]

    def features(self, paths: Sequence[Path], asked: PredictSettings, batch: int) -> Array | None:
        """Return (images, features): means and maxima of the backbone's last layer; None of an exported model, which hides
        it.
        """
        import numpy as np
        import torch

        backend = self._predictor.model
        if not _is_torch(backend):
            return None
        last = len(backend.model.yaml["backbone"]) - 1
        hidden: list[Tensor] = []  # (1, channels, rows, columns)
        rows = []
        with self._lock, torch.inference_mode():
            hook = backend.model.model[last].register_forward_hook(lambda _layer, _given, told: hidden.append(told))
            try:
                for images in image_batches(paths, batch):
                    self._ask(asked, images[0])
                    # Images of a batch may differ in their size after scaling, so each is alone.
                    for image in images:
                        fitted = image if self.task == "classify" else self._letterbox(image)
                        backend.model.predict(self._predictor.preprocess([fitted]), embed=[last])
                        told = hidden.pop().float()
                        rows.append(torch.cat([told.mean((2, 3)), told.amax((2, 3))], dim=1)[0].cpu().numpy())
            finally:
                hook.remove()
        return np.stack(rows)

    def _ask(self, asked: PredictSettings, image: Array) -> None:
        if asked == self._asked:
            return
        predictor, args = self._predictor, self._predictor.args
        args.conf, args.iou, args.max_det = asked.confidence, asked.iou, asked.max_det
        args.classes = None if asked.classes is None else list(asked.classes)
        args.imgsz = asked.imgsz or self.imgsz
        predictor.setup_source([image])  # sets the image size, and a classifier's transforms
        from ultralytics.data.augment import LetterBox

        if self.task != "classify":
            self._letterbox_to = LetterBox(
                predictor.imgsz, auto=self._flexible, stride=int(getattr(predictor.model, "stride", 32))
            )
            predictor.pre_transform = list
        predictor.source_type = SimpleNamespace(tensor=False)
        if getattr(predictor.model, "format", "") == "pt" and getattr(predictor.model, "end2end", False):
            predictor.model.model.set_head_attr(max_det=max(asked.max_det, 300))
        self._asked = asked

    def _letterbox(self, image: Array) -> Array:
        fitted: Array = self._letterbox_to(image=image)
        return fitted

    def _run(self, fitted: Sequence[Array], images: Sequence[Array], indices: Sequence[int]) -> list[Results]:
        """Return the results of the images at some indices, which have one size after fitting, in that order."""
        return self._fitting.results(
            indices, lambda some: self._computed([fitted[index] for index in some], [images[index] for index in some])
        )

    def _computed(self, fitted: list[Array], images: list[Array]) -> list[Results]:
        predictor = self._predictor
        predictor.batch = ([""] * len(images), images, [""] * len(images))
        tensor = predictor.preprocess(fitted)  # (images, 3, rows, columns)
        results: list[Results] = predictor.postprocess(predictor.inference(tensor), tensor, images)
        for result in results:
            result.seen_at = tuple(tensor.shape[2:])
        return results


def _copy(model: Module) -> Module:
    from copy import deepcopy

    return deepcopy(model).float().eval()


def _is_torch(backend: object) -> bool:
    return bool(getattr(backend, "pt", False)) or getattr(backend, "format", "") == "pt"


# Engines by content of the weights, device and precision.
POOL: Final[Pool[Engine]] = Pool()
