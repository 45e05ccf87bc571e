"""video-classifier: a linear model on the colours, edges and motion of whole videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from lsml.adapters.base import Data, Example, Progress, silent
from lsml.adapters.parts.linear_head import ClassWeight, Closeness, LinearHead, labelled
from lsml.adapters.parts.notes import reason_of, unlearnt
from lsml.adapters.parts.scaling import Scale
from lsml.adapters.parts.whole_files import WholeFiles
from lsml.adapters.video.footage import CHANNELS, footage_of
from lsml.errors import AdapterError
from lsml.values import Choice

if TYPE_CHECKING:
    from lsml.arrays import Array, Rows

_RATE: Final = 4.0  # frames used of a second
_SHARES: Final = (0.1, 0.5, 0.9)  # quantiles of a channel
_WIDTH: Final = CHANNELS * (len(_SHARES) + 2)


class VideoClassifierOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `video-classifier`."""

    C: Closeness = "auto"
    class_weight: ClassWeight = "auto"


class VideoClassifier(WholeFiles[VideoClassifierOptions]):
    """One label or several for a video. It predicts every label of its training with its probability."""

    name: ClassVar[str] = "video-classifier"
    title: ClassVar[str] = "labels for videos, trained on a few of them"
    licence: ClassVar[str | None] = "Apache-2.0 (OpenCV), BSD-3-Clause (scikit-learn)"
    consumes: ClassVar[frozenset[str]] = frozenset({"Video"})
    produces: ClassVar[frozenset[type]] = frozenset({Choice})
    requires: ClassVar[tuple[str, ...]] = ("cv2", "sklearn", "skops")
    extra: ClassVar[str | None] = "images"
    Options: ClassVar[type[msgspec.Struct]] = VideoClassifierOptions
    head: ClassVar[type[LinearHead]] = LinearHead
    width: ClassVar[int] = _WIDTH

    def rows(self, batch: Sequence[Data]) -> Rows:
        """See WholeFiles."""
        import numpy as np

        return np.stack([_row_of(path) for path in batch]) if batch else np.zeros((0, _WIDTH))

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on videos (paths) and their choices; labels that the target does not have are skipped.

        Raises NotEnoughData unless two different labels occur.
        """
        import numpy as np

        usable = [examples[index] for index in labelled(examples, self.target, "videos").indices]
        rows, read, unread = [], [], Counter[str]()
        for index, example in enumerate(usable):
            progress(0.9 * index / len(usable), f"reading video {index + 1} of {len(usable)}")
            try:
                rows.append(_row_of(example.data))
                read.append(example)
            except AdapterError as error:
                unread[reason_of(error)] += 1
        learnt = labelled(read, self.target, "videos that can be read")
        known = np.stack([rows[index] for index in learnt.indices])
        scale = Scale.of_rows(known)
        head = LinearHead.fit(
            scale.apply(known), learnt, multiple=self.target.multiple, options=self.options, seed=seed,
            progress=lambda share, doing: progress(0.9 + 0.1 * share, doing),
        )  # fmt: skip
        self._learnt, self._notes = (scale, head), unlearnt(unread, "videos")
        progress(1.0, f"trained {len(learnt.labels)} labels on {len(known)} videos")


def _row_of(path: Path) -> Array:
    """Return the features (_WIDTH,) of a video: how its channels are distributed, how they vary and in which direction."""
    import numpy as np

    values = footage_of(path, _RATE).points.values
    half = max(1, len(values) // 2)
    course = values[-half:].mean(axis=0) - values[:half].mean(axis=0)
    row: Array = np.concatenate([*np.quantile(values, _SHARES, axis=0), values.std(axis=0), course])
    return row
