"""Films that tests draw: textured things that move over a noisy ground."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lsml.adapters.base import Example
from lsml.values import Interval, Keyframe

WIDTH, HEIGHT, RATE = 160, 120, 10.0
Box = tuple[float, float, float, float]  # x, y, width, height in pixels


def thing(seed: int) -> Any:
    """A picture of a thing, (40, 40, 3): blobs of its own."""
    import cv2
    import numpy as np

    noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (40, 40), interpolation=cv2.INTER_CUBIC)


def film(path: Path, frames: int, *paths: Callable[[int], Box | None], rate: float = RATE, codec: str = "MJPG") -> Path:
    """Write a film of things; each of `paths` tells where one is in a frame, None while it is hidden."""
    import cv2
    import numpy as np

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (WIDTH, HEIGHT))
    ground = cv2.resize(np.random.default_rng(0).integers(90, 160, (15, 20, 3), dtype=np.uint8), (WIDTH, HEIGHT))
    for number in range(frames):
        noise = np.random.default_rng(number).integers(0, 12, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        image = ground + noise
        for seed, place in enumerate(paths, 1):
            box = place(number)
            if box is not None:
                x, y, wide, high = (round(side) for side in box)
                part = image[max(0, y) : y + high, max(0, x) : x + wide]
                drawn = cv2.resize(thing(seed), (wide, high), interpolation=cv2.INTER_AREA)
                part[:] = drawn[max(0, -y) : max(0, -y) + part.shape[0], max(0, -x) : max(0, -x) + part.shape[1]]
        writer.write(image)
    writer.release()
    return path


def along(x: float, y: float, dx: float, dy: float, side: float = 24.0, growth: float = 0.0) -> Callable[[int], Box]:
    """The way of a thing that moves evenly, and grows."""
    return lambda n: (x + n * dx, y + n * dy, side + n * growth, side + n * growth)


SCENES = ("Dark", "Move", "Still")


def scene_film(path: Path, seed: int, labels: tuple[str, ...] = SCENES) -> Example:
    """A film of scenes of `labels`, in an order and of lengths of its own, and between them parts of nothing: a blue
    screen. What a person would say of it are the intervals."""
    import cv2
    import numpy as np

    draw = random.Random(seed)
    order, values, images = list(labels), [], []
    draw.shuffle(order)
    ground = cv2.resize(np.random.default_rng(seed).integers(90, 200, (12, 16, 3), dtype=np.uint8), (WIDTH, HEIGHT))
    for label in order:
        images += [np.full((HEIGHT, WIDTH, 3), (200, 80, 40), np.uint8)] * draw.randint(8, 16)
        begin = len(images)
        for number in range(draw.randint(12, 24)):
            moved = np.roll(ground, 6 * number if label == "Move" else 0, axis=1)
            images.append(moved // 5 if label == "Dark" else moved)
        values.append(Interval(begin / RATE, len(images) / RATE, label))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), RATE, (WIDTH, HEIGHT))
    for number, image in enumerate(images):
        writer.write(image + np.random.default_rng(number).integers(0, 6, image.shape, dtype=np.uint8))
    writer.release()
    return Example(path, tuple(values))


def scene_films(folder: Path, seeds: range, labels: tuple[str, ...] = SCENES) -> list[Example]:
    """Films of scenes, each of its own seed."""
    folder.mkdir(exist_ok=True)
    return [scene_film(folder / f"scenes-{seed}.avi", seed, labels) for seed in seeds]


def marked(way: Callable[[int], Box], number: int = 0, *, enabled: bool = True) -> Keyframe:
    """What a person says of a thing in a frame."""
    x, y, wide, high = way(number)
    return Keyframe(number / RATE, x / WIDTH, y / HEIGHT, wide / WIDTH, high / HEIGHT, enabled=enabled)
