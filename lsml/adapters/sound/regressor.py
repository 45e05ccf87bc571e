"""audio-regressor: ridge regression on log-mel features of whole recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from lsml.adapters.base import Example, Progress, silent
from lsml.adapters.parts.number_head import Alpha, NumberHead, numbered
from lsml.adapters.parts.scaling import Scale
from lsml.adapters.sound.clips import heard
from lsml.adapters.sound.whole import WholeRecordings, last_fifth
from lsml.values import Number


class AudioRegressorOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `audio-regressor`."""

    alpha: Alpha = 0.1


class AudioRegressor(WholeRecordings[AudioRegressorOptions]):
    """A number for a recording, by ridge regression."""

    name: ClassVar[str] = "audio-regressor"
    licence: ClassVar[str | None] = "BSD-3-Clause (scikit-learn, soundfile), LGPL-2.1 (libsndfile)"
    title: ClassVar[str] = "numbers and ratings for recordings"
    produces: ClassVar[frozenset[type]] = frozenset({Number})
    head = NumberHead
    Options: ClassVar[type[msgspec.Struct]] = AudioRegressorOptions

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on recordings (paths) and one number each. Raises NotEnoughData with fewer than two."""
        usable = [examples[index] for index in numbered(examples, "recordings")[0]]
        known = heard([example.data for example in usable], progress)
        _, numbers = numbered([usable[index] for index in known.indices], "recordings that can be read")
        scale = Scale.of_rows(known.rows)
        rows = scale.apply(known.rows)
        fitted = NumberHead.fit(rows, numbers, self.options.alpha, "cholesky", seed, last_fifth(progress))
        self._learnt, self._notes = (scale, fitted), known.notes
        progress(1.0, f"trained on {len(numbers)} recordings")
