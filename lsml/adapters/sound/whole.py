"""The base of adapters for whole recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from lsml.adapters.base import Data, OptionsT, Progress
from lsml.adapters.parts.whole_files import WholeFiles
from lsml.adapters.sound.clips import WIDTH, rows_of
from lsml.adapters.sound.reading import SOUNDS

if TYPE_CHECKING:
    from lsml.arrays import Rows


class WholeRecordings(WholeFiles[OptionsT]):
    """An adapter with a linear head of one kind. `fit` sets the head and the notes on unreadable recordings."""

    consumes: ClassVar[frozenset[str]] = SOUNDS
    requires: ClassVar[tuple[str, ...]] = ("soundfile", "sklearn", "skops")
    extra: ClassVar[str | None] = "sound"
    learns_quickly: ClassVar[bool] = True
    width: ClassVar[int] = WIDTH

    def rows(self, batch: Sequence[Data]) -> Rows:
        """See WholeFiles."""
        return rows_of(batch)


def last_fifth(progress: Progress) -> Progress:
    """Return the progress callback of the head: reading the recordings takes the first four fifths of the time."""
    return lambda share, message: progress(0.8 + 0.2 * share, message)
