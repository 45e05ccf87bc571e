"""The reason why a new model is taken into a version or not, and the figures behind it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Literal

import msgspec

ENOUGH = 30  # held-out tasks; with fewer a comparison is a coin toss
By = Literal["held-out tasks", "cross-validation"]


class Why(StrEnum):
    """The reason why a model is taken into a version, or is not."""

    FIRST = "first"
    ALWAYS = "always"
    NEVER = "never"
    UNLOADABLE = "unloadable"  # the version that was served cannot be loaded
    SAME = "same"  # annotations and options are those of the served version
    BETTER = "better"
    NOT_BETTER = "not better"
    UNSURE = "unsure"  # better on these tasks, but perhaps by chance
    LABEL_DROPPED = "label dropped"
    COIN_TOSS = "coin toss"  # too few tasks to judge by
    NOTHING = "nothing to compare"


class LabelComparison(msgspec.Struct, frozen=True):
    """One label's F1 or average precision, of the new and of the promoted version, and the number of tasks that hold the
    label.

    `interval` is that of new less promoted. None where one of them has no figure for the label.
    """

    new: float | None
    promoted: float | None
    tasks: int
    interval: tuple[float, float] | None = None

    @property
    def drop(self) -> float:
        """The drop of the metric from the promoted to the new version; negative for a gain, 0 if it is not known."""
        return self.promoted - self.new if self.new is not None and self.promoted is not None else 0.0


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The new and the promoted version's metric on the same tasks, which neither of them learnt.

    `interval`: the confidence interval of new less promoted, at `confidence`. `against`: the promoted version, such as
    v3. `dropped`: the label of `labels` that surely fell by more than allowed, if any.
    `changed`: the share of answers that differ.
    """

    new: float | None
    promoted: float | None
    tasks: int
    against: str = msgspec.field(name="with")
    metric: str = ""
    by: By = "held-out tasks"
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    labels: dict[str, LabelComparison] = {}
    dropped: str | None = None
    changed: float | None = None

    @property
    def gain(self) -> float | None:
        """The new metric minus the promoted one."""
        return None if self.new is None or self.promoted is None else self.new - self.promoted

    @property
    def figures(self) -> str:
        """The comparison for people: the tasks and the result."""
        assert self.new is not None and self.promoted is not None
        where = "held-out tasks" if self.by == "held-out tasks" else "tasks by cross-validation"
        sign = ">" if self.new > self.promoted else "<" if self.new < self.promoted else "="
        told = f"on {self.tasks} {where} ({self.new:.3f} {sign} {self.promoted:.3f}"
        if self.interval is not None and self.confidence is not None:
            low, high = self.interval
            told += f"; {low:+.3f} to {high:+.3f} with {self.confidence:.0%} confidence"
        return f"{told})"


class Decision(msgspec.Struct, frozen=True):
    """The decision to take a model into the version or not: `why`, and the comparison, if there was one.

    `tasks`: the number of held-out tasks, where they were too few; `against`: the version that was served.
    """

    taken: bool
    why: Why
    compared: Comparison | None = None
    tasks: int = 0
    against: str = ""

    @property
    def sentence(self) -> str:
        """The reason as a sentence."""
        compared = self.compared
        if compared is None:
            return _PLAIN[self.why].format(against=self.against, tasks=self.tasks, enough=ENOUGH)
        if self.why is Why.NOTHING:
            return "not evaluated: nothing to compare with"
        against, figures = compared.against, compared.figures
        if self.why is Why.COIN_TOSS:
            done = (
                "it is better on them, so it is promoted"
                if self.taken
                else f"it is not better on them, so {against} stays"
            )
            return f"a coin toss, because an evaluation needs {ENOUGH} tasks: {done}: {figures}"
        if self.why is Why.LABEL_DROPPED and compared.dropped is not None:
            label = compared.labels[compared.dropped]
            return (
                f"{compared.dropped} got worse than with {against}: {label.promoted:.3f} before, {label.new:.3f} now "
                f"on {label.tasks} tasks with it; overall {figures}"
            )
        return f"{_COMPARED[self.why]} {against} {figures}"

    def cautions(self, worst: float) -> tuple[str, ...]:
        """Return a sentence for each label that fell by more than `worst` in a version that is taken all the same."""
        if not self.taken or self.compared is None:
            return ()
        return tuple(
            f"{name} dropped from {label.promoted:.3f} to {label.new:.3f} on {label.tasks} tasks with it, too few to "
            "be certain"
            for name, label in self.compared.labels.items()
            if label.drop > worst
        )


_PLAIN: Final = {
    Why.FIRST: "the first version",
    Why.ALWAYS: "the recipe says `promote: always`",
    Why.NEVER: "the recipe says `promote: never`",
    Why.UNLOADABLE: "not evaluated: {against} cannot be loaded",
    Why.SAME: "nothing changed since {against}: the same annotations and options",
    Why.COIN_TOSS: "not evaluated: {tasks} validation tasks, and an evaluation needs {enough}; a coin toss, so the "
    "newest version is promoted",
}
_COMPARED: Final = {
    Why.BETTER: "better than",
    Why.NOT_BETTER: "not better than",
    Why.UNSURE: "not certainly better than",
}


def upgraded_decisions(compared: Any) -> dict[str, Any]:
    """Return decisions in today's form from an older card, where strictly better was taken."""
    made = {}
    for key, figures in (compared if isinstance(compared, dict) else {}).items():
        new, promoted = figures.get("new"), figures.get("promoted")
        known = new is not None and promoted is not None
        why = (Why.BETTER if new > promoted else Why.NOT_BETTER) if known else Why.NOTHING
        made[key] = {"taken": why is not Why.NOT_BETTER, "why": why, "compared": figures}
    return made
