"""A loaded model with the embeddings of the images that it has seen. It has one lock, and equal models are shared."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsml.adapters.image.segment_anything.embeddings import Embedding, Embeddings
from lsml.adapters.image.segment_anything.models import Marks, MaskModel, fitted, input_of, pixels_of
from lsml.adapters.parts.cut_out import Cut
from lsml.adapters.parts.devices import computing_with, free_memory, is_out_of_memory
from lsml.adapters.parts.drawn import Drawn
from lsml.adapters.parts.pictures import read_image
from lsml.adapters.parts.pooled import Pool
from lsml.errors import AdapterError
from lsml.files.digests import content_digest
from lsml.values.coverage import bounds

if TYPE_CHECKING:
    from torch import Tensor, dtype

_log = logging.getLogger(__name__)
_MIB: Final = 2**20


class MaskEngine:
    """Images and marks in, pixels out. `budget`: the most bytes of kept embeddings; `precision`: see `precision_of`."""

    def __init__(self, model: MaskModel, budget: int, precision: dtype | None = None) -> None:
        self._model = model
        self._embeddings = Embeddings(budget)
        self._precision = precision
        self._lock = threading.Lock()

    def cut(self, path: Path, objects: Sequence[Drawn]) -> list[Cut]:
        """Return the pixels of each object in an image. Only the first call for an image runs the encoder.

        Where the device runs out of memory, half of the kept embeddings make room, and there will be no more of them. Raises
        AdapterError where the image cannot be read, or does not fit into the memory alone.
        """
        import torch

        with self._lock:
            while True:
                try:
                    with torch.inference_mode(), computing_with(self._model.device, self._precision):
                        return self._cut(path, objects)
                except RuntimeError as error:
                    if not is_out_of_memory(error):
                        raise
                # Here the error is gone, and with it the tensors that its traceback held.
                self._make_room()

    def _cut(self, path: Path, objects: Sequence[Drawn]) -> list[Cut]:
        embedding = self._embedding(path)
        cuts = []
        for one in objects:
            mask, score = _best(*self._model.decode(embedding.features, self._prompt(one, embedding.size)))
            cuts.append(Cut(pixels_of(mask, self._model, embedding.size), score))
        return cuts

    def _make_room(self) -> None:
        held = self._embeddings.bytes
        if not held:
            raise AdapterError(
                "segment-anything: the device has too little memory for one image; choose a smaller model, or `device: cpu`"
            )
        self._embeddings.keep_within(held // 2)
        free_memory()
        _log.warning(
            "segment-anything: the device has too little memory; from now on it keeps at most %d MiB of what it has read of "
            "images; set `cache: %d` to begin with it", held // 2 // _MIB, held // 2 // _MIB,
        )  # fmt: skip

    def _embedding(self, path: Path) -> Embedding:
        key = content_digest(path)
        found = self._embeddings.get(key)
        if found is None:
            image = read_image(path)
            size = image.shape[1], image.shape[0]
            found = Embedding(self._model.encode(input_of(image, self._model)), size)
            self._embeddings.put(key, found)
        return found

    def _prompt(self, drawn: Drawn, size: tuple[int, int]) -> Marks:
        """Return the marks of an object in pixels of the model's input."""
        columns, rows = fitted(self._model, size)
        points = [(point.x * columns, point.y * rows) for point in drawn.points]
        box = None
        if drawn.around is not None:
            left, top, right, bottom = bounds(drawn.around)
            box = (left * columns, top * rows, right * columns, bottom * rows)
        return Marks(points, [int(point.positive) for point in drawn.points], box)


def _best(masks: Tensor, scores: Tensor) -> tuple[Tensor, float]:
    """Return the mask with the highest score, and the score in [0, 1]: the overlap with the object that it expects."""
    index = int(scores.argmax())
    return masks[index], min(1.0, max(0.0, float(scores[index])))


# Engines by content of the weights, device, budget and precision.
POOL: Final[Pool[MaskEngine]] = Pool()
