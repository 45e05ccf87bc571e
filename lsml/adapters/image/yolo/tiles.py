"""Large images in tiles, for small objects: overlapping parts of an image, and their boxes as boxes of the whole.

F. C. Akyon, S. O. Altinuc, A. Temizel: Slicing Aided Hyper Inference and Fine-Tuning for Small Object Detection, 2022.
https://doi.org/10.1109/ICIP46576.2022.9897990
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from lsml.adapters.image.yolo.options import YoloOptions
from lsml.adapters.parts.pictures import read_image
from lsml.values import Box, Value

if TYPE_CHECKING:
    from lsml.arrays import Array

_OVERLAP: Final = 0.2  # the least share of a tile that the next one repeats
_SAME: Final = 0.5  # the share of the smaller box in the other from which both are of one object
_EDGE: Final = 0.01  # of a tile; a box so near to an edge inside the image is probably cut there


class Tile(NamedTuple):
    """A part of an image, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def part_of(self, image: Array) -> Array:
        """Return its pixels in an image (rows, columns, 3)."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


def tiles_of(columns: int, rows: int, side: int) -> list[Tile]:
    """Return the whole image, in which large objects are whole, and tiles of at most `side` pixels that cover it."""
    whole = Tile(0, 0, columns, rows)
    if max(columns, rows) <= side:
        return [whole]
    lefts, tops = _starts(columns, side), _starts(rows, side)
    return [whole, *(Tile(left, top, min(side, columns), min(side, rows)) for top in tops for left in lefts)]


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = -(-(length - side) // max(1, round(side * (1 - _OVERLAP)))) + 1
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def boxes_in_tiles(
    options: YoloOptions, found_in: Callable[[Sequence[Array]], list[list[Value]]], most: int, path: Path
) -> list[Value]:
    """Return at most `most` boxes of an image, found in its tiles by `found_in`. Raises AdapterError where it is none."""
    assert options.tile is not None
    image = read_image(path)
    rows, columns = image.shape[:2]
    tiles = tiles_of(columns, rows, options.tile)
    found: list[tuple[Tile, list[Value]]] = []
    for begin in range(0, len(tiles), options.batch):
        some = tiles[begin : begin + options.batch]
        found += zip(some, found_in([tile.part_of(image) for tile in some]), strict=True)
    return joined_boxes(found, columns, rows, most)


def joined_boxes(found: Sequence[tuple[Tile, Sequence[Value]]], columns: int, rows: int, most: int) -> list[Value]:
    """Return the boxes of tiles as those of an image, each object once, best first and at most `most`.

    Of two boxes of one object, one that a tile cuts off gives way, else the one with the lower score.
    """
    boxes = [one for tile, values in found for one in _in_image(tile, values, columns, rows)]
    boxes.sort(key=lambda pair: (pair[1], -(pair[0].score or 0.0)))
    kept: list[Box] = []
    for box, _ in boxes:
        if not any(other.label == box.label and _share(box, other) > _SAME for other in kept):
            kept.append(box)
    kept.sort(key=lambda box: -(box.score or 0.0))
    return list(kept[:most])


def _in_image(tile: Tile, values: Sequence[Value], columns: int, rows: int) -> Iterator[tuple[Box, bool]]:
    """Yield (box in the image, True if the tile cuts it off)."""
    for value in values:
        if isinstance(value, Box):
            cut = (
                (tile.left > 0 and value.x < _EDGE)
                or (tile.top > 0 and value.y < _EDGE)
                or (tile.left + tile.width < columns and value.x + value.width > 1 - _EDGE)
                or (tile.top + tile.height < rows and value.y + value.height > 1 - _EDGE)
            )
            yield Box(
                value.label, value.score, aspect=columns / rows,
                x=(tile.left + value.x * tile.width) / columns, y=(tile.top + value.y * tile.height) / rows,
                width=value.width * tile.width / columns, height=value.height * tile.height / rows,
            ), cut  # fmt: skip


def _share(one: Box, other: Box) -> float:
    """Return the share of the smaller of two boxes that lies in the other."""
    wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(0.0, wide) * max(0.0, high) / min(one.width * one.height, other.width * other.height)
