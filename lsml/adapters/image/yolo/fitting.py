"""Training with ultralytics' trainers, and saved models without code."""

from __future__ import annotations

import json
import logging
import math
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lsml.adapters.base import Progress
from lsml.adapters.image.yolo.dataset import Dataset
from lsml.adapters.image.yolo.library import all_threads, ultralytics
from lsml.adapters.image.yolo.options import YoloOptions
from lsml.adapters.image.yolo.starting import StartingPoint
from lsml.adapters.parts.calibration import PlattScaling
from lsml.adapters.parts.training_objects import TrainingGoal
from lsml.errors import VersionError
from lsml.files.cache import cache_directory

if TYPE_CHECKING:
    from torch.nn import Module
    from ultralytics.engine.trainer import BaseTrainer


_log = logging.getLogger(__name__)
TENSORS: Final = "model.safetensors"
PLAN: Final = "model.json"
_FORMAT: Final = 1
_UNCHANGED: Final = dict.fromkeys(
    ("mosaic", "hsv_h", "hsv_s", "hsv_v", "degrees", "translate", "scale", "shear", "perspective", "erasing"), 0.0
)
_AUGMENTATIONS: Final[dict[str, dict[str, object]]] = {
    "usual": {},
    "light": {"mosaic": 0.0},
    "none": {**_UNCHANGED, "auto_augment": None},
}
_ABANDONED_S: Final = 2 * 24 * 3600  # a training's folder of this age was left by a killed process


@dataclass(frozen=True)
class Learnt:
    """A trained model: the module, its task and labels, and the side of images in pixels; and the calibration of scores, or
    of a classifier the temperature.
    """

    module: Module
    goal: TrainingGoal
    imgsz: int
    calibration: PlattScaling = field(default_factory=PlattScaling)
    temperature: float = 1.0


def go_on(learnt: Learnt | None, options: YoloOptions, task: str) -> StartingPoint | None:
    """Return the start of a training that resumes from a trained model; None without one of that task, or where the recipe
    does not say so.
    """
    if not options.resume or learnt is None or learnt.goal.task != task:
        return None
    return StartingPoint(learnt.module, learnt.module.yaml, options.imgsz or learnt.imgsz)


def fit_model(
    start: StartingPoint,
    dataset: Dataset,
    goal: TrainingGoal,
    options: YoloOptions,
    seed: int,
    directory: Path,
    progress: Progress,
) -> Learnt:
    """Train on a dataset and return the model.

    If a part of the dataset judges epochs, the best one is kept, else the last. Raises what `progress` raises.
    """
    steps = 0
    best: dict[str, Module] = {}

    def on_step(trainer: BaseTrainer) -> None:
        nonlocal steps
        steps += 1
        share = min(1.0, steps / max(1, trainer.epochs * len(trainer.train_loader)))
        progress(0.05 + 0.9 * share, f"epoch {trainer.epoch + 1} of {trainer.epochs}")

    def on_epoch(trainer: BaseTrainer) -> None:
        if dataset.judged and trainer.fitness is not None and trainer.fitness == trainer.best_fitness:
            best["module"] = deepcopy(trainer.ema.ema)

    arguments = _arguments(goal.task, dataset, options, start.imgsz, seed, directory)
    with all_threads():
        trainer = _trainer(goal.task, dataset, arguments)
        callbacks = defaultdict(list, {"on_train_batch_end": [on_step], "on_fit_epoch_end": [on_epoch]})
        trainer.callbacks = callbacks
        trainer.model = trainer.get_model(cfg=deepcopy(start.architecture), weights=start.module, verbose=False)
    trainer.train()
    if trainer.batch_size < arguments["batch"]:
        # ultralytics halves it, and says so where nobody hears it.
        _log.warning(
            "yolo: the device has too little memory for a batch of %d; it was trained with %d; set `train_batch: %d` to begin "
            "with it", arguments["batch"], trainer.batch_size, trainer.batch_size,
        )  # fmt: skip
    module = best.get("module") or deepcopy(trainer.ema.ema)
    module = module.float().eval().cpu()
    for unneeded in ("criterion", "args"):
        if hasattr(module, unneeded):
            setattr(module, unneeded, None)
    return _named(module, goal, start.imgsz)


