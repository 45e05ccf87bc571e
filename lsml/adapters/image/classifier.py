"""image-classifier: a linear model on frozen features of images, from a vision model or from colours and edges."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Protocol

import msgspec
from msgspec import Meta

from lsml.adapters.base import (
    MACHINE,
    PREDICTIONS,
    Data,
    Example,
    Progress,
    Target,
    TrainableAdapter,
    silent,
)
from lsml.adapters.parts.linear_head import ClassWeight, Closeness, LinearHead, labelled
from lsml.adapters.parts.state import load_state, save_state
from lsml.adapters.parts.transformers_models import device_of, find, load_model
from lsml.errors import AdapterError, VersionError
from lsml.files.digests import content_digest
from lsml.values import Choice, Value

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from lsml.arrays import Array, Rows

_SIDE: Final = 128  # pixels of a side to which an image is scaled, for colours and edges
_CELL: Final = 16
_GRID: Final = 4


class ImageClassifierOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `image-classifier`."""

    encoder: Annotated[
        str | None,
        Meta(
            description="A vision model of transformers whose features are used: its folder, relative to the "
            "recipe's, or its name if it was downloaded before (needs the extra transformers). null: "
            "colours and edges, which need no weights.",
            extra={**PREDICTIONS, "file": True},
        ),
    ] = None
    C: Closeness = "auto"
    class_weight: ClassWeight = "auto"
    device: Annotated[str, Meta(description="The encoder's device: auto, cpu, cuda, cuda:1, mps.", extra=MACHINE)] = (
        "auto"
    )
    batch: Annotated[int, Meta(ge=1, le=1024, description="Images in one batch of the encoder.", extra=MACHINE)] = 16


class _Features(Protocol):
    """Images -> rows of floats."""

    def rows(self, paths: Sequence[Path]) -> Array:
        """Return features: (images, features)."""


class ImageClassifier(TrainableAdapter[ImageClassifierOptions]):
    """One label or several for an image. It predicts every label of its training with its probability."""

    name: ClassVar[str] = "image-classifier"
    title: ClassVar[str] = "labels for images, trained on a few examples in seconds"
    consumes: ClassVar[frozenset[str]] = frozenset({"Image"})
    produces: ClassVar[frozenset[type]] = frozenset({Choice})
    requires: ClassVar[tuple[str, ...]] = ("skimage", "PIL", "sklearn", "skops")
    extra: ClassVar[str | None] = "images"
    learns_quickly: ClassVar[bool] = True
    Options: ClassVar[type[msgspec.Struct]] = ImageClassifierOptions

    def __init__(self, options: ImageClassifierOptions, target: Target) -> None:
        super().__init__(options, target)
        self._head: LinearHead | None = None
        self._features: _Features | None = None
        self._lock = threading.Lock()

    @property
    def ready(self) -> bool:
        """True if it is trained or loaded."""
        return self._head is not None

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on images (paths) and their choices; labels that the target does not have are ignored.

        Raises NotEnoughData unless two different labels occur.
        """
        import numpy as np

        learnt = labelled(examples, self.target, "images")
        paths = [examples[index].data for index in learnt.indices]
        parts = []
        for begin in range(0, len(paths), self.options.batch):
            progress(0.8 * begin / len(paths), f"reading image {begin + 1} of {len(paths)}")
            parts.append(self._rows(paths[begin : begin + self.options.batch]))

        def fitting(share: float, message: str) -> None:
            progress(0.8 + 0.2 * share, message)

        rows = np.concatenate(parts)
        self._head = LinearHead.fit(
            rows, learnt, multiple=self.target.multiple, options=self.options, seed=seed, progress=fitting
        )
        progress(1.0, f"trained {len(learnt.labels)} labels on {len(paths)} images")

    def predict(self, batch: Sequence[Data]) -> Sequence[Sequence[Value]]:
        """Return every known label with its probability, for each image; labels in alphabetical order."""
        if self._head is None or not batch:
            return [[] for _ in batch]
        values: list[Sequence[Value]] = []
        for begin in range(0, len(batch), self.options.batch):
            values += self._head.values(self._rows(batch[begin : begin + self.options.batch]))
        return values

    def features(self, batch: Sequence[Data]) -> Rows | None:
        """Return the features from which a classifier of these images would learn."""
        import numpy as np

        size = self.options.batch
        return np.concatenate([self._rows(batch[begin : begin + size]) for begin in range(0, len(batch), size)])

    def save(self, directory: Path) -> None:
        """Write one skops file of arrays; the encoder is not part of it."""
        assert self._head is not None, "an untrained model is never saved"
        save_state(directory, {**self._head.state(), "encoder": self._identity()})

    def load(self, directory: Path) -> None:
        """Load a saved version. Raises VersionError, also where it was learnt with another encoder."""
        state = load_state(directory, self.name)
        try:
            known = str(state["encoder"])
            head = LinearHead.restore(state, len(state["weights"]))
        except (KeyError, TypeError, ValueError) as error:
            raise VersionError(
                f"{directory}: {self.name} cannot read it: {error}; restore it, or train again"
            ) from error
        if known != self._identity():
            raise VersionError(
                f"{directory}: was trained with another encoder than {self.options.encoder}; train again"
            )
        self._head = head

    def _identity(self) -> str:
        """Return a hash of the encoder's content; "" for none."""
        encoder = self.options.encoder
        return "" if encoder is None else content_digest(find(self.name, encoder, "a vision model"))

    def _rows(self, paths: Sequence[Path]) -> Array:
        with self._lock:
            if self._features is None:
                encoder = self.options.encoder
                self._features = _ColoursAndEdges() if encoder is None else _Encoder(encoder, self.options.device)
        return self._features.rows(paths)


