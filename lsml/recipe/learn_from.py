"""The annotations that models learn from, and how several of one task are combined."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

_Person = Annotated[int, Meta(ge=1)] | Annotated[str, Meta(pattern=r"^\S+$(?!\n)")]
_PERSON: Final = {"errorMessage": "expected a user's id in Label Studio, or an e-mail address"}


class LearnFrom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The annotations that models learn from."""

    accepted: Annotated[
        bool,
        Meta(
            description="Train on annotations that were created from predictions and that nobody opened or changed. "
            "Annotations that a person submitted or corrected in the editor are always used."
        ),
    ] = False
    annotators: Annotated[
        list[Annotated[_Person, Meta(extra_json_schema=_PERSON)]],
        Meta(
            description="Train only on annotations of these users: ids in Label Studio, or e-mail addresses, which "
            "need a token of Label Studio. Empty: everybody."
        ),
    ] = []
    except_annotators: Annotated[
        list[Annotated[_Person, Meta(extra_json_schema=_PERSON)]],
        Meta(description="Train on annotations of everybody but these users; instead of `annotators`."),
    ] = []
    ground_truth: Annotated[
        Literal["any", "prefer", "only"],
        Meta(
            description="The effect of the ground truth mark. any: none; prefer: the latest such annotation of a task "
            "wins; only: others are not used."
        ),
    ] = "prefer"
    several: Annotated[
        Literal["latest", "majority", "all", "weighted"],
        Meta(
            description="How several annotations of a task are combined. latest: the last one; majority: the answer "
            "that most gave; all: each is an example; weighted: the majority, weighted by how often "
            "others or a ground truth agree with an annotator."
        ),
    ] = "latest"

    @property
    def chosen(self) -> frozenset[str]:
        """The annotators whose annotations are used, as texts; empty for everybody."""
        return frozenset(str(person).casefold() for person in self.annotators)

    @property
    def refused(self) -> frozenset[str]:
        """The annotators whose annotations are not used, as texts."""
        return frozenset(str(person).casefold() for person in self.except_annotators)

    @property
    def by_email(self) -> bool:
        """True if it names somebody by e-mail address."""
        return any("@" in name for name in self.chosen | self.refused)

    def hears(self, annotator: str) -> bool:
        """Return True if models learn from an annotator, who is given by number and e-mail address with a space between
        them.
        """
        names = annotator.casefold().split()
        return not self.refused.intersection(names) and (not self.chosen or bool(self.chosen.intersection(names)))

    def settings(self) -> list[object]:
        """Return the settings that decide what is learnt, other than `several`; empty for the defaults."""
        changed: list[object] = ["accepted"] * self.accepted
        if self.chosen or self.refused:
            changed.append([sorted(self.chosen), sorted(self.refused)])
        if self.ground_truth != "prefer":
            changed.append(f"ground truth: {self.ground_truth}")
        return changed
