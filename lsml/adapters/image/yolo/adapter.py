"""The adapter: which model a recipe means, what of its results is wanted, and what it learnt."""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from lsml.adapters.base import (
    Data,
    Example,
    InteractiveAdapter,
    NamedWeights,
    Progress,
    Target,
    TrainableAdapter,
    silent,
)
from lsml.adapters.image.yolo import known
from lsml.adapters.image.yolo.accelerate import Accelerated
from lsml.adapters.image.yolo.calibrating import calibrated, with_calibration
from lsml.adapters.image.yolo.dataset import write_dataset
from lsml.adapters.image.yolo.engine import POOL, Engine, PredictSettings
from lsml.adapters.image.yolo.fitting import TENSORS, Learnt, fit_model, go_on, load_model, save_model, training_folder
from lsml.adapters.image.yolo.library import ultralytics
from lsml.adapters.image.yolo.options import YoloOptions
from lsml.adapters.image.yolo.results import values_of
from lsml.adapters.image.yolo.starting import module_of, path_of, start_of, task_of
from lsml.adapters.image.yolo.tiles import boxes_in_tiles
from lsml.adapters.image.yolo.tracks import follow
from lsml.adapters.image.yolo.weights import info_of, is_exported
from lsml.adapters.parts.drawn import drawn_part, in_drawn
from lsml.adapters.parts.found_objects import LEAST_SCORE
from lsml.adapters.parts.pictures import read_image
from lsml.adapters.parts.training_objects import goal_of, regions_with_several_labels
from lsml.adapters.parts.video_frames import Sampled, sample_frames
from lsml.adapters.parts.weight_files import file_downloads
from lsml.files.digests import content_digest
from lsml.labeling import ControlTag, ObjectTag
from lsml.values import Box, Choice, KeyPoint, Mask, Polygon, Track, Value, label_of

if TYPE_CHECKING:
    from ultralytics.engine.results import Results

    from lsml.arrays import Array


_log = logging.getLogger(__name__)