class _ColoursAndEdges:
    """Features of an image: the places of colours, and the directions of edges."""

    def rows(self, paths: Sequence[Path]) -> Array:
        """Return features: (images, features)."""
        import numpy as np

        return np.stack([self._row(path) for path in paths])

    def _row(self, path: Path) -> Array:
        import numpy as np
        from skimage.color import rgb2gray, rgb2hsv
        from skimage.feature import hog

        pixels = np.asarray(_open(path).resize((_SIDE, _SIDE)), dtype=np.float64) / 255.0  # (rows, columns, 3)
        edges = hog(rgb2gray(pixels), orientations=9, pixels_per_cell=(_CELL, _CELL), cells_per_block=(2, 2))
        hsv = rgb2hsv(pixels).reshape(-1, 3)
        histogram, _ = np.histogramdd(hsv, bins=(12, 4, 4), range=((0, 1), (0, 1), (0, 1)))
        # Grey pixels have no useful hue; a square root keeps large areas from dominating small ones.
        colours = np.sqrt(histogram.ravel() / len(hsv))
        cells = pixels.reshape(_GRID, _SIDE // _GRID, _GRID, _SIDE // _GRID, 3)
        layout = np.concatenate([cells.mean(axis=(1, 3)).ravel(), cells.std(axis=(1, 3)).ravel()])
        return np.concatenate([_unit(edges), _unit(colours), _unit(layout)])


class _Encoder:
    """A vision model of transformers that turns an image into a vector of length 1. Raises AdapterError."""

    def __init__(self, name: str, device: str) -> None:
        try:
            from transformers import AutoImageProcessor
        except ImportError as error:
            raise AdapterError(
                f'image-classifier: encoder {name} needs transformers; pip install "lsml[images,transformers]"'
            ) from error
        folder = find("image-classifier", name, "a vision model")
        try:
            self._processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise AdapterError(
                f"{folder}: its image processor cannot be read: {error}; give a complete model"
            ) from error
        self._model = load_model("AutoModel", folder)
        self._model = getattr(self._model, "vision_model", self._model)  # the vision half of CLIP and SigLIP
        self._device = device_of(device)
        self._model.to(self._device)
        self._lock = threading.Lock()

    def rows(self, paths: Sequence[Path]) -> Array:
        """Return features: (images, features)."""
        import numpy as np
        import torch

        inputs = self._processor(images=[_open(path) for path in paths], return_tensors="pt")
        with self._lock, torch.inference_mode():
            output = self._model(pixel_values=inputs["pixel_values"].to(self._device))
        pooled = getattr(output, "pooler_output", None)
        if pooled is None:
            hidden = output.last_hidden_state
            pooled = (
                hidden.mean(dim=tuple(range(1, hidden.dim() - 1))) if hidden.dim() == 3 else hidden.mean(dim=(2, 3))
            )
        rows = pooled.flatten(1).float().cpu().numpy().astype(np.float64)
        return np.stack([_unit(row) for row in rows])


def _open(path: Path) -> Picture:
    """Return an image as RGB; transparent pixels become white."""
    from PIL import Image

    with Image.open(path) as image:
        if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
            return image.convert("RGB")
        seen = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")


def _unit(vector: Array) -> Array:
    import numpy as np

    length = float(np.linalg.norm(vector))
    return vector / length if length else vector
