"""A video as a series: for each of some frames, its colours, edges and motion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from lsml.adapters.parts.pictures import Frames
from lsml.errors import AdapterError
from lsml.labeling.series import Points

if TYPE_CHECKING:
    from lsml.arrays import Array

_SIZE: Final = (64, 48)  # pixels to which a frame is scaled
_COLOURS: Final = 2  # cells along each side with their own colours
_COLOUR: Final = 20.0  # steps of a colour that count as one, so that colours and motion are of one size
_MOTION: Final = 3  # and with their own motion
CHANNELS: Final = 4 * _COLOURS**2 + _MOTION**2 + 4
_MOVING: Final = _MOTION**2 + 3  # channels that tell of motion, the last ones
_MOST_FRAMES: Final = 50_000  # frames of one video: at 8 a second nearly two hours; of longer ones, fewer a second


class FrameSeries(NamedTuple):
    """The points of a video, one for each frame used; the time between two of them, and of the missing end, in seconds."""

    points: Points
    step_s: float
    missing_s: float


def footage_of(path: Path, rate: float) -> FrameSeries:
    """Return features of at most `rate` frames a second: colours, edges and motion. Raises AdapterError.

    Frames are read one after the other, so that the memory does not grow with their size.
    """
    import numpy as np

    video = Frames(path)
    step_s = max(1 / rate, video.duration_s / _MOST_FRAMES)
    times: list[float] = []
    rows: list[Array] = []
    before: Array | None = None
    for time_s, frame in video.every(1):
        if times and time_s < times[-1] + step_s - video.tolerance_s:
            continue
        small = _small(frame)
        elapsed_s = time_s - times[-1] if times else step_s
        rows.append(_row(small, small if before is None else before, elapsed_s))
        times.append(time_s)
        before = small
    if not rows:
        raise AdapterError(f"{path.name}: has no frame that can be decoded; convert it to MP4 (H.264)")
    if len(rows) > 1:
        rows[0][-_MOVING:] = rows[1][-_MOVING:]  # nothing tells how the first frame moves
    return FrameSeries(Points(np.array(times), np.stack(rows)), step_s, video.missing_s)


def _small(frame: Array) -> Array:
    """Return a frame as (rows, columns, 3): lightness in [0, 100], and two colours."""
    import cv2
    import numpy as np

    scaled = cv2.resize(frame, _SIZE, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    lab: Array = cv2.cvtColor(scaled, cv2.COLOR_BGR2LAB)
    return lab


def _row(small: Array, before: Array, elapsed_s: float) -> Array:
    import cv2
    import numpy as np

    light, former = small[:, :, 0], before[:, :, 0]
    colours = _cells(small, _COLOURS)
    flow = cv2.calcOpticalFlowFarneback(_bytes(former), _bytes(light), None, 0.5, 2, 11, 2, 5, 1.1, 0)
    change = np.abs(light - former)
    motion = np.log1p(_cells(change[:, :, None], _MOTION).mean(axis=2).ravel() / elapsed_s)
    across, down = flow.reshape(-1, 2).mean(axis=0) / elapsed_s
    speed = np.log1p(np.linalg.norm(flow, axis=2).mean() / elapsed_s)
    return np.concatenate([
        colours.mean(axis=2).ravel() / _COLOUR, colours[..., 0].std(axis=2).ravel() / _COLOUR,
        [np.log1p(np.abs(cv2.Laplacian(light, cv2.CV_32F)).mean())],
        motion, [across, down, speed],
    ]).astype(np.float64)  # fmt: skip


def _cells(image: Array, count: int) -> Array:
    """Return (count, count, pixels, channels) of an image (rows, columns, channels)."""
    high, wide = image.shape[0] // count, image.shape[1] // count
    whole = image[: count * high, : count * wide]  # without the last columns where they do not divide
    cells = whole.reshape(count, high, count, wide, image.shape[2])
    return cells.transpose(0, 2, 1, 3, 4).reshape(count, count, high * wide, -1)


def _bytes(light: Array) -> Array:
    import numpy as np

    return (light * 2.55).clip(0, 255).astype(np.uint8)
