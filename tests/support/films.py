"""Films that tests draw: textured things that move over a noisy ground."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lsml.values import Keyframe

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


def marked(way: Callable[[int], Box], number: int = 0, *, enabled: bool = True) -> Keyframe:
    """What a person says of a thing in a frame."""
    x, y, wide, high = way(number)
    return Keyframe(number / RATE, x / WIDTH, y / HEIGHT, wide / WIDTH, high / HEIGHT, enabled=enabled)