class Yolo(TrainableAdapter[YoloOptions], InteractiveAdapter[YoloOptions]):
    """One YOLO model: what its weights do, and what it learnt from annotations."""

    name: ClassVar[str] = "yolo"
    title: ClassVar[str] = "detects, segments, tracks and classifies objects; pretrained and trainable"
    consumes: ClassVar[frozenset[str]] = frozenset({"Image", "Video"})
    produces: ClassVar[frozenset[type]] = frozenset({Box, Polygon, Mask, KeyPoint, Choice, Track})
    requires: ClassVar[tuple[str, ...]] = ("ultralytics", "safetensors", "cv2")
    extra: ClassVar[str | None] = "yolo"
    licence: ClassVar[str | None] = "AGPL-3.0 (ultralytics, and the weights that it publishes)"
    copyleft: ClassVar[bool] = True
    starts_ready: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = YoloOptions

    def __init__(self, options: YoloOptions, target: Target) -> None:
        super().__init__(options, target)
        self._weights = known.weights_of(options, target)
        self._learnt: Learnt | None = None
        self._notes: tuple[str, ...] = ()
        self._engine: Engine | Accelerated | None = None
        self._loading = threading.Lock()

    # Facts known without the library

    @classmethod
    def import_library(cls) -> None:
        """Import ultralytics, and silence it. Raises AdapterError."""
        ultralytics()

    @classmethod
    def refusal(cls, options: YoloOptions, control_tag: ControlTag, object_tag: ObjectTag) -> str | None:
        """Return which weights would fit, if the task of these does not fit the tag; or what is wrong with them."""
        return known.refusal(options, control_tag, object_tag)

    @classmethod
    def lacks(cls, options: YoloOptions, target: Target) -> str | None:
        """Return what to do if the weights are missing on this machine, or cannot predict before training."""
        return known.lacks(options, target)

    @classmethod
    def downloads(cls, options: YoloOptions, target: Target) -> tuple[NamedWeights, ...]:
        """Return the weights, if ultralytics publishes them or they have a URL."""
        return file_downloads(known.weights_of(options, target))

    @classmethod
    def class_names(cls, options: YoloOptions, target: Target) -> dict[str, tuple[str, ...]]:
        """Return the names of the weights' classes, if they can be read; for points `person::0` and so on."""
        return known.class_names(options, target)

    @classmethod
    def limits(cls, options: YoloOptions, target: Target, label_tags: Sequence[ControlTag]) -> str | None:
        """Return a sentence: its classes exclude each other, and several may hold."""
        return known.limits(target, label_tags)

    @property
    def own_names(self) -> bool:
        """True if it still predicts the classes of its weights."""
        return self._learnt is None

    @property
    def ready(self) -> bool:
        """True if it is trained, or has weights that can predict."""
        if self._learnt is not None:
            return True
        return importlib.util.find_spec("ultralytics") is not None and self.lacks(self.options, self.target) is None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about training from random weights, and about images and videos that were not used."""
        return self._notes

    # Prediction

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Return everything that the model finds in images or videos (paths)."""
        return self.predict_above(batch, 0.0)

    def predict_above(self, batch: Sequence[Data], floor: float) -> list[list[Value]]:
        """Return the same, with scores of at least `floor`; a classifier returns every class."""
        if not batch or not self.ready:
            return [[] for _ in batch]
        engine = self._loaded()
        asked = self._asked(engine, floor)
        if "track" in self.target.kinds:
            return [follow(engine, path, asked, self.options, _labels(engine, self._learnt)) for path in batch]
        if self.options.tile is not None and engine.task == "detect":
            tiled = partial(
                boxes_in_tiles, self.options, lambda parts: self._of_images(engine, asked, parts), asked.max_det
            )
            return [tiled(path) for path in batch]
        return [self._values(engine, asked, result) for result in engine.results(batch, asked, self.options.batch)]

    def features(self, batch: Sequence[Data]) -> Array | None:
        """Return (images, features) of images (paths); None of videos, of exported weights and where none are there."""
        if "track" in self.target.kinds or not self.ready:
            return None
        engine = self._loaded()
        return engine.features(batch, self._asked(engine, 0.0), self.options.batch)

    def respond(self, data: Data, prompts: Sequence[Value]) -> list[Value]:
        """Return the objects in the drawn regions of an image (path); a classifier, the label of the last one; no tracks."""
        if not prompts or not self.ready or "track" in self.target.kinds:
            return []
        engine = self._loaded()
        if engine.task != "classify":
            return in_drawn(self.predict([data])[0], prompts)
        part, asked = drawn_part(read_image(data), prompts), self._asked(engine, 0.0)
        return [] if part is None else self._of_images(engine, asked, [part])[0]

    def _of_images(
        self, engine: Engine | Accelerated, asked: PredictSettings, images: Sequence[Array]
    ) -> list[list[Value]]:
        return [self._values(engine, asked, result) for result in engine.results_of_images(images, asked)]

    def _asked(self, engine: Engine | Accelerated, floor: float) -> PredictSettings:
        options = self.options
        numbers = _numbers(options.classes, engine.names) if self._learnt is None else None
        if self._learnt is not None:
            floor = self._learnt.calibration.before(floor)
        return PredictSettings(max(options.confidence, floor), options.iou, options.imgsz, options.max_det, numbers)

    def _values(self, engine: Engine | Accelerated, asked: PredictSettings, result: Results) -> list[Value]:
        """Return the values of one of ultralytics' Results, of the wanted kinds."""
        labels, kinds = _labels(engine, self._learnt), frozenset(self.target.kinds or known.GIVES[engine.task])

        def name(number: int) -> str | None:
            return labels[number] if asked.classes is None or number in asked.classes else None

        values = values_of(result, kinds, name, self._point_name)
        if self._learnt is not None:
            values = calibrated(self._learnt, values)
        if self.target.multiple and engine.task == "classify":
            # Probabilities of mutually exclusive classes sum to one, so they are not independent probabilities of each label.
            return [max(values, key=lambda value: value.score or 0.0)] if values else []
        return values

    def _point_name(self, number: int, index: int) -> str | None:
        if self._learnt is None:
            assert self._engine is not None
            return f"{self._engine.names[number]}::{index}"
        points = self._learnt.goal.points
        return points[index] if index < len(points) else None

    def _loaded(self) -> Engine | Accelerated:
        with self._loading:
            if self._engine is None:
                learnt, options = self._learnt, self.options
                self._engine = _of_learnt(learnt, options) if learnt else _of_weights(self._weights, options)
            return self._engine

    # Training

    @property
    def resumes(self) -> bool:
        """True if the recipe says so."""
        return self.options.resume

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on images (paths) with their values; images without values are negative examples. Of videos with tracks,
        frames are such images.

        Raises NotEnoughData; AdapterError where the weights are not there, or cannot learn.
        """
        goal = goal_of(task_of(self._weights, self.options, self.target), self.target, examples)
        start = go_on(self._learnt, self.options, goal.task) or start_of(self._weights, self.options, goal.task)
        with training_folder() as directory:
            sampled = Sampled(tuple(examples))
            if "track" in self.target.kinds:
                reading = partial(_in_part, progress, 0.02)
                sampled = sample_frames(examples, self.options.train_frames, start.imgsz, directory / "frames", reading)
            images, videos = sampled.examples, sampled.videos
            progress(0.02, f"writing {len(images)} images")
            dataset = write_dataset(images, goal, directory, judge=self.options.patience > 0, videos=videos)
            progress(0.05, f"training on {dataset.images} images")
            learnt = fit_model(start, dataset, goal, self.options, seed, directory, progress)
            scratch = self._weights if start.module is None else None
            self._notes = (*_notes(scratch, goal.task, examples), *sampled.notes)
            self._become(learnt)
            if dataset.held_out and videos is None:  # a track's score is the mean of many
                left, engine = [images[index] for index in dataset.held_out], self._loaded()
                asked = self._asked(engine, LEAST_SCORE)
                results = engine.results([example.data for example in left], asked, self.options.batch)
                self._learnt = with_calibration(learnt, results, left)
        progress(1.0, f"trained on {dataset.images} images")

    def _become(self, learnt: Learnt, content: str | None = None) -> None:
        with self._loading:
            self._learnt = learnt
            self._engine = _of_learnt(learnt, self.options, content)

    def save(self, directory: Path) -> None:
        """Write tensors (safetensors) and the plan to build the module anew (JSON)."""
        assert self._learnt is not None, "an untrained model is never saved"
        save_model(self._learnt, directory)

    def load(self, directory: Path) -> None:
        """Become the version that was saved. Raises VersionError."""
        self._become(load_model(directory), content_digest(directory / TENSORS))


def _of_weights(weights: str, options: YoloOptions) -> Engine | Accelerated:
    """Return the engine of the recipe's weights, which equal models share."""
    path, info = path_of(weights, options), info_of(weights)
    content = content_digest(path)

    def make() -> Engine:
        given = str(path) if is_exported(str(path)) else module_of(path)
        return Engine(given, info.task, device=options.device, half=options.half, imgsz=info.imgsz)

    engine = POOL.get((content, options.device, options.half), make)
    if options.accelerate is None or is_exported(str(path)):
        return engine
    return Accelerated(engine, lambda: module_of(path), content, options)


