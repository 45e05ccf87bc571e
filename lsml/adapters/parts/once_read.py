"""Files as series, each decoded once however often a training reads it: for its model, and for the calibration's models."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from lsml.adapters.parts.notes import reason_of, unlearnt
from lsml.adapters.parts.windows import Signal
from lsml.errors import AdapterError
from lsml.labeling.series import Points


class OnceRead:
    """Examples as series, by their numbers, and the reasons why some cannot be read, each told once.

    `decode` returns the points of an example, or raises AdapterError. They are kept on disk until the `with` ends, so that
    the memory does not grow with the number of files.
    """

    def __init__(self, decode: Callable[[int], Points]) -> None:
        self._decode = decode
        self._folder = tempfile.TemporaryDirectory(prefix="lsml-")
        self._unread: dict[int, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._folder.cleanup()

    @property
    def failed(self) -> int:
        """The number of examples that could not be read."""
        return len(self._unread)

    def notes(self, what: str) -> tuple[str, ...]:
        """Return a note for each of the most frequent reasons. `what` the examples are."""
        return unlearnt(Counter(self._unread.values()), what)

    def signal(self, number: int) -> Signal | None:
        """Return an example as a series; None if it cannot be read."""
        import numpy as np

        if number in self._unread:
            return None
        kept = Path(self._folder.name, f"{number}.npz")
        if kept.exists():
            with np.load(kept) as arrays:
                return Signal(Points(arrays["times"], arrays["values"]))
        try:
            points = self._decode(number)
        except AdapterError as error:
            self._unread[number] = reason_of(error)
            return None
        np.savez(kept, times=points.times, values=points.values)
        return Signal(points)
