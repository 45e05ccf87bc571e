"""The learning curve of a project's versions, and what more annotations are expected to bring."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

MORE: Final = 100  # annotations that an estimate is for
LEAST_VERSIONS: Final = 4  # of different sizes, that an estimate follows from
LEAST_JUDGED: Final = 30  # answers that judged a version, with fewer of which it is no point to go by
LEAST_GAIN: Final = 0.01  # what twice the annotations must perhaps bring, or more hardly help


class VersionPoint(msgspec.Struct, frozen=True):
    """A version's metric, the mean of its controls', after so many annotated tasks and on so many held-out answers."""

    version: int
    annotations: int
    value: float
    judged: int


class Prospect(StrEnum):
    """What more annotations promise."""

    RISES = "rises"
    FLAT = "flat"  # more annotations will hardly help
    FEW_VERSIONS = "few versions"
    FEW_JUDGED = "few judged"


class Outlook(msgspec.Struct, frozen=True):
    """What the next 100 annotations bring: `gain` and where it lies, with so much `confidence`; `doubled`: the most that as
    many annotations again as there are, and at least 100, bring with it. None where that cannot be told, for which `prospect`
    says why. `versions`: how many it follows from."""

    prospect: Prospect
    versions: int
    gain: float | None = None
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    doubled: float | None = None

    @property
    def sentence(self) -> str:
        """The estimate, and whether more annotations help, for people."""
        if self.gain is None or self.interval is None or self.confidence is None:
            few = f"it takes {LEAST_VERSIONS} versions of different sizes"
            judged = "" if self.prospect is Prospect.FEW_VERSIONS else f" with {LEAST_JUDGED} held-out answers or more"
            return f"no estimate yet of what more annotations bring: {few}{judged}, and there are {self.versions}"
        low, high = self.interval
        sure = f"{low:+.3f} to {high:+.3f} with {self.confidence:.0%} confidence"
        told = f"the next {MORE} annotations bring {self.gain:+.3f} ({sure})"
        if self.prospect is Prospect.FLAT:
            return f"more annotations will hardly help: {told}, and twice as many as now {self.doubled:+.3f} at most"
        return told
