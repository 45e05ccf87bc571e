"""A model served by another runtime, once its results agree with torch's."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsml.adapters.image.yolo.engine import Engine, PredictSettings
from lsml.adapters.image.yolo.library import all_threads, ultralytics
from lsml.adapters.image.yolo.options import YoloOptions
from lsml.files.cache import cache_directory

if TYPE_CHECKING:
    from torch.nn import Module
    from ultralytics.engine.results import Results

    from lsml.arrays import Array


_log = logging.getLogger(__name__)
_SURE: Final = 0.25  # results with a lower score may differ
_OVERLAP: Final = 0.9
_SCORES: Final = 0.05
_AGREEING: Final = 0.95  # the share of results that both must find
_EXTRAS: Final = {"onnx": "onnx", "openvino": "openvino"}


class Accelerated:
    """An engine that exports its model at the first request, checks it on the first images, and serves the export from
    then on.

    `content` names the model; its export is kept in the cache. If the export fails or disagrees, torch serves on, and a
    warning is logged.
    """

    def __init__(self, engine: Engine, module: Callable[[], Module], content: str, options: YoloOptions) -> None:
        self.task, self.names = engine.task, engine.names
        self._torch = engine
        self._module = module
        self._content = content
        self._options = options
        self._settled: Engine | None = None
        self._settling = threading.Lock()

    def results(self, paths: Sequence[Path], asked: PredictSettings, batch: int) -> Iterator[Results]:
        """Yield results as Engine.results does."""
        yield from self._chosen(paths[:batch], asked).results(paths, asked, batch)

    def results_of_images(self, images: Sequence[Array], asked: PredictSettings) -> list[Results]:
        """Return results as Engine.results_of_images does; frames of a video are not used for the check."""
        return (self._settled or self._torch).results_of_images(images, asked)

    def features(self, paths: Sequence[Path], asked: PredictSettings, batch: int) -> Array | None:
        """Return features as Engine.features does, by torch."""
        return self._torch.features(paths, asked, batch)

    def _chosen(self, paths: Sequence[Path], asked: PredictSettings) -> Engine:
        with self._settling:
            if self._settled is None:
                self._settled = self._choose_engine(paths, asked)
            return self._settled

    def _choose_engine(self, paths: Sequence[Path], asked: PredictSettings) -> Engine:
        runtime = self._options.accelerate
        assert runtime is not None
        try:
            exported = self._exported(runtime)
            half, device = self._options.half, self._options.device
            fast = Engine(str(exported), self.task, device=device, half=half, imgsz=self._torch.imgsz)
            ours = list(fast.results(paths, asked, self._options.batch))
        except Exception as error:  # a missing runtime, or one that cannot run the model, may raise anything
            first = (str(error).splitlines() or [""])[0][:200]
            _log.warning(
                "yolo: %s cannot serve the model (%s: %s), so torch does; is lsml[%s] installed?",
                runtime, type(error).__name__, first, _EXTRAS[runtime],
            )  # fmt: skip
            return self._torch
        share = agreement(ours, list(self._torch.results(paths, asked, self._options.batch)))
        if share < _AGREEING:
            _log.warning("yolo: %s finds only %.0f %% of torch's results, so torch serves", runtime, 100 * share)
            return self._torch
        _log.info("yolo: served by %s, with the same results as torch on %d images", runtime, len(paths))
        return fast

    def _exported(self, runtime: str) -> Path:
        """Return the exported model, made once; another process may be making it, too."""
        version = ultralytics().__version__
        kept = cache_directory("exports") / f"{self._content[:32]}-{version}"
        name = "model.onnx" if runtime == "onnx" else "model_openvino_model"
        if (kept / runtime / name).exists():
            return kept / runtime / name
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept) as made:
            _export(self._module(), runtime, self._torch.imgsz, Path(made))
            try:
                (kept / runtime).mkdir()
                shutil.move(Path(made) / name, kept / runtime / name)
            except OSError:
                if not (kept / runtime / name).exists():
                    raise
        return kept / runtime / name


def _export(module: Module, runtime: str, imgsz: int, folder: Path) -> None:
    """Write `model.onnx` or `model_openvino_model` into a folder, for any number of images of any size."""
    from ultralytics.engine.exporter import Exporter

    module = deepcopy(module).float()
    module.pt_path = str(folder / "model.pt")  # the export is written beside it, and named after it
    with all_threads():
        Exporter(overrides={"mode": "export", "format": runtime, "dynamic": True, "imgsz": imgsz, "device": "cpu"})(
            module
        )


def agreement(ours: Sequence[Results], theirs: Sequence[Results]) -> float:
    """Return the share of confident results that both have, in [0, 1]; 1 without results."""
    found = total = 0
    for one, other in zip(ours, theirs, strict=True):
        if one.probs is not None:
            total += 1
            found += bool((one.probs.data.cpu() - other.probs.data.cpu()).abs().max() <= _SCORES)
            continue
        for rows, counterparts in ((_rows(one), _rows(other)), (_rows(other), _rows(one))):
            sure = [row for row in rows if row[-2] >= _SURE + _SCORES]
            total += len(sure)
            found += sum(any(_alike(row, counterpart) for counterpart in counterparts) for row in sure)
    return found / total if total else 1.0


def _rows(result: Results) -> list[list[float]]:
    """Return x1, y1, x2, y2, score, class of each result; for rotated boxes, those of their bounding boxes."""
    boxes = result.boxes if result.obb is None else result.obb
    if boxes is None:
        return []
    rows: list[list[float]] = [
        [*corners, score, number]
        for corners, score, number in zip(boxes.xyxy.tolist(), boxes.conf.tolist(), boxes.cls.tolist(), strict=True)
    ]
    return rows


def _alike(one: Sequence[float], other: Sequence[float]) -> bool:
    if one[-1] != other[-1] or abs(one[-2] - other[-2]) > _SCORES:
        return False
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, wide) * max(0.0, high)
    areas = [(row[2] - row[0]) * (row[3] - row[1]) for row in (one, other)]
    return both >= _OVERLAP * (sum(areas) - both)
