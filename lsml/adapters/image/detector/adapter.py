"""The adapter: which weights a recipe means, what they find, and what they learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from lsml.adapters.base import Data, Example, InteractiveAdapter, Progress, Target, silent
from lsml.adapters.image.detector.fitting import fit_detector
from lsml.adapters.image.detector.model import FAMILIES, DetectionModel, classes_of
from lsml.adapters.image.detector.options import DetectorOptions
from lsml.adapters.parts.drawn import in_drawn
from lsml.adapters.parts.pictures import read_image
from lsml.adapters.parts.training_objects import goal_of, regions_with_several_labels
from lsml.adapters.parts.transformer_adapter import PretrainedAdapter
from lsml.adapters.parts.transformers_models import config_of
from lsml.values import Box, Value


class Detector(PretrainedAdapter[DetectorOptions, DetectionModel], InteractiveAdapter[DetectorOptions]):
    """One detector: what its weights find, and what it learnt from annotations."""

    name: ClassVar[str] = "detector"
    title: ClassVar[str] = "detects objects by RT-DETR or D-FINE; pretrained and trainable, free for every use"
    consumes: ClassVar[frozenset[str]] = frozenset({"Image"})
    produces: ClassVar[frozenset[type]] = frozenset({Box})
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers", "safetensors", "cv2", "PIL")
    extra: ClassVar[str | None] = "images,transformers"
    licence: ClassVar[str | None] = (
        "Apache-2.0 (transformers, OpenCV, the published weights of RT-DETR and D-FINE), BSD-3-Clause (torch)"
    )
    untrained: ClassVar[str] = "is no detector with classes of its own"
    Options: ClassVar[type[msgspec.Struct]] = DetectorOptions

    def __init__(self, options: DetectorOptions, target: Target) -> None:
        super().__init__(options, target)
        self._joined = 0  # regions with several labels

    @classmethod
    def labels_of(cls, config: Mapping[str, object]) -> tuple[str, ...]:
        """Return the classes of weights; empty for a model of another kind."""
        return classes_of(config)

    @classmethod
    def lacks(cls, options: DetectorOptions, target: Target) -> str | None:
        """Return what to do where the weights are missing, or are of another model; or None."""
        kind = config_of(options.weights).get("model_type")
        if kind is not None and kind not in FAMILIES:
            return (
                f"{options.weights} is a model of the type {kind}; name one of {', '.join(FAMILIES.values())}, such as "
                "PekingU/rtdetr_v2_r18vd"
            )
        return super().lacks(options, target)

    @classmethod
    def class_names(cls, options: DetectorOptions, target: Target) -> dict[str, tuple[str, ...]]:
        """Return the classes of the weights that are wanted."""
        names = classes_of(config_of(options.weights))
        wanted = tuple(name for name in names if options.classes is None or name in options.classes)
        return {"box": wanted} if wanted else {}

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence about regions with several labels."""
        if not self._joined:
            return ()
        return (f"{self._joined} regions have several labels, of which it usually predicts only the likeliest",)

    def _read(self, folder: Path) -> DetectionModel:
        return DetectionModel.of(folder, self.options.device, self.options.imgsz)

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return every box that the model finds in images (paths)."""
        return self.predict_above(batch, 0.0)

    def predict_above(self, batch: Sequence[Data], floor: float) -> list[list[Value]]:
        """Return the same, with scores of at least `floor`. Raises AdapterError where a file is no image."""
        if not batch or not self.ready:
            return [[] for _ in batch]
        options, model = self.options, self._loaded()
        wanted = None if options.classes is None or self._learnt else frozenset(options.classes)
        least = max(floor, model.calibration.after(options.confidence))
        found: list[list[Value]] = []
        for begin in range(0, len(batch), options.batch):
            images = [read_image(path) for path in batch[begin : begin + options.batch]]
            found += [[*boxes] for boxes in model.boxes(images, least, options.max_det, wanted)]
        return found

    def respond(self, data: Data, prompts: Sequence[Value]) -> list[Value]:
        """Return the objects in the drawn regions of an image (path)."""
        return in_drawn(self.predict([data])[0], prompts) if prompts and self.ready else []

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on images (paths) with their boxes; images without boxes are negative examples.

        Raises NotEnoughData; AdapterError where the weights are not there.
        """
        goal = goal_of("detect", self.target, examples)
        options = self.options

        def make() -> DetectionModel:
            return DetectionModel.fresh(self._folder(), goal.labels, options.device, options.imgsz, seed)

        model = fit_detector(make, examples, goal, options, seed, progress)
        self._joined = sum(regions_with_several_labels(example.values) for example in examples)
        self._become(model)
        progress(1.0, f"trained on {len(examples)} images")
