"""audio-classifier: a linear model on log-mel features of whole recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from lsml.adapters.base import Example, Progress, silent
from lsml.adapters.parts.linear_head import ClassWeight, Closeness, LinearHead, labelled
from lsml.adapters.parts.scaling import Scale
from lsml.adapters.sound.clips import heard
from lsml.adapters.sound.whole import WholeRecordings, last_fifth
from lsml.values import Choice


class AudioClassifierOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `audio-classifier`."""

    C: Closeness = "auto"
    class_weight: ClassWeight = "auto"


class AudioClassifier(WholeRecordings[AudioClassifierOptions]):
    """One label or several for a recording. It predicts every label of its training with its probability."""

    name: ClassVar[str] = "audio-classifier"
    licence: ClassVar[str | None] = "BSD-3-Clause (scikit-learn, soundfile), LGPL-2.1 (libsndfile)"
    title: ClassVar[str] = "labels for recordings, trained on a few of them in seconds"
    produces: ClassVar[frozenset[type]] = frozenset({Choice})
    head = LinearHead
    Options: ClassVar[type[msgspec.Struct]] = AudioClassifierOptions

    def fit(self, examples: Sequence[Example], seed: int, progress: Progress = silent) -> None:
        """Train on recordings (paths) and their choices; labels that the target does not have are skipped.

        Raises NotEnoughData unless two different labels occur.
        """
        usable = [examples[index] for index in labelled(examples, self.target, "recordings").indices]
        known = heard([example.data for example in usable], progress)
        learnt = labelled([usable[index] for index in known.indices], self.target, "recordings that can be read")
        scale = Scale.of_rows(known.rows)
        rows = scale.apply(known.rows)
        fitted = LinearHead.fit(
            rows, learnt, multiple=self.target.multiple, options=self.options, seed=seed, progress=last_fifth(progress)
        )
        self._learnt, self._notes = (scale, fitted), known.notes
        progress(1.0, f"trained {len(learnt.labels)} labels on {len(rows)} recordings")
