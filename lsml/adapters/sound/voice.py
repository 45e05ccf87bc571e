"""Voice detection: the stretches of a recording with a voice in them, found a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from lsml.adapters.sound.reading import read_sound
from lsml.adapters.sound.whisper import LONGEST_S, RATE

if TYPE_CHECKING:
    from lsml.arrays import Array

_PART_S: Final = 120.0  # seconds of audio read together
_NEAR_S: Final = 1.0  # seconds; speech that ends this close to the end of a part may continue in the next
_MARGIN_MS: Final = 200  # seconds kept before and after speech


class Speech(NamedTuple):
    """A stretch with a voice: seconds from the beginning of the recording, and its samples, RATE of them in a second."""

    start: float
    end: float
    samples: Array


def speeches(path: Path, pause_s: float) -> Iterator[Speech]:
    """Yield the stretches of a recording with speech, in order, each at most LONGEST_S long.

    A pause of `pause_s` seconds separates two stretches. The memory does not grow with the recording. Raises
    AdapterError.
    """
    import numpy as np

    waiting = np.zeros(0, dtype=np.float32)
    begin = 0  # the start of the waiting audio, in samples of the recording
    for block in _heard(path):
        waiting = np.concatenate([waiting, block])
        if len(waiting) < _PART_S * RATE:
            continue
        used = len(waiting) - round(_NEAR_S * RATE)
        for start, end in _voices(waiting, pause_s):
            if end > len(waiting) - _NEAR_S * RATE:
                used = start
                break
            yield _speech(waiting, begin, start, end)
        begin, waiting = begin + used, waiting[used:]
    for start, end in _voices(waiting, pause_s):
        yield _speech(waiting, begin, start, end)


def _speech(samples: Array, begin: int, start: int, end: int) -> Speech:
    return Speech((begin + start) / RATE, (begin + end) / RATE, samples[start:end])


def _voices(samples: Array, pause_s: float) -> list[tuple[int, int]]:
    """Return (start, end) in samples, by the detector in faster-whisper's package (Silero)."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    if not len(samples):
        return []
    options = VadOptions(
        min_silence_duration_ms=round(1000 * pause_s), speech_pad_ms=_MARGIN_MS, max_speech_duration_s=LONGEST_S - 1
    )
    return [(int(one["start"]), int(one["end"])) for one in get_speech_timestamps(samples, options)]


def _heard(path: Path) -> Iterator[Array]:
    """Yield the recording in blocks of samples, RATE of them in a second."""
    import av
    import numpy as np

    recording = read_sound(path)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    for block in recording.blocks:
        if len(block):
            frame = av.AudioFrame.from_ndarray(np.asarray(block, np.float32)[None], format="flt", layout="mono")
            frame.sample_rate = recording.rate
            for part in resampler.resample(frame):
                yield part.to_ndarray()[0]
    for part in resampler.resample(None):
        yield part.to_ndarray()[0]
