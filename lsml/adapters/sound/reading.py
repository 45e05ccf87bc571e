"""Sound files as blocks of samples, read by libsndfile. PyAV, if installed, reads the formats that it does not know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from lsml.errors import AdapterError

if TYPE_CHECKING:
    import soundfile
    from av.container import InputContainer

    from lsml.arrays import Array

SOUNDS: Final = frozenset({"Audio", "AudioPlus"})  # object tags
_SAMPLES: Final = 1 << 18  # of all channels together in one block
# Containers that hold their own sound. A playlist would make the library open other files.
_CONTAINERS: Final = (
    "aac,ac3,aiff,amr,amrnb,amrwb,asf,au,avi,caf,flac,flv,matroska,mov,mp3,mpeg,mpegts,mp4,ogg,wav,webm"
)


class Recording(NamedTuple):
    """Sound with its channels mixed into one: samples per second, and blocks (samples,) of finite floats, mostly in [-1, 1]."""

    rate: int
    blocks: Iterator[Array]


def read_sound(path: Path) -> Recording:
    """Return the sound of a file, whose blocks are read lazily. Raises AdapterError if it cannot be read; so do the blocks."""
    import soundfile

    try:
        file = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, RuntimeError, TypeError, OSError) as error:
        return _by_av(path, error)
    return Recording(file.samplerate, _blocks(path, file))


def _blocks(path: Path, file: soundfile.SoundFile) -> Iterator[Array]:
    import soundfile

    with file:
        try:
            for block in file.blocks(blocksize=max(1, _SAMPLES // file.channels), dtype="float32", always_2d=True):
                yield _mixed(block, 1)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise AdapterError(f"{path.name}: its sound is damaged: {error}") from error


def _by_av(path: Path, why: Exception) -> Recording:
    if find_spec("av") is None:
        raise AdapterError(
            f"{path.name}: is not a sound file that libsndfile reads ({str(why).rpartition(': ')[2]}); `pip install "
            "av` adds more formats, and the sound of videos"
        )
    import av

    try:
        options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
        file = av.open(str(path), options=options, metadata_errors="ignore")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise AdapterError(f"{path.name}: is not a sound or video file that can be read") from error
    if not file.streams.audio or not file.streams.audio[0].rate:
        file.close()
        raise AdapterError(f"{path.name}: has no sound")
    return Recording(int(file.streams.audio[0].rate), _frames(path, file))


def _frames(path: Path, file: InputContainer) -> Iterator[Array]:
    import av

    with closing(file):
        stream = file.streams.audio[0]
        mixer = av.AudioResampler(format="fltp", rate=stream.rate)
        try:
            for frame in file.decode(stream):
                for part in mixer.resample(frame):
                    yield _mixed(part.to_ndarray(), 0)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise AdapterError(f"{path.name}: its sound is damaged") from error


def _mixed(block: Array, axis: int) -> Array:
    """Return the mean of the channels, silent where a file of floats holds no finite number."""
    import numpy as np

    mixed: Array = np.nan_to_num(block.mean(axis=axis), posinf=0.0, neginf=0.0)
    return mixed
