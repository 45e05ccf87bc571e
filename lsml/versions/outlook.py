"""The learning curve of a project's versions, and the expected gain of more annotations."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

MORE: Final = 100  # annotations whose gain is estimated
LEAST_VERSIONS: Final = 4  # of different sizes, for an estimate
LEAST_JUDGED: Final = 30  # held-out examples; a version with fewer is left out of the curve
LEAST_GAIN: Final = 0.01  # if the upper bound for twice the annotations is below it, more will hardly help


class VersionPoint(msgspec.Struct, frozen=True):
    """A version on the learning curve: its mean metric over controls, its annotated tasks, and its held-out examples."""

    version: int
    annotations: int
    value: float
    judged: int


class Prospect(StrEnum):
    """The expected use of more annotations."""

    RISES = "rises"
    FLAT = "flat"  # more annotations will hardly help
    FEW_VERSIONS = "few versions"
    FEW_JUDGED = "few judged"


class Outlook(msgspec.Struct, frozen=True):
    """The estimated gain of the next 100 annotations, with its interval at `confidence`.

    `doubled` is the upper bound of the gain of twice the annotations, at least 100 more. Figures are None where there
    is no estimate; `prospect` gives the reason. `versions` is the number of versions that it rests on.
    """

    prospect: Prospect
    versions: int
    gain: float | None = None
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    doubled: float | None = None

    @property
    def sentence(self) -> str:
        """The estimate, and whether more annotations help, as a sentence."""
        if self.gain is None or self.interval is None or self.confidence is None:
            few = f"it needs {LEAST_VERSIONS} versions of different sizes"
            judged = "" if self.prospect is Prospect.FEW_VERSIONS else f" with {LEAST_JUDGED} held-out examples or more"
            return f"no estimate yet of the gain from more annotations: {few}{judged}, and there are {self.versions}"
        low, high = self.interval
        sure = f"{low:+.3f} to {high:+.3f} with {self.confidence:.0%} confidence"
        told = f"the next {MORE} annotations bring {self.gain:+.3f} ({sure})"
        if self.prospect is Prospect.FLAT:
            return f"more annotations will hardly help: {told}, and doubling them brings {self.doubled:+.3f} at most"
        return told
