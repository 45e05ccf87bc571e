"""Easy worlds that tests draw: coloured shapes on a noisy ground, kept as PNG files."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = {"Red": (205, 40, 40), "Green": (40, 160, 60), "Blue": (40, 70, 200)}


def ground(draw: random.Random, size: tuple[int, int]) -> Image.Image:
    """A grey ground with a little noise, the same for the same `draw`."""
    noise = Image.frombytes("L", size, bytes(draw.randrange(108, 148) for _ in range(size[0] * size[1])))
    return Image.merge("RGB", (noise, noise, noise))


def disc(
    path: Path, colour: str, centre: Sequence[float], radius: float, size: tuple[int, int] = (120, 90), seed: int = 1
) -> Path:
    """A file with one disc; `centre` and `radius` in pixels."""
    image = ground(random.Random(seed), size)
    x, y = centre
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=COLOURS[colour])
    image.save(path)
    return path


def discs(folder: Path, count: int, seed: int = 7) -> list[tuple[Path, str]]:
    """(file, colour) of images with one disc each, of every colour in turn, in different places and sizes."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        colour = list(COLOURS)[number % len(COLOURS)]
        radius = draw.uniform(14, 24)
        centre = (draw.uniform(radius, 120 - radius), draw.uniform(radius, 90 - radius))
        path = disc(folder / f"{seed}-{number}.png", colour, centre, radius, seed=draw.randrange(10_000))
        made.append((path, colour))
    return made
