"""Changes to a project of Label Studio, made and reported one by one; in a dry run only reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

_PAST = {"make": "made", "set": "set", "turn off": "turned off"}  # other verbs take -ed


@dataclass
class ChangeLog:
    """The changes so far, a sentence each, and `notes` for the person. With `dry` nothing is changed.

    `tell` gets each sentence at once.
    """

    tell: Callable[[str], None]
    dry: bool = False
    made: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def make(self, verb: str, what: str, deed: Callable[[], object]) -> None:
        """Make a change, which `verb` and `what` describe, as in "add" and "the webhook ..."."""
        if self.dry:
            sentence = f"would {verb} {what}"
        else:
            deed()
            sentence = f"{_PAST.get(verb, verb.removesuffix('e') + 'ed')} {what}"
        self.made.append(sentence)
        self.tell(sentence)

    def note(self, sentence: str) -> None:
        """Add a sentence on something that was not changed and that a person should know."""
        self.notes.append(sentence)
        self.tell(sentence)
