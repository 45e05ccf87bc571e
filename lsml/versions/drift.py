"""The shift of labels since the served version was trained, and the alerts of a version."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

LEAST_INDEX: Final = 0.25  # of the population stability index: a major shift (Siddiqi, "Credit Risk Scorecards", 2006)
LEAST_LABELS: Final = 30  # on either side; with fewer, no drift is reported
_NAMED: Final = 3


class Alert(msgspec.Struct, frozen=True):
    """An event that began with a version, and a sentence about it for people."""

    event: Literal["drift", "stop"]
    text: str


class Drift(msgspec.Struct, frozen=True):
    """The difference between the labels annotated since the version `against` and those that it learnt.

    `index`: the population stability index. Above `limit` it is a drift. `learnt` and `recent`: the numbers of labels.
    `labels`: (share learnt, share recent) of each label, the largest change first. `changed`: the share of the new
    version's answers to judged tasks that differ from the served one's, None if none was judged.
    """

    against: str
    index: float
    limit: float
    learnt: int
    recent: int
    labels: dict[str, tuple[float, float]]
    changed: float | None = None

    @property
    def drifted(self) -> bool:
        """True if the labels shifted by more than chance."""
        return self.index > self.limit

    @property
    def sentence(self) -> str:
        """The shift, for people."""
        shares = ", ".join(
            f"{label} {before:.0%} before and {now:.0%} now"
            for label, (before, now) in list(self.labels.items())[:_NAMED]
        )
        changed = (
            ""
            if self.changed is None
            else f"; {self.changed:.0%} of the new version's predictions differ from the served one's"
        )
        return (
            f"the distribution of labels has changed since {self.against} was trained (population stability index "
            f"{self.index:.2f}, above {self.limit:.2f}): {shares}{changed}"
        )
