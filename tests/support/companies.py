"""Sentences about companies and people, with what relates them."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from lsml.adapters.base import Example
from lsml.values import Box, Marked, Relation, Span

LABELS = ("founded", "works for")
COMPANIES = ("Acme", "Globex", "Initech", "Hooli", "Umbrella", "Stark")
PEOPLE = ("Ada", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana")
# {O} is a company and {P} a person; relations are (source, label, target) among them, in the order in which they stand.
SENTENCES: tuple[tuple[str, tuple[tuple[int, str, int], ...]], ...] = (
    ("{P} founded {O} in May .", ((0, "founded", 1),)),
    ("{O} was founded by {P} and {P} .", ((1, "founded", 0), (2, "founded", 0))),
    ("{P} , who works for {O} , met {P} .", ((0, "works for", 1),)),
    ("{O} pays {P} , and {P} is only a guest .", ((1, "works for", 0),)),
    ("{P} founded {O} , where {P} now works .", ((0, "founded", 1), (2, "works for", 1))),
    ("{P} and {P} walked past {O} .", ()),
)


class Told(NamedTuple):
    """A text, its (start, end, label) of names, and (source, label, target) by their places."""

    text: str
    names: list[tuple[int, int, str]]
    related: list[tuple[int, str, int]]


def told(seed: int, sentences: int = 2) -> Told:
    """Some sentences, one after the other."""
    draw = random.Random(seed)
    text, names, related = "", [], []
    for _ in range(sentences):
        form, relations = draw.choice(SENTENCES)
        people, companies = draw.sample(PEOPLE, 3), draw.sample(COMPANIES, 2)
        first = len(names)
        for word in form.split():
            label = {"{P}": "Person", "{O}": "Company"}.get(word)
            if label is not None:
                word = (people if label == "Person" else companies).pop()
                names.append((len(text), len(text) + len(word), label))
            text += f"{word} "
        related += [(first + source, label, first + target) for source, label, target in relations]
    return Told(text.rstrip(), names, related)


def example(seed: int) -> Example:
    """What an adapter learns of some sentences."""
    text, names, related = told(seed)
    ids = tuple(f"n{place}" for place in range(len(names)))
    marked = Marked(text, ids, tuple(Span(*name) for name in names))
    return Example(marked, tuple(Relation(ids[one], ids[to], label) for one, label, to in related))


def result(seed: int) -> tuple[str, list[dict[str, Any]]]:
    """(some sentences, what a person marks and joins in them)"""
    text, names, related = told(seed)
    regions: list[dict[str, Any]] = [
        {"id": f"n{place}", "from_name": "name", "to_name": "text", "type": "labels",
         "value": {"start": start, "end": end, "text": text[start:end], "labels": [label]}}
        for place, (start, end, label) in enumerate(names)
    ]  # fmt: skip
    arrows = [
        {"type": "relation", "from_id": f"n{one}", "to_id": f"n{to}", "direction": "right", "labels": [label]}
        for one, label, to in related
    ]
    return text, regions + arrows


def form(seed: int) -> Example:
    """Boxes of a form: each question has its answer on its right, or below it."""
    draw = random.Random(seed)
    regions: list[Box] = []
    related = []
    for row in range(4):
        top, right = 0.05 + 0.24 * row + draw.uniform(0, 0.02), draw.random() < 0.5
        regions.append(Box("Question", x=draw.uniform(0.05, 0.15), y=top, width=0.2, height=0.05))
        place = {"x": 0.45, "y": top} if right else {"x": 0.1, "y": top + 0.08}
        regions.append(Box("Answer", **place, width=draw.uniform(0.1, 0.3), height=0.05))
        related.append(Relation(f"b{2 * row}", f"b{2 * row + 1}", "answered by"))
    ids = tuple(f"b{place}" for place in range(len(regions)))
    order = draw.sample(range(len(regions)), len(regions))
    marked = Marked("", tuple(ids[place] for place in order), tuple(regions[place] for place in order))
    return Example(marked, tuple(related))