def _arguments(
    task: str, dataset: Dataset, options: YoloOptions, imgsz: int, seed: int, directory: Path
) -> dict[str, object]:
    batch = min(options.train_batch, dataset.images)
    while batch > 2 and dataset.images % batch == 1:
        batch -= 1  # a last batch of one image is too small for batch normalisation
    given: dict[str, object] = {
        "task": task, "mode": "train", "model": "", "data": "", "epochs": options.epochs, "imgsz": imgsz, "batch": batch,
        # One step for each batch: ultralytics' default of 64 images for a step is too many for few examples.
        "nbs": batch,
        # So few steps that three epochs of it, the default, would be half of a short training.
        "warmup_epochs": min(3.0, options.epochs / 8),
        "patience": options.patience if dataset.judged else 0, "freeze": options.freeze or None, "seed": seed,
        "device": None if options.device == "auto" else options.device, "deterministic": True, "workers": 0,
        # ultralytics tests mixed precision with weights that it would download.
        "amp": False, "plots": False, "verbose": False, "val": dataset.judged, "save": False,
        "save_dir": str(directory / "run"),
    }  # fmt: skip
    given |= {"fliplr": 0.5 if options.mirror else 0.0, **_AUGMENTATIONS[options.augmentation]}
    if options.class_balance:
        given["cls_pw"] = options.class_balance
    if options.learning_rate != "auto":
        given |= {"optimizer": "AdamW", "lr0": options.learning_rate}
    return given


def _trainer(task: str, dataset: Dataset, arguments: dict[str, object]) -> BaseTrainer:
    """Return one of ultralytics' trainers that uses the dataset unchanged, writes only into its folder, and judges only if
    asked.
    """
    ultralytics()
    from ultralytics.models import yolo

    trainers = {"detect": yolo.detect.DetectionTrainer, "obb": yolo.obb.OBBTrainer,
                "segment": yolo.segment.SegmentationTrainer, "pose": yolo.pose.PoseTrainer,
                "classify": yolo.classify.ClassificationTrainer}  # fmt: skip
    base: Any = trainers[task]

    class Trainer(base):  # type: ignore[misc]  # ultralytics has no types
        def get_dataset(self) -> dict[str, object]:
            return dataset.data

        def validate(self) -> Any:
            return super().validate() if dataset.judged else ({}, 0.0)

        def save_model(self) -> bool:
            return False

        def save_metrics(self, metrics: object) -> None:
            pass

        def final_eval(self) -> None:
            pass

    return Trainer(overrides=arguments)


@contextmanager
def training_folder() -> Iterator[Path]:
    """Yield a folder for one training, on the disk of the media cache; leftovers of killed processes there are removed."""
    root = cache_directory("yolo")
    for path in root.iterdir():
        if time.time() - path.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="training-", dir=root) as directory:
        yield Path(directory)


def save_model(learnt: Learnt, directory: Path) -> None:
    """Write the tensors, and as JSON the plan to build the module again."""
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in learnt.module.state_dict().items()}
    save_file(tensors, str(directory / TENSORS))
    plan = {
        "format": _FORMAT,
        "task": learnt.goal.task,
        "labels": learnt.goal.labels,
        "points": learnt.goal.points,
        "imgsz": learnt.imgsz,
        "calibration": learnt.calibration,
        "temperature": learnt.temperature,
        "architecture": learnt.module.yaml,
        "ultralytics": ultralytics().__version__,
    }
    (directory / PLAN).write_text(json.dumps(plan, indent=1), encoding="utf-8")


def load_model(directory: Path) -> Learnt:
    """Return a saved model. Raises VersionError."""
    try:
        plan = json.loads((directory / PLAN).read_text(encoding="utf-8"))
        if plan["format"] != _FORMAT:
            raise ValueError(f"format {plan['format']}")
        goal = TrainingGoal(plan["task"], tuple(plan["labels"]), tuple(plan["points"]))
        module = _build(plan, goal)
        from safetensors.torch import load_file

        module.load_state_dict(load_file(str(directory / TENSORS)))
        # Older versions have neither.
        calibration = PlattScaling.restore(plan.get("calibration", PlattScaling()))
        heat = float(plan.get("temperature", 1.0))
        if not 0 < heat < math.inf:
            raise ValueError(f"temperature {heat}")
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        first = (str(error).splitlines() or [""])[0][:200]
        raise VersionError(
            f"{directory}: yolo cannot read it with ultralytics {ultralytics().__version__}: {first}; restore it, "
            "install the ultralytics that made it, or train again"
        ) from error
    learnt = _named(module.float().eval(), goal, plan["imgsz"])
    return replace(learnt, calibration=calibration, temperature=heat)


def _named(module: Module, goal: TrainingGoal, imgsz: int) -> Learnt:
    """Return a module with the attributes that ultralytics needs; it does not accept an empty label."""
    module.names = {number: label or "object" for number, label in enumerate(goal.labels)}
    module.task = goal.task
    return Learnt(module, goal, imgsz)


def _build(plan: dict[str, Any], goal: TrainingGoal) -> Module:
    ultralytics()
    from ultralytics.nn import tasks

    models = {"detect": tasks.DetectionModel, "obb": tasks.OBBModel, "segment": tasks.SegmentationModel,
              "pose": tasks.PoseModel, "classify": tasks.ClassificationModel}  # fmt: skip
    architecture = plan["architecture"]
    more = {"data_kpt_shape": architecture["kpt_shape"]} if goal.task == "pose" else {}
    return models[goal.task](deepcopy(architecture), nc=len(goal.labels), verbose=False, **more)
