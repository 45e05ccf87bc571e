"""Drawn, easy worlds for image adapters: coloured shapes on a noisy ground, and what a person would say of each."""

from __future__ import annotations

import atexit
import math
import random
import shutil
import tempfile
from functools import cache
from pathlib import Path

from lsml.adapters.base import Example
from lsml.values import Box, Choice, KeyPoint, Mask, Polygon

SIZE = 96  # pixels
COLOURS = {"red": (60, 60, 220), "blue": (220, 90, 40)}  # blue, green, red


@cache
def folder() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="lsml-worlds-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def drawn(value):
    """The pixels of a box, an outline or a mask, drawn by OpenCV."""
    import cv2
    import numpy as np

    fine = 4 * SIZE
    if isinstance(value, Mask):
        return cv2.resize(value.pixels().astype(np.uint8), (fine, fine), interpolation=cv2.INTER_NEAREST)
    if isinstance(value, Polygon):
        points = np.array(value.points)
    else:
        turn = math.radians(value.rotation)
        along, down = np.array([math.cos(turn), math.sin(turn)]), np.array([-math.sin(turn), math.cos(turn)])
        corner = np.array([value.x, value.y])
        points = corner + np.array(
            [0 * along, value.width * along, value.width * along + value.height * down, value.height * down]
        )
    return cv2.fillPoly(np.zeros((fine, fine), np.uint8), [np.round(points * fine).astype(np.int32)], 1)


def overlap(one, other):
    """Intersection over union of two values of a square picture."""
    ours, theirs = drawn(one) > 0, drawn(other) > 0
    return (ours & theirs).sum() / max(1, (ours | theirs).sum())


def _ground(draw: random.Random):
    import numpy as np

    generator = np.random.default_rng(draw.randrange(1 << 30))
    return generator.integers(170, 200, (SIZE, SIZE, 3), dtype=np.uint8)


def shape_examples(kind: str, count: int, seed: int = 1, shapes: int = 2) -> list[Example]:
    """Images with up to `shapes` rectangles in red and blue, and one picture of nothing in eight, with values of a kind:
    box, rotated, polygon, mask, pose or choice."""
    import cv2
    import numpy as np

    draw = random.Random(seed)
    examples = []
    for number in range(count):
        image = _ground(draw)
        values = []
        # A label for the whole image needs one thing in it.
        many = 1 if kind == "choice" else 0 if number % 8 == 7 else draw.randint(1, shapes)
        for place in range(many):
            label = "red" if number % 2 == 0 else "blue"
            if place:
                label = draw.choice(list(COLOURS))
            wide, high = draw.randint(26, 34), draw.randint(16, 22)
            half = SIZE / 2 / max(1, many)
            centre = (half + 2 * half * place if many > 1 else draw.randint(30, SIZE - 30), draw.randint(30, SIZE - 30))
            angle = draw.choice([20, 45, 70, 110, 160]) if kind == "rotated" else 0
            corners = cv2.boxPoints((centre, (wide, high), angle))
            cv2.fillPoly(image, [np.round(corners).astype(np.int32)], COLOURS[label])
            if kind == "pose":
                # A white dot at one end, a black one at the other.
                ends = [(centre[0] - wide / 2 + 5, centre[1]), (centre[0] + wide / 2 - 5, centre[1])]
                for end, colour in zip(ends, ((255, 255, 255), (0, 0, 0)), strict=True):
                    cv2.circle(image, (round(end[0]), round(end[1])), 4, colour, -1)
                ends.append((centre[0] - wide / 2, centre[1] - high / 2))  # a corner at the white end
                values += _pose(label, centre, wide, high, ends, str(place))
            else:
                values.append(_value(kind, label, centre, wide, high, angle, corners))
        path = folder() / f"{kind}-{seed}-{shapes}-{number}.png"
        cv2.imwrite(str(path), image)
        examples.append(Example(path, tuple(values)))
    return examples


def _value(kind, label, centre, wide, high, angle, corners):
    import cv2
    import numpy as np

    points = tuple((float(x) / SIZE, float(y) / SIZE) for x, y in corners)
    if kind == "choice":
        return Choice(label)
    if kind == "polygon":
        return Polygon(label=label, points=points)
    if kind == "mask":
        pixels = np.zeros((SIZE, SIZE), np.uint8)
        cv2.fillPoly(pixels, [np.round(corners).astype(np.int32)], 1)
        return Mask.from_pixels(pixels, label)
    turn = math.radians(angle)
    cos, sin = math.cos(turn), math.sin(turn)
    x, y = centre[0] - wide / 2 * cos + high / 2 * sin, centre[1] - wide / 2 * sin - high / 2 * cos
    return Box(label, x=x / SIZE, y=y / SIZE, width=wide / SIZE, height=high / SIZE, rotation=float(angle))


def _pose(label, centre, wide, high, ends, group):
    x, y = centre[0] - wide / 2, centre[1] - high / 2
    box = Box(label, group=group, x=x / SIZE, y=y / SIZE, width=wide / SIZE, height=high / SIZE)
    points = [
        KeyPoint(name, group=group, x=x / SIZE, y=y / SIZE)
        for name, (x, y) in zip(("head", "tail", "ear"), ends, strict=True)
    ]
    return [box, *points]
