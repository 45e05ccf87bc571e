"""Files as arrays: an upright image, and the frames of a video with their times."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from lsml.errors import AdapterError

if TYPE_CHECKING:
    from lsml.arrays import Array


T = TypeVar("T")
_USUAL_RATE: Final = 25.0  # frames per second of a file without a frame rate
# Shorter ends are not missed: containers round their length, and some only estimate it.
_TOLERATED_S: Final = 0.5
_TOLERATED: Final = 0.02
_THREADS: Final = 4  # images decoded or scaled at a time


def read_image(path: Path) -> Array:
    """Return an upright image (rows, columns, 3), in the order BGR. Raises AdapterError where it is none."""
    import cv2
    import numpy as np

    image: Array | None = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR)
    if image is not None:
        return image
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            colours = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise AdapterError(f"{path.name} cannot be read as an image; convert it to PNG or JPEG") from error
    return np.ascontiguousarray(np.asarray(colours)[:, :, ::-1])


def read_images(paths: Sequence[Path]) -> list[Array]:
    """Return images as `read_image` does, several at a time, as OpenCV runs without Python's lock. Raises AdapterError."""
    return in_parallel(read_image, paths)


def in_parallel(function: Callable[[T], Array], arguments: Sequence[T]) -> list[Array]:
    """Return the results of a function that uses OpenCV."""
    if len(arguments) == 1:
        return [function(arguments[0])]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="images") as pool:
        return list(pool.map(function, arguments))


def image_batches(paths: Sequence[Path], size: int) -> Iterator[list[Array]]:
    """Yield the images of files in batches. While the caller computes on one, the next is read: two are in memory.

    Raises AdapterError where a file is no image.
    """
    parts = [paths[begin : begin + size] for begin in range(0, len(paths), size)]
    if len(parts) < 2:
        yield from map(read_images, parts)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="decode") as pool:
        coming = pool.submit(read_images, parts[0])
        for part in parts[1:]:
            images, coming = coming.result(), pool.submit(read_images, part)
            yield images
        yield coming.result()


def scaled_to(image: Array, side: int) -> Array:
    """Return an image (rows, columns, ...) whose longer side is at most `side` pixels; itself where it is no larger."""
    import cv2

    rows, columns = image.shape[:2]
    scale = side / max(rows, columns)
    if scale >= 1:
        return image
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    smaller: Array = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return smaller


class Frames:
    """The frames of a video, decoded one after the other: only one is in memory, however long the video is.

    Times are the file's own, which need not be regular; where it has none, they follow from its frame rate.
    """

    def __init__(self, path: Path) -> None:
        import cv2

        self._path = path
        video = cv2.VideoCapture(str(path))
        try:
            rate, count = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
        finally:
            video.release()
        self._rate = rate if math.isfinite(rate) and 0 < rate <= 1000 else _USUAL_RATE
        # By the file's own account, which its end may not keep; 0 where it says nothing.
        self.duration_s = count / self._rate if math.isfinite(count) and count > 0 else 0.0
        # After all frames were read: the length of the end that is missing or cannot be decoded.
        self.missing_s = 0.0

    @property
    def tolerance_s(self) -> float:
        """Half of the time between two frames, by which the time of one may differ from where Label Studio counts it."""
        return 0.5 / self._rate

    def every(self, step: int) -> Iterator[tuple[float, Array]]:
        """Yield (time in seconds, frame as in `read_image`) of every `step`-th frame, as far as the file can be decoded.

        Raises AdapterError where it is no video.
        """
        import cv2

        video = cv2.VideoCapture(str(self._path))
        try:
            time_s, index = -1.0, 0
            while video.grab():
                told = video.get(cv2.CAP_PROP_POS_MSEC) / 1000
                usable = math.isfinite(told) and told > time_s and (told > 0 or index == 0)
                time_s = told if usable else (time_s + 1 / self._rate if index else 0.0)
                if index % step == 0:
                    got, frame = video.retrieve()
                    if got:
                        yield time_s, frame
                index += 1
            if index == 0:
                raise AdapterError(f"{self._path.name}: cannot be read as a video; convert it to MP4 (H.264)")
            missing = self.duration_s - (time_s + 1 / self._rate)
            self.missing_s = missing if missing > max(_TOLERATED_S, _TOLERATED * self.duration_s) else 0.0
        finally:
            video.release()
