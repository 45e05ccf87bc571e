"""The adapter: which model a recipe means, what of its results is wanted, and what it learnt."""

from __future__ import annotations

import difflib
import importlib.util
import logging
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, cast

import msgspec

from lsml.adapters.base import Data, Example, InteractiveAdapter, Progress, Target, TrainableAdapter, silent
from lsml.adapters.image.yolo.accelerate import Accelerated
from lsml.adapters.image.yolo.dataset import Wanted, write_dataset
from lsml.adapters.image.yolo.drawn import drawn_part, in_drawn
from lsml.adapters.image.yolo.engine import Asked, Engine, shared
from lsml.adapters.image.yolo.fitting import TENSORS, Learnt, fit_model, load_model, save_model, training_folder
from lsml.adapters.image.yolo.images import read_image
from lsml.adapters.image.yolo.library import download, ultralytics
from lsml.adapters.image.yolo.options import YoloOptions
from lsml.adapters.image.yolo.results import values_of
from lsml.adapters.image.yolo.tracks import follow
from lsml.adapters.image.yolo.weights import (
    HEADS,
    architecture_for,
    facts_of,
    find_weights,
    is_architecture,
    is_exported,
    missing,
)
from lsml.errors import AdapterError, NotEnoughData
from lsml.files.digests import content_digest
from lsml.labeling import ControlTag, ObjectTag
from lsml.values import Box, Choice, KeyPoint, Mask, Polygon, Shape, Track, Value, label_of

if TYPE_CHECKING:
    from torch.nn import Module
    from ultralytics.engine.results import Results


_log = logging.getLogger(__name__)

# What the results of each task can be shown as.
GIVES: Final = {
    "detect": ("box", "track"),
    "obb": ("box",),
    "segment": ("polygon", "mask", "box", "track"),
    "pose": ("keypoint", "box", "track"),
    "classify": ("choice",),
}
# The task that gives each kind, the most telling kind first: a pose has a box, too.
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


