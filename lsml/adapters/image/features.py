"""Frozen features of images, from a vision model or from colours and edges: what linear models of images are trained on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from lsml.adapters.base import MACHINE, PREDICTIONS, Progress, silent
from lsml.adapters.parts.transformers_models import device_of, find, load_model
from lsml.errors import AdapterError
from lsml.files.digests import content_digest

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from lsml.arrays import Array

_SIDE: Final = 128  # pixels of a side to which an image is scaled, for colours and edges
_CELL: Final = 16
_GRID: Final = 4


class ImageOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of features of images; each adapter with them adds its own."""

    encoder: Annotated[
        str | None,
        Meta(
            description="A vision model of transformers whose features are used: its folder, relative to the "
            "recipe's, or its name if it was downloaded before (needs the extra transformers). null: "
            "colours and edges, which need no weights.",
            extra={**PREDICTIONS, "file": True, "hub": True},
        ),
    ] = None
    device: Annotated[str, Meta(description="The encoder's device: auto, cpu, cuda, cuda:1, mps.", extra=MACHINE)] = (
        "auto"
    )
    batch: Annotated[int, Meta(ge=1, le=1024, description="Images in one batch of the encoder.", extra=MACHINE)] = 16


class ImageFeatures:
    """Images -> rows of floats. `adapter` is named in errors. Raises AdapterError."""

    def __init__(self, adapter: str, options: ImageOptions) -> None:
        self._adapter = adapter
        self._options = options
        self._reader: _ColoursAndEdges | _VisionModel | None = None
        self._lock = threading.Lock()

    def rows(self, paths: Sequence[Path], progress: Progress = silent) -> Array:
        """Return features: (images, features)."""
        import numpy as np

        with self._lock:
            if self._reader is None:
                encoder = self._options.encoder
                self._reader = (
                    _ColoursAndEdges()
                    if encoder is None
                    else _VisionModel(self._adapter, encoder, self._options.device)
                )
        parts = []
        for begin in range(0, len(paths), self._options.batch):
            progress(begin / len(paths), f"reading image {begin + 1} of {len(paths)}")
            parts.append(self._reader.rows(paths[begin : begin + self._options.batch]))
        return np.concatenate(parts)

    def identity(self) -> str:
        """Return a hash of the encoder's content; "" for none."""
        encoder = self._options.encoder
        return "" if encoder is None else content_digest(find(self._adapter, encoder, "a vision model"))


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


class _VisionModel:
    """A vision model of transformers that turns an image into a vector of length 1. Raises AdapterError."""

    def __init__(self, adapter: str, name: str, device: str) -> None:
        try:
            from transformers import AutoImageProcessor
        except ImportError as error:
            raise AdapterError(
                f'{adapter}: encoder {name} needs transformers; pip install "lsml[images,transformers]"'
            ) from error
        folder = find(adapter, name, "a vision model")
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
