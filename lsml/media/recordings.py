"""Parts of recordings, each as a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lsml.adapters.sound.reading import Recording, read_sound
from lsml.errors import AdapterError
from lsml.files.cache import new_file
from lsml.labeling.objects import Times, Unreadable

if TYPE_CHECKING:
    from soundfile import SoundFile


def cut_stretches(path: Path, times: Sequence[Times], scratch: Callable[[], Path]) -> list[Path]:
    """Return parts of a recording, each as a WAV file of one channel. One that begins after the end holds no sound.

    The recording is read once, a block at a time. Raises Unreadable, and OSError where a part cannot be written.
    """
    if not times:
        return []
    if find_spec("soundfile") is None:
        raise Unreadable("no library", 'segments of recordings need soundfile; pip install "lsml[sound]"')
    made: list[Path] = []
    try:
        recording = read_sound(path)
        for _ in times:
            made.append(scratch())
            new_file(made[-1]).close()
        _write(recording, times, made)
    except BaseException as error:
        for part in made:
            part.unlink(missing_ok=True)
        if isinstance(error, AdapterError):
            raise Unreadable("bad sound", str(error)) from error
        raise
    return made


def _write(recording: Recording, times: Sequence[Times], parts: Sequence[Path]) -> None:
    """Write the sound of each stretch into its file. Only the files of stretches that a block touches are open."""
    places = [(round(begin * recording.rate), round(end * recording.rate)) for begin, end in times]
    at = 0
    with ExitStack() as stack:
        files: dict[int, SoundFile] = {}
        for block in recording.blocks:
            for number, (begin, end) in enumerate(places):
                if begin < at + len(block) and end > at:
                    if number not in files:
                        files[number] = stack.enter_context(_new_sound(parts[number], recording.rate))
                    files[number].write(block[max(0, begin - at) : end - at])
                    if end <= at + len(block):
                        files[number].close()
            at += len(block)
            if all(end <= at for _, end in places):
                break
        for number in set(range(len(parts))) - files.keys():
            _new_sound(parts[number], recording.rate).close()


def _new_sound(path: Path, rate: int) -> SoundFile:
    import soundfile

    return soundfile.SoundFile(path, "w", samplerate=rate, channels=1, format="WAV", subtype="FLOAT")
