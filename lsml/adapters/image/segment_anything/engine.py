"""A loaded model with the embeddings of the images that it has seen. It has one lock, and equal models are shared."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsml.adapters.image.segment_anything.embeddings import Embedding, Embeddings
from lsml.adapters.image.segment_anything.models import Marks, MaskModel, fitted, input_of, pixels_of
from lsml.adapters.parts.cut_out import Cut
from lsml.adapters.parts.drawn import Drawn
from lsml.adapters.parts.pictures import read_image
from lsml.adapters.parts.pooled import Pool
from lsml.files.digests import content_digest
from lsml.values.coverage import bounds

if TYPE_CHECKING:
    from torch import Tensor


class MaskEngine:
    """Images and marks in, pixels out. `budget`: the most bytes of kept embeddings."""

    def __init__(self, model: MaskModel, budget: int) -> None:
        self._model = model
        self._embeddings = Embeddings(budget)
        self._lock = threading.Lock()

    def cut(self, path: Path, objects: Sequence[Drawn]) -> list[Cut]:
        """Return the pixels of each object in an image. Only the first call for an image runs the encoder.

        Raises AdapterError where the image cannot be read.
        """
        import torch

        with self._lock, torch.inference_mode():
            embedding = self._embedding(path)
            cuts = []
            for one in objects:
                mask, score = _best(*self._model.decode(embedding.features, self._prompt(one, embedding.size)))
                cuts.append(Cut(pixels_of(mask, self._model, embedding.size), score))
            return cuts

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


# Engines by content of the weights, device and budget.
POOL: Final[Pool[MaskEngine]] = Pool()
