"""Cases of `llm`, which asks a strict server of the tests."""

from __future__ import annotations

import atexit
from collections.abc import Sequence

from lsml.adapters.base import Example, Question, Target
from lsml.adapters.llm.adapter import Llm
from lsml.labeling.items import Items
from lsml.testing import AdapterCase
from lsml.values import Choice, Number, Span, Text, Value
from tests.support.language_model import KEY, MODEL, language_model

_SIDES = ("left", "right")


def told(labels: tuple[str, ...], batch: Sequence[str]) -> list[AdapterCase]:
    """A case for each kind of question, and one that compares."""
    model = language_model().__enter__()
    atexit.register(model.__exit__, None, None, None)
    options = {"model": MODEL, "base_url": f"{model.url}/v1", "api_key": KEY, "retries": 0, "examples": 2}
    questions = [
        Question("topics", "choice", labels, multiple=True),
        Question("people", "span", ("PER",)), Question("stars", "number", least=0.0, most=5.0, whole=True), Question("said", "text"),
    ]  # fmt: skip
    cases = [
        AdapterCase(
            adapter=Llm, options=options, batch=[*batch, "Ann met Bob"],
            target=Target(one.labels, one.multiple, kinds={one.kind: one.labels}, questions=(one,)),
            examples=[_example(one.kind, label, words) for label in labels for words in (1, 2, 3)],
            prompts=[("Ann met Bob, a Bug", (Text("Who is it?"), Span(0, 3, ""))), ("no prompt", (Span(0, 2, ""),))],
        )
        for one in questions
    ]  # fmt: skip
    comparing = AdapterCase(
        adapter=Llm, options=options,
        target=Target(_SIDES, kinds={"choice": _SIDES}, questions=(Question("better", "choice", _SIDES, compares=True),)),
        examples=[Example(Items(_SIDES, (f"{side} {place}", "so")), (Choice(side),)) for place in "ab" for side in _SIDES],
        prompts=[(Items(_SIDES, ("thank you", "right")), (Text("Which is politer?"),))],
        batch=[Items(_SIDES, ("thank you", "right")), Items(_SIDES, ("go", "left")), Items(_SIDES, ("", "日本語 🤖"))],
    )  # fmt: skip
    return [*cases, comparing]


def _example(kind: str, label: str, words: int) -> Example:
    """A text of so many words with what the server's rules say of it."""
    text = " ".join([label, *["x"] * (words - 1)])
    values: dict[str, Value] = {
        "choice": Choice(label),
        "span": Span(0, len(label), "PER"),
        "number": Number(float(words)),
        "text": Text(text),
    }
    return Example(text, (values[kind],))
