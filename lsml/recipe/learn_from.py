"""Whose annotations teach, and what several of one task teach together."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

_Person = Annotated[int, Meta(ge=1)] | Annotated[str, Meta(pattern=r"^\S+$(?!\n)")]
_PERSON: Final = {"errorMessage": "expected a user's number in Label Studio, or an e-mail address"}


class LearnFrom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose annotations teach."""

    accepted: Annotated[
        bool,
        Meta(
            description="Whether annotations teach that were created from predictions, took nobody's time and were not changed "
            "since. What a person submitted in the editor or corrected is the person's, and always teaches."
        ),
    ] = False
    annotators: Annotated[
        list[Annotated[_Person, Meta(extra_json_schema=_PERSON)]],
        Meta(
            description="Who alone teaches: users by their number in Label Studio, or by e-mail address in files that hold it. "
            "Empty: everybody."
        ),
    ] = []
    except_annotators: Annotated[
        list[Annotated[_Person, Meta(extra_json_schema=_PERSON)]],
        Meta(description="Who does not teach, in place of `annotators`."),
    ] = []
    ground_truth: Annotated[
        Literal["any", "prefer", "only"],
        Meta(
            description="What a mark as ground truth means. any: nothing; prefer: the latest such annotation of a task wins; "
            "only: no other teaches."
        ),
    ] = "prefer"
    several: Annotated[
        Literal["latest", "majority", "all", "weighted"],
        Meta(
            description="What a task with several annotations teaches: the latest, what most say, each, or what most say where "
            "a person's word counts the more, the more often it was confirmed by the others' or by a ground truth."
        ),
    ] = "latest"

    @property
    def chosen(self) -> frozenset[str]:
        """Who alone teaches, as texts; empty where everybody may."""
        return frozenset(str(person).casefold() for person in self.annotators)

    @property
    def refused(self) -> frozenset[str]:
        """Who does not teach, as texts."""
        return frozenset(str(person).casefold() for person in self.except_annotators)

    def hears(self, annotator: str) -> bool:
        """True if an annotator teaches, by the names that one has, with blanks between them."""
        names = annotator.casefold().split()
        return not self.refused.intersection(names) and (not self.chosen or bool(self.chosen.intersection(names)))

    def facts(self) -> list[object]:
        """What decides what is learnt, besides how several are put together; nothing where all of it is the default."""
        facts: list[object] = ["accepted"] * self.accepted
        if self.chosen or self.refused:
            facts.append([sorted(self.chosen), sorted(self.refused)])
        if self.ground_truth != "prefer":
            facts.append(f"ground truth: {self.ground_truth}")
        return facts
