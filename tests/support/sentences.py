"""An easy world of sentences with names of people and places."""

from __future__ import annotations

import random

from lsml.adapters.base import Example
from lsml.values import Span

_PEOPLE = ("Anna", "Bob", "Clara", "Dario", "Elif", "Farid", "Greta", "Hugo")
_PLACES = ("Paris", "Oslo", "Lima", "Cairo", "Quito", "Turin", "Dakar", "Kyoto")
_NEW_PEOPLE = ("Ines", "Jonas", "Kofi", "Lotte")
_NEW_PLACES = ("Nairobi", "Porto", "Riga", "Sofia")
_FORMS = (
    "yesterday {person} lives in {place} .",
    "{person} moved to {place} with a dog .",
    "we met {person} near {place} again .",
    "the train to {place} was late , said {person} .",
    "nobody came to the party .",
    "in {place} it rained all day .",
)


def sentences(count: int, seed: int = 7, unseen: bool = False) -> list[Example]:
    """Sentences with their spans, PER and LOC; `unseen`: with names that the others do not have."""
    draw = random.Random(seed)
    people, places = (_NEW_PEOPLE, _NEW_PLACES) if unseen else (_PEOPLE, _PLACES)
    made = []
    for number in range(count):
        names = {"person": (draw.choice(people), "PER"), "place": (draw.choice(places), "LOC")}
        text, spans = "", []
        for piece in _FORMS[number % len(_FORMS)].replace("{", "\0{").replace("}", "}\0").split("\0"):
            if piece.startswith("{"):
                name, label = names[piece[1:-1]]
                spans.append(Span(len(text), len(text) + len(name), label))
                text += name
            else:
                text += piece
        made.append(Example(text, tuple(spans)))
    return made
