"""The scaling of images to the input of a detector: its size, and its colours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lsml.errors import AdapterError

if TYPE_CHECKING:
    from torch import Tensor

    from lsml.arrays import Array

_Colours = tuple[float, float, float]


class Scaling(NamedTuple):
    """The size of a model's input in pixels (rows, columns), and what is taken from colours in [0, 1] and divides them."""

    rows: int = 640
    columns: int = 640
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    spread: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @classmethod
    def of(cls, folder: Path) -> Scaling:
        """Return the scaling that a folder of weights names; 640 x 640 where it names none. Raises AdapterError."""
        path = folder / "preprocessor_config.json"
        if not path.is_file():
            return cls()
        try:
            facts = json.loads(path.read_bytes())
            size = facts.get("size") or {}
            made = cls(int(size.get("height", 640)), int(size.get("width", 640)))
            if facts.get("do_normalize"):
                colours = msgspec.convert((facts["image_mean"], facts["image_std"]), tuple[_Colours, _Colours])
                made = made._replace(mean=colours[0], spread=colours[1])
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise AdapterError(f"{path}: cannot be read as the settings of an image processor: {error}") from error
        return made

    def in_steps_of(self, step: int) -> Scaling:
        """Return the scaling whose sides are the nearest multiples of a number of pixels."""
        rows, columns = (max(step, round(side / step) * step) for side in (self.rows, self.columns))
        return self._replace(rows=rows, columns=columns)

    def input_of(self, image: Array) -> Tensor:
        """Return an image (rows, columns, 3), BGR of bytes, as RGB of bytes in the model's size: (3, rows, columns)."""
        import numpy as np
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(image[:, :, ::-1])).permute(2, 0, 1)[None]
        # As the library's processor: smoothed where it becomes smaller.
        size = (self.rows, self.columns)
        return torch.nn.functional.interpolate(pixels, size, mode="bilinear", antialias=True)[0]

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return bytes (images, 3, rows, columns) as the numbers that a model takes."""
        import torch

        values = pixels.float() / 255
        if self.mean == (0.0, 0.0, 0.0) and self.spread == (1.0, 1.0, 1.0):
            return values
        mean, spread = (torch.tensor(one, device=values.device)[:, None, None] for one in (self.mean, self.spread))
        return (values - mean) / spread