class Yolo(TrainableAdapter[YoloOptions], InteractiveAdapter[YoloOptions]):
    """One YOLO model: what its weights do, and what it learnt from annotations."""

    name: ClassVar[str] = "yolo"
    title: ClassVar[str] = "finds, outlines, follows and classifies objects; pretrained, and learns from annotations"
    consumes: ClassVar[frozenset[str]] = frozenset({"Image", "Video"})
    produces: ClassVar[frozenset[type]] = frozenset({Box, Polygon, Mask, KeyPoint, Choice, Track})
    requires: ClassVar[tuple[str, ...]] = ("ultralytics", "safetensors", "cv2")
    extra: ClassVar[str | None] = "yolo"
    licence: ClassVar[str | None] = "AGPL-3.0 (ultralytics, and the weights that it publishes)"
    starts_ready: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = YoloOptions

    def __init__(self, options: YoloOptions, target: Target) -> None:
        super().__init__(options, target)
        self._weights = _weights(options, target)
        self._learnt: Learnt | None = None
        self._passed_over = 0  # images that taught nothing, for they have several labels
        self._joined = 0  # regions with several labels
        self._engine: Engine | Accelerated | None = None
        self._loading = threading.Lock()

    # What it is, known without the library

    @classmethod
    def import_library(cls) -> None:
        """ultralytics, kept quiet. Raises AdapterError."""
        ultralytics()

    @classmethod
    def refusal(cls, options: YoloOptions, control_tag: ControlTag, object_tag: ObjectTag) -> str | None:
        """Where the task of the weights does not give what the tag takes: which weights would; or what is wrong with them."""
        kind = _KINDS.get(control_tag.tag)
        if kind is None:
            return None
        if (kind == "track") != (object_tag.tag == "Video"):
            reads = "videos" if kind == "track" else "images"
            return (
                f"{control_tag.selector}: yolo finds {_TITLES[kind]} in {reads}, and this one is for {object_tag.tag}"
            )
        weights = options.weights or _default_weights(kind)
        try:
            facts = facts_of(weights)
        except AdapterError as error:
            return f"{control_tag.selector}: {error}"
        task = facts.task if options.task == "auto" else options.task
        if kind not in GIVES[task]:
            source = (
                f"weights {Path(weights).name} are for {task}"
                if options.task == "auto"
                else f"`task: {task}` is chosen"
            )
            fitting = " or ".join(f"yolo11n{HEADS[task]}.pt" for task, kinds in GIVES.items() if kind in kinds)
            return (
                f"{control_tag.selector} takes {_TITLES[kind]}, and {source}, which gives {_listed(GIVES[task])}; use weights "
                f"such as {fitting}"
            )
        for name in options.classes or ():
            if facts.names and name not in facts.names:
                close = difflib.get_close_matches(name, facts.names, n=1)
                hint = f"did you mean `{close[0]}`?" if close else f"they have {_listed(facts.names, 8)}"
                return f"{control_tag.selector}: options.classes has `{name}`, which is no class of {weights}; {hint}"
        return None

    @classmethod
    def lacks(cls, options: YoloOptions, target: Target) -> str | None:
        """What to do where the weights are not on this machine, or cannot answer before anything was learnt."""
        weights = _weights(options, target)
        try:
            absent = missing(weights, options.download)
            task = facts_of(weights).task
        except AdapterError as error:
            return str(error)
        if absent is not None:
            return absent
        if is_architecture(weights):
            return f"weights {weights} are an architecture, whose weights are random: it answers once it has learnt"
        if options.task not in ("auto", task):
            named = Path(weights).name
            return f"weights {named} are for {task}, a start to learn {options.task}: it answers once it has learnt"
        return None

    @classmethod
    def class_names(cls, options: YoloOptions, target: Target) -> dict[str, tuple[str, ...]]:
        """The names of the weights' classes, where they can be read: of points, `person::0` and so on."""
        if cls.lacks(options, target) is not None:
            return {}
        facts = facts_of(_weights(options, target))
        names = tuple(name for name in facts.names if options.classes is None or name in options.classes)
        points = tuple(f"{name}::{place}" for name in names for place in range(facts.keypoints))
        found = {kind: points if kind == "keypoint" else names for kind in target.kinds}
        return {kind: known for kind, known in found.items() if known}

    @classmethod
    def limits(cls, options: YoloOptions, target: Target, label_tags: Sequence[ControlTag]) -> str | None:
        """That its classes exclude each other, where several may hold."""
        if "choice" in target.kinds:
            answers = "learns and answers one label of an image, for its classes exclude each other"
            return f"{answers}; images with several teach nothing" if target.multiple else None
        if not any(tag.attributes.get("choice", "").lower() == "multiple" for tag in label_tags):
            return None
        return "learns every label of a region, and as a rule answers the likeliest alone"

    @property
    def own_names(self) -> bool:
        """True if it still answers with the classes of its weights."""
        return self._learnt is None

    @property
    def ready(self) -> bool:
        """True if it has learnt, or has weights that can answer."""
        if self._learnt is not None:
            return True
        return importlib.util.find_spec("ultralytics") is not None and self.lacks(self.options, self.target) is None

    @property
    def notes(self) -> tuple[str, ...]:
        """That it learnt from nothing, where it did; and how many images with several labels it passed over."""
        notes = []
        if self._learnt is not None and is_architecture(self._weights):
            notes.append(f"learnt from random weights ({self._weights}): pretrained ones need far fewer examples")
        if self._joined:
            notes.append(
                f"{self._joined} regions have several labels, of which it answers the likeliest alone as a rule"
            )
        if self._passed_over:
            notes.append(
                f"{self._passed_over} images with several labels were left out: its classes exclude each other"
            )
        return tuple(notes)

    # Predicting

    def predict(self, batch: Sequence[Data]) -> list[list[Value]]:
        """Everything that the model finds in images or videos (paths)."""
        return self.predict_above(batch, 0.0)

    def predict_above(self, batch: Sequence[Data], floor: float) -> list[list[Value]]:
        """The same from a score on; a classifier answers every class."""
        if not batch or not self.ready:
            return [[] for _ in batch]
        engine = self._loaded()
        asked = self._asked(engine, floor)
        if "track" in self.target.kinds:
            return [follow(engine, path, asked, self.options, self._labels(engine)) for path in batch]
        return [self._values(engine, asked, result) for result in engine.results(batch, asked, self.options.batch)]

    def respond(self, data: Data, prompts: Sequence[Value]) -> list[Value]:
        """What is in the regions that a person drew on an image (path); a classifier, what the last of them shows.

        Tracks through videos are not asked for so.
        """
        if not prompts or not self.ready or "track" in self.target.kinds:
            return []
        engine = self._loaded()
        if engine.task != "classify":
            return in_drawn(self.predict([data])[0], prompts)
        part, asked = drawn_part(read_image(data), prompts), self._asked(engine, 0.0)
        return [] if part is None else self._values(engine, asked, engine.results_of_images([part], asked)[0])

    def _asked(self, engine: Engine | Accelerated, floor: float) -> Asked:
        options = self.options
        numbers = _numbers(options.classes, engine.names) if self._learnt is None else None
        return Asked(max(options.confidence, floor), options.iou, options.imgsz, options.max_det, numbers)

    def _labels(self, engine: Engine | Accelerated) -> tuple[str, ...]:
        return engine.names if self._learnt is None else self._learnt.wanted.labels

    def _values(self, engine: Engine | Accelerated, asked: Asked, result: Results) -> list[Value]:
        """What one of ultralytics' Results says, of the kinds that are wanted."""
        labels, kinds = self._labels(engine), frozenset(self.target.kinds or GIVES[engine.task])

        def name(number: int) -> str | None:
            return labels[number] if asked.classes is None or number in asked.classes else None

        values = values_of(result, kinds, name, self._point_name)
        if self.target.multiple and engine.task == "classify":
            # The probabilities of classes sum to one: they do not say of each whether it holds.
            return [max(values, key=lambda value: value.score or 0.0)] if values else []
        return values

    def _point_name(self, number: int, place: int) -> str | None:
        if self._learnt is None:
            assert self._engine is not None
            return f"{self._engine.names[number]}::{place}"
        points = self._learnt.wanted.points
        return points[place] if place < len(points) else None

    def _loaded(self) -> Engine | Accelerated:
        with self._loading:
            if self._engine is None:
                self._engine = self._load_weights() if self._learnt is None else self._of_learnt(self._learnt)
            return self._engine

    def _load_weights(self) -> Engine | Accelerated:
        """The engine of the recipe's weights, which equal models share."""
        path, facts, options = self._path(), facts_of(self._weights), self.options
        content = content_digest(path)

        def make() -> Engine:
            given = str(path) if is_exported(str(path)) else _module(path)
            return Engine(given, facts.task, device=options.device, half=options.half, imgsz=facts.imgsz)

        engine = shared((content, options.device, options.half), make)
        if options.accelerate is None or is_exported(str(path)):
            return engine
        return Accelerated(engine, lambda: _module(path), content, options)

    def _of_learnt(self, learnt: Learnt, content: str | None = None) -> Engine | Accelerated:
        options = self.options
        task = learnt.wanted.task
        engine = Engine(learnt.module, task, device=options.device, half=options.half, imgsz=learnt.imgsz)
        if options.accelerate is None or content is None:
            return engine
        return Accelerated(engine, lambda: learnt.module, content, options)

    def _path(self) -> Path:
        """The file of the weights; fetched where the recipe asks for it. Raises AdapterError."""
        absent = missing(self._weights, self.options.download)
        if absent is not None:
            raise AdapterError(absent)
        path = find_weights(self._weights) or download(self._weights)
        expected = self.options.sha256
        if expected is not None and content_digest(path) != expected.lower():
            raise AdapterError(
                f"{path}: has SHA-256 {content_digest(path)}, and options.sha256 expects {expected.lower()}; it is not loaded"
            )
        return path

    # Learning

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Learn from images (paths) with their values; those without values show that there may be nothing.

        Raises NotEnoughData; AdapterError where the weights are not there, or cannot learn.
        """
        if "track" in self.target.kinds:
            raise NotEnoughData(
                "yolo does not learn from tracks: learn boxes from images, and name what was learnt under `weights`"
            )
        wanted = self._wanted(examples)
        start, architecture, imgsz = self._start(wanted.task)
        progress(0.0, f"writing {len(examples)} images")
        with training_folder() as directory:
            dataset = write_dataset(examples, wanted, directory, judge=self.options.patience > 0)
            progress(0.05, f"learning from {dataset.images} images")
            learnt = fit_model(start, architecture, dataset, wanted, self.options, imgsz, seed, directory, progress)
        if wanted.task == "classify":
            self._passed_over = sum(len({label_of(value) for value in example.values}) > 1 for example in examples)
        else:
            self._joined = sum(_joined(example.values) for example in examples)
        self._become(learnt)
        progress(1.0, f"learnt from {dataset.images} images")

    def _wanted(self, examples: Sequence[Example]) -> Wanted:
        """The task, and the labels in the order of the labeling config; those of the examples where it has none."""
        task = self._task()
        kinds = self.target.kinds
        values = [value for example in examples for value in example.values]
        points = kinds.get("keypoint", ()) if task == "pose" else ()
        if task == "pose":
            # Without boxes of their own, all poses are of one kind.
            labels = kinds.get("box", ()) or ("object",)
            points = points or _seen(values, (KeyPoint,))
            if not points:
                raise NotEnoughData(f"none of {len(examples)} examples has a point; annotate at least 2 that do")
            return Wanted(task, labels, points)
        own = {"segment": ("polygon", "mask"), "classify": ("choice",)}.get(task, ("box",))
        types = {"segment": (Polygon, Mask), "classify": (Choice,)}.get(task, (Box,))
        labels = tuple(dict.fromkeys(label for kind in own for label in kinds.get(kind, ()))) or self.target.labels
        return Wanted(task, labels or _seen(values, types) or ("",))

    def _task(self) -> str:
        if self.options.task != "auto":
            return cast(str, self.options.task)
        return facts_of(self._weights).task

    def _start(self, task: str) -> tuple[Module, str | dict[str, object], int]:
        """(the module to start from, or None for random weights; the architecture; the length of images)."""
        facts = facts_of(self._weights)
        usual = 224 if task == "classify" else 640
        imgsz = self.options.imgsz or (facts.imgsz if facts.task == task else None) or usual
        if is_architecture(self._weights):
            _log.warning(
                "yolo starts from random weights (%s): pretrained ones need far fewer examples and epochs",
                self._weights,
            )
            path = find_weights(self._weights)
            same = facts.task == task
            return None, (str(path or self._weights) if same else architecture_for(task, facts)), imgsz
        path = self._path()
        if is_exported(str(path)):
            raise AdapterError(
                f"{path}: was exported to be served, and cannot learn; name the .pt file that it was made of"
            )
        module = _module(path)
        return module, (module.yaml if facts.task == task else architecture_for(task, facts)), imgsz

    def _become(self, learnt: Learnt, content: str | None = None) -> None:
        with self._loading:
            self._learnt = learnt
            self._engine = self._of_learnt(learnt, content)

    def save(self, directory: Path) -> None:
        """Write tensors (safetensors) and the plan to build the module anew (JSON)."""
        assert self._learnt is not None, "an untrained model is never saved"
        save_model(self._learnt, directory)

    def load(self, directory: Path) -> None:
        """Become the version that was saved. Raises VersionError."""
        self._become(load_model(directory), content_digest(directory / TENSORS))


def _module(path: Path) -> Module:
    return ultralytics().YOLO(str(path)).model


def _weights(options: YoloOptions, target: Target) -> str:
    """What the recipe names, else the smallest published weights for what is wanted."""
    if options.weights is not None:
        return options.weights
    return _default_weights(next((kind for kind in _NATURAL if kind in target.kinds), "box"))


def _default_weights(kind: str) -> str:
    return f"yolo11n{HEADS[_NATURAL[kind]]}.pt"


def _numbers(classes: Sequence[str] | None, names: Sequence[str]) -> tuple[int, ...] | None:
    return None if classes is None else tuple(number for number, name in enumerate(names) if name in classes)


def _seen(values: Sequence[Value], types: tuple[type, ...]) -> tuple[str, ...]:
    return tuple(sorted({label_of(value) or "" for value in values if isinstance(value, types)}))


def _listed(names: Sequence[str], most: int = 10) -> str:
    shown = [_TITLES.get(name, name) for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def _joined(values: Sequence[Value]) -> int:
    """How many regions have several labels: values of one place that differ by their label alone."""
    shapes = [value for value in values if isinstance(value, Shape)]
    places = Counter(msgspec.structs.replace(value, label="", score=None) for value in shapes)
    return sum(count > 1 for count in places.values())
