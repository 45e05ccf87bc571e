"""Pages that tests draw: lines of text in the font that Pillow brings, kept as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

SIZE = (700, 420)


class Written(NamedTuple):
    """A line: its text, its top left corner in pixels, and by how many degrees it is turned about that, clockwise. `font`: a
    file, where the text has letters that the font of Pillow lacks."""

    text: str
    x: int
    y: int
    turned: float = 0.0
    points: int = 30
    font: Path | None = None


INVOICE = (
    Written("Invoice number 4711", 40, 40),
    Written("Total 1,250.00 EUR", 40, 110),
    Written("turned by twenty", 80, 190, 20.0),
)


def page(lines: Sequence[Written] = INVOICE, size: tuple[int, int] = SIZE) -> Image.Image:
    """A white page with black lines."""
    image = Image.new("RGB", size, "white")
    for line in lines:
        font = ImageFont.truetype(line.font, line.points) if line.font else ImageFont.load_default(line.points)
        left, top, *_ = font.getbbox(line.text)
        ink = Image.new("L", (size[0] * 2, size[1] * 2), 0)
        ImageDraw.Draw(ink).text((size[0] - left, size[1] - top), line.text, font=font, fill=255)
        ink = ink.rotate(-line.turned, resample=Image.Resampling.BICUBIC, center=size)
        start = (size[0] - line.x, size[1] - line.y)
        image.paste("black", (0, 0), ink.crop((*start, start[0] + size[0], start[1] + size[1])))
    return image


def page_file(path: Path, lines: Sequence[Written] = INVOICE) -> Path:
    """The same as a file."""
    page(lines).save(path)
    return path