def _of_learnt(learnt: Learnt, options: YoloOptions, content: str | None = None) -> Engine | Accelerated:
    """Return the engine of a trained model. `content`: the digest of its saved version, by which an export is kept."""
    task = learnt.goal.task
    engine = Engine(learnt.module, task, device=options.device, half=options.half, imgsz=learnt.imgsz)
    if options.accelerate is None or content is None:
        return engine
    return Accelerated(engine, lambda: learnt.module, content, options)


def _labels(engine: Engine | Accelerated, learnt: Learnt | None) -> tuple[str, ...]:
    return engine.names if learnt is None else learnt.goal.labels


def _in_part(progress: Progress, whole: float, share: float, doing: str) -> None:
    progress(whole * share, doing)


def _notes(scratch: str | None, task: str, examples: Sequence[Example]) -> Iterator[str]:
    """Yield the notes of a training on examples. `scratch`: the architecture, where it began with random weights."""
    if scratch is not None:
        yield f"trained from random weights ({scratch}); pretrained weights need far fewer examples"
    if task != "classify":
        if joined := sum(regions_with_several_labels(example.values) for example in examples):
            yield f"{joined} regions have several labels, of which it usually predicts only the likeliest"
    elif passed_over := sum(len({label_of(value) for value in example.values}) > 1 for example in examples):
        yield f"{passed_over} images with several labels were left out, because its classes are mutually exclusive"


def _numbers(classes: Sequence[str] | None, names: Sequence[str]) -> tuple[int, ...] | None:
    return None if classes is None else tuple(number for number, name in enumerate(names) if name in classes)
