"""The adapter: which weights a recipe means, what they find, and what they learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from lsml.adapters.base import Data, Example, InteractiveAdapter, Progress, Target, silent
from lsml.adapters.image.detector.fitting import fit_detector
from lsml.adapters.image.detector.model import FAMILIES, DetectionModel, classes_of, cuts_out
from lsml.adapters.image.detector.options import DEFAULT, DetectorOptions
from lsml.adapters.parts.drawn import in_drawn
from lsml.adapters.parts.pictures import image_batches
from lsml.adapters.parts.training_objects import goal_of, regions_with_several_labels
from lsml.adapters.parts.transformer_adapter import PretrainedAdapter
from lsml.adapters.parts.transformers_models import config_of
from lsml.labeling import ControlTag, ObjectTag
from lsml.values import Box, Mask, Polygon, Value

_OF_MASKS: Final = frozenset({"PolygonLabels", "Polygon", "BrushLabels", "Brush", "BitmaskLabels", "Bitmask"})


class Detector(PretrainedAdapter[DetectorOptions, DetectionModel], InteractiveAdapter[DetectorOptions]):
    """One detector: what its weights find, and what it learnt from annotations."""

    name: ClassVar[str] = "detector"
    title: ClassVar[str] = (
        "detects objects by RT-DETR, D-FINE or RF-DETR, which also gives masks; trainable, free for every use"
    )
    consumes: ClassVar[frozenset[str]] = frozenset({"Image"})
    produces: ClassVar[frozenset[type]] = frozenset({Box, Polygon, Mask})
    requires: ClassVar[tuple[str, ...]] = ("torch", "transformers", "safetensors", "cv2", "PIL")
    extra: ClassVar[str | None] = "images,transformers"
    licence: ClassVar[str | None] = (
        "Apache-2.0 (transformers, OpenCV, the published weights of RT-DETR, D-FINE and RF-DETR), BSD-3-Clause (torch)"
    )
    untrained: ClassVar[str] = "is no detector with classes of its own"
    Options: ClassVar[type[msgspec.Struct]] = DetectorOptions

    def __init__(self, options: DetectorOptions, target: Target) -> None:
        super().__init__(options, target)
        self._joined = 0  # regions with several labels
        self._saved: Path | None = None  # the folder of the version that it is, from which it may resume

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
        return dict.fromkeys(target.kinds, wanted) if wanted else {}

    @classmethod
    def refusal(cls, options: DetectorOptions, control_tag: ControlTag, object_tag: ObjectTag) -> str | None:
        """Return which weights give masks, where a tag takes them and these weights do not; or None."""
        config = config_of(options.weights)
        known = bool(config) or options.weights == DEFAULT
        if control_tag.tag not in _OF_MASKS or not known or cuts_out(config):
            return None
        return (
            f"{control_tag.selector} takes masks or outlines, and the weights {options.weights} give boxes; use some such "
            "as Roboflow/rf-detr-seg-medium"
        )

    @property
    def _cuts_out(self) -> bool:
        """True if masks or outlines are wanted."""
        return bool({"mask", "polygon"} & set(self.target.kinds))

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence about regions with several labels."""
        if not self._joined:
            return ()
        return (f"{self._joined} regions have several labels, of which it usually predicts only the likeliest",)

    def _read(self, folder: Path) -> DetectionModel:
        options = self.options
        return DetectionModel.of(folder, options.device, options.imgsz, masks=self._cuts_out, half=options.half)

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return every object that the model finds in images (paths)."""
        return self.predict_above(batch, 0.0)

    def predict_above(self, batch: Sequence[Data], floor: float) -> list[list[Value]]:
        """Return the same, with scores of at least `floor`. Raises AdapterError where a file is no image."""
        if not batch or not self.ready:
            return [[] for _ in batch]
        options, model = self.options, self._loaded()
        wanted = None if options.classes is None or self._learnt else frozenset(options.classes)
        least = max(floor, model.calibration.after(options.confidence))
        kinds = frozenset(self.target.kinds) or frozenset({"box"})
        found: list[list[Value]] = []
        for images in image_batches(batch, options.batch):
            found += [[*shapes] for shapes in model.objects(images, least, options.max_det, wanted, kinds)]
        return found

    def respond(self, data: Data, prompts: Sequence[Value]) -> list[Value]:
        """Return the objects in the drawn regions of an image (path)."""
        return in_drawn(self.predict([data])[0], prompts) if prompts and self.ready else []

    @property
    def resumes(self) -> bool:
        """True if the recipe says so."""
        return self.options.resume

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError."""
        super().load(directory)
        self._saved = directory

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on images (paths) with their boxes, or outlines and masks; images without any are negative examples.

        Raises NotEnoughData; AdapterError where the weights are not there.
        """
        goal = goal_of("segment" if self._cuts_out else "detect", self.target, examples)
        options = self.options
        folder = self._saved if options.resume and self._saved else self._folder()

        def make() -> DetectionModel:
            return DetectionModel.fresh(
                folder,
                goal.labels,
                options.device,
                options.imgsz,
                seed,
                masks=self._cuts_out,
                half=options.half,
            )

        model = fit_detector(make, examples, goal, options, seed, progress)
        self._joined = sum(regions_with_several_labels(example.values) for example in examples)
        self._become(model)
        progress(1.0, f"trained on {len(examples)} images")
