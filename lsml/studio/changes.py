"""Changes to a project of Label Studio, made one by one and told one by one; or only told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

_PAST = {"make": "made", "set": "set", "turn off": "turned off"}  # of other verbs it ends in -ed


@dataclass
class Changes:
    """What was changed so far, a sentence each, and what a person should know, `notes`. With `dry` nothing is changed.

    `tell` gets each sentence at once.
    """

    tell: Callable[[str], None]
    dry: bool = False
    made: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def make(self, verb: str, what: str, deed: Callable[[], object]) -> None:
        """Do a deed that `verb` and `what` say, as in "add" and "the webhook ..."."""
        if self.dry:
            sentence = f"would {verb} {what}"
        else:
            deed()
            sentence = f"{_PAST.get(verb, verb.removesuffix('e') + 'ed')} {what}"
        self.made.append(sentence)
        self.tell(sentence)

    def note(self, sentence: str) -> None:
        """Say what nobody changed and a person should know."""
        self.notes.append(sentence)
        self.tell(sentence)
