"""`<BrushLabels>`, `<Brush>`, `<BitmaskLabels>` and `<Bitmask>`: the pixels of a region.

A brush keeps them as Label Studio's run lengths, `{"format": "rle", "rle": [...]}`, and needs `original_width` and
`original_height`; a bitmask as a picture, `{"imageDataURL": "data:image/png;base64,..."}`.
https://labelstud.io/tags/brushlabels, https://labelstud.io/tags/bitmasklabels
"""

from __future__ import annotations

import base64
import binascii
import io
from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from lsml.controls.base import Region
from lsml.controls.shapes import Geometry, ShapeControl, original_size
from lsml.labeling.remarks import Misread, Reason
from lsml.labeling.view import View
from lsml.values import Mask, Shape, Value
from lsml.wording import JSON

if TYPE_CHECKING:
    from lsml.arrays import Array

_PNG = "data:image/png;base64,"
_MOST_PIXELS = 200_000_000


class MaskControl(ShapeControl):
    """Masks, each with a label."""

    value_type: ClassVar[type] = Mask

    def _drawn_size(self, value: Shape, on: View) -> tuple[int, int] | None:
        """Return the view's size; where that is unknown, the mask's."""
        assert isinstance(value, Mask)
        return on.size or (value.width, value.height)

    def _geometry(self, value: Mask, on: View) -> Geometry | None:
        from lsml.values.geometry import resized_pixels

        width, height = on.size or (value.width, value.height)
        pixels = resized_pixels(value.pixels(), width, height)
        return self._written_pixels(pixels) if pixels.any() else None

    @abstractmethod
    def _written_pixels(self, pixels: Array) -> Geometry:
        """Return the keys of a value that hold pixels (rows, columns)."""

    @abstractmethod
    def _read_pixels(self, region: Region, value: Geometry) -> Array:
        """Return the pixels of a value. Raises ValueError where it holds none."""

    def _found(self, region: Region, value: Geometry, fields: dict[str, Any]) -> Iterator[Value]:
        try:
            pixels = self._read_pixels(region, value)
        except (ValueError, OverflowError) as error:
            raise Misread(Reason.UNREADABLE_PIXELS, f"their pixels cannot be read ({error})") from error
        if not pixels.any():
            raise Misread(Reason.NO_AREA)
        yield Mask.from_pixels(pixels, **fields)


class BrushLabels(MaskControl):
    """Masks as run lengths."""

    tag: ClassVar[str] = "BrushLabels"

    def _written_pixels(self, pixels: Array) -> Geometry:
        from lsml.controls.brush import encode_brush

        return {"format": "rle", "rle": encode_brush(pixels)}

    def _read_pixels(self, region: Region, value: Geometry) -> Array:
        from lsml.controls.brush import decode_brush

        size, rle = original_size(region), value.get("rle")
        if size is None:
            raise ValueError("original_width and original_height are missing")
        if size[0] * size[1] > _MOST_PIXELS or not isinstance(rle, list):
            raise ValueError("its size or its run lengths are invalid")
        return decode_brush(rle, *size)

    def _geometry_problem(self, region: Region, value: Geometry) -> str | None:
        if value.get("format") != "rle":
            return f'value.format is {JSON.shown(value.get("format"))}; expected "rle"'
        rle = value.get("rle")
        if not isinstance(rle, list) or not rle or not _are_bytes(rle):
            return f"value.rle is {JSON.shown(rle)}; expected bytes from 0 to 255"
        if original_size(region) is None:
            return "original_width and original_height are missing; a brush cannot be drawn without them"
        return None


def _are_bytes(rle: list[Any]) -> bool:
    # Two passes at the speed of C, as there may be a hundred thousand.
    return set(map(type, rle)) == {int} and min(rle) >= 0 and max(rle) <= 255


class Brush(BrushLabels):
    """Masks as run lengths, whose labels are in a `<Labels>` for the same image, or that have none."""

    tag: ClassVar[str] = "Brush"
    companion_tag: ClassVar[str | None] = "Labels"


class BitmaskLabels(MaskControl):
    """Masks as pictures: white where the region is, transparent elsewhere."""

    tag: ClassVar[str] = "BitmaskLabels"

    def _written_pixels(self, pixels: Array) -> Geometry:
        import numpy as np
        from PIL import Image

        image = Image.fromarray(pixels.astype(np.uint8))
        # Two colours, of which the first is transparent, so that readers of the colour and of the alpha see the same.
        image.putpalette([0, 0, 0, 255, 255, 255])
        file = io.BytesIO()
        image.save(file, format="PNG", bits=1, transparency=0)
        return {"imageDataURL": _PNG + base64.b64encode(file.getvalue()).decode("ascii")}

    def _read_pixels(self, region: Region, value: Geometry) -> Array:
        import numpy as np
        from PIL import Image, UnidentifiedImageError

        given = value.get("imageDataURL")
        if not isinstance(given, str) or not given.startswith(_PNG):
            raise ValueError(f"imageDataURL is no {_PNG}...")
        try:
            with Image.open(
                io.BytesIO(base64.b64decode(given.removeprefix(_PNG), validate=True)), formats=["PNG"]
            ) as image:
                if image.width * image.height > _MOST_PIXELS:
                    raise ValueError("it is too large")
                clear = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
                channel = image.convert("RGBA").getchannel("A") if clear else image.convert("L")
                return np.asarray(np.asarray(channel) > 127)
        except (binascii.Error, UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError("it is no PNG") from error

    def _geometry_problem(self, region: Region, value: Geometry) -> str | None:
        given = value.get("imageDataURL")
        if not isinstance(given, str) or not given.startswith(_PNG):
            return f"value.imageDataURL is {JSON.shown(given)}; expected {_PNG}..."
        return None


class Bitmask(BitmaskLabels):
    """Masks as pictures, whose labels are in a `<Labels>` for the same image, or that have none."""

    tag: ClassVar[str] = "Bitmask"
    companion_tag: ClassVar[str | None] = "Labels"
