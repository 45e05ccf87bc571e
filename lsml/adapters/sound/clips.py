"""Whole recordings as rows of features: their sounds, the variation of these, and their course from beginning to end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from lsml.adapters.base import Progress
from lsml.adapters.parts.notes import reason_of, unlearnt
from lsml.adapters.sound.mels import log_mels
from lsml.adapters.sound.reading import read_sound
from lsml.errors import AdapterError

if TYPE_CHECKING:
    from lsml.arrays import Array

_BANDS: Final = 40
_PARTS: Final = 4  # parts of a recording's time, each with its own mean
_MAX_MOMENTS: Final = 512  # the most frames kept of a recording
WIDTH: Final = 4 * _BANDS + _PARTS * _BANDS + 2


def row_of(path: Path) -> Array:
    """Return the features (WIDTH,) of a recording. The memory does not grow with its length. Raises AdapterError."""
    import numpy as np

    frames, total, squares, steps = 0, *np.zeros((3, _BANDS))
    last: Array | None = None
    moments = _Moments()
    loudest = np.full(_BANDS, -np.inf)
    for block in log_mels(read_sound(path), _BANDS):
        mels = block.astype(np.float64)
        frames += len(mels)
        total += mels.sum(axis=0)
        squares += (mels**2).sum(axis=0)
        steps += np.abs(np.diff(mels, axis=0, prepend=mels[:1] if last is None else last)).sum(axis=0)
        last, loudest = mels[-1:], np.maximum(loudest, mels.max(axis=0))
        moments.add(mels)
    if not frames:
        raise AdapterError(f"{path.name}: has no sound")
    mean = total / frames
    spread = np.sqrt(np.maximum(squares / frames - mean**2, 0.0))
    parts = [part.mean(axis=0) - mean for part in moments.parts()]
    level = mean.mean()
    return np.concatenate([mean - level, spread, steps / frames, loudest - mean, *parts, [level, np.log(frames)]])


class _Moments:
    """The means of groups of frames, all groups of one size. Above `_MAX_MOMENTS` means, each two become one."""

    def __init__(self) -> None:
        import numpy as np

        self._means = np.zeros((0, _BANDS))
        self._rest = np.zeros((0, _BANDS))
        self._size = 1

    def add(self, mels: Array) -> None:
        """Add frames (frames, bands)."""
        import numpy as np

        rest = np.concatenate([self._rest, mels])
        end = len(rest) // self._size * self._size
        more = rest[:end].reshape(-1, self._size, _BANDS).mean(axis=1)
        self._means, self._rest = np.concatenate([self._means, more]), rest[end:]
        while len(self._means) > _MAX_MOMENTS:
            if len(self._means) % 2:  # the last one waits for the next block
                self._rest = np.concatenate([np.repeat(self._means[-1:], self._size, axis=0), self._rest])
            pairs = len(self._means) // 2
            self._means = self._means[: 2 * pairs].reshape(pairs, 2, _BANDS).mean(axis=1)
            self._size *= 2

    def parts(self) -> Iterator[Array]:
        """Yield `_PARTS` arrays (moments, bands), each of at least one moment."""
        known = self._means if len(self._means) else self._rest.mean(axis=0, keepdims=True)
        for part in range(_PARTS):
            begin = min(len(known) - 1, part * len(known) // _PARTS)
            yield known[begin : max(begin + 1, (part + 1) * len(known) // _PARTS)]


class ReadableClips(NamedTuple):
    """The readable ones of several recordings: their indices, their features (recordings, WIDTH), and notes on the others."""

    indices: list[int]
    rows: Array
    notes: tuple[str, ...]


def rows_of(paths: Sequence[Path]) -> Array:
    """Return the features (recordings, WIDTH). Raises AdapterError if a recording cannot be read."""
    import numpy as np

    return np.stack([row_of(path) for path in paths]) if paths else np.zeros((0, WIDTH))


def heard(paths: Sequence[Path], progress: Progress) -> ReadableClips:
    """Return the features of training recordings. An unreadable one is left out, with a note."""
    import numpy as np

    indices, rows, unread = [], [], Counter[str]()
    for index, path in enumerate(paths):
        progress(0.8 * index / len(paths), f"reading recording {index + 1} of {len(paths)}")
        try:
            rows.append(row_of(path))
        except AdapterError as error:
            unread[reason_of(error)] += 1
        else:
            indices.append(index)
    return ReadableClips(indices, np.stack(rows) if rows else np.zeros((0, WIDTH)), unlearnt(unread, "recordings"))
