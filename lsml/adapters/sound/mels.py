"""Log-mel spectra of sound: for each moment, the loudness in bands of frequencies spaced as ears tell them apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lsml.adapters.sound.reading import Recording
    from lsml.arrays import Array

HOP_S: Final = 0.01  # seconds between the starts of frames
_WINDOW_S: Final = 0.025  # seconds of a frame
_LOWEST_HZ: Final = 50.0
_HIGHEST_HZ: Final = 8000.0
_QUIET: Final = 1e-10  # power; below the resolution of 16 bits, so that all silence is equal


def log_mels(recording: Recording, bands: int) -> Iterator[Array]:
    """Yield the log-mels (frames, bands) of a recording, block by block, one frame each `HOP_S` at any sample rate. At a
    low rate the high bands are empty.
    """
    import numpy as np

    rate = recording.rate
    window, hop = max(2, round(_WINDOW_S * rate)), max(1, round(HOP_S * rate))
    shape = np.hanning(window)
    filters = _filters(rate, window, bands)
    rest = np.zeros(0, dtype=np.float64)
    seen = False
    for block in recording.blocks:
        rest = np.concatenate([rest, np.asarray(block, dtype=np.float64)])
        count = (len(rest) - window) // hop + 1
        if count > 0:
            seen = True
            yield _log_power(rest, count, hop, shape, filters)
            rest = rest[count * hop :]
    if not seen and len(rest):  # a recording shorter than a frame
        yield _log_power(np.pad(rest, (0, window - len(rest))), 1, hop, shape, filters)


def _log_power(samples: Array, count: int, hop: int, shape: Array, filters: Array) -> Array:
    import numpy as np

    frames = np.lib.stride_tricks.sliding_window_view(samples, len(shape))[::hop][:count]
    size = 2 * (len(filters) - 1)
    power = np.abs(np.fft.rfft(frames * shape, size)) ** 2
    power /= len(shape) * float((shape**2).sum())
    return np.asarray(np.log(power @ filters + _QUIET))


@lru_cache(maxsize=16)
def _filters(rate: int, window: int, bands: int) -> Array:
    """Return filters (frequencies, bands): triangles, evenly spaced in mels. Those above the recording's frequencies are 0."""
    import numpy as np

    size = 1 << (window - 1).bit_length()
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    corners = 700 * (10 ** (np.linspace(_mel(_LOWEST_HZ), _mel(_HIGHEST_HZ), bands + 2) / 2595) - 1)
    low, middle, high = corners[:-2], corners[1:-1], corners[2:]
    rising = (frequencies[:, None] - low) / (middle - low)
    falling = (high - frequencies[:, None]) / (high - middle)
    filters = np.maximum(0.0, np.minimum(rising, falling))
    # A band between two frequencies takes the value of the nearer one.
    for band in np.flatnonzero(filters.sum(axis=0) == 0):
        if middle[band] <= rate / 2:
            filters[np.abs(frequencies - middle[band]).argmin(), band] = 1.0
    return np.asarray(filters)


def _mel(frequency: float) -> float:
    return 2595 * math.log10(1 + frequency / 700)
