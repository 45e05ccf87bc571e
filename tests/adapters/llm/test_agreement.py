"""Several answers become one, scored by how many agree."""

import pytest

from lsml.adapters.base import Question
from lsml.adapters.llm.agreement import agreed
from lsml.values import Choice, Number, Span, Text

ONE = Question("topic", "choice", ("A", "B"))
SEVERAL = Question("tags", "choice", ("A", "B"), multiple=True)
SPANS = Question("who", "span", ("P",))
NUMBER = Question("stars", "number")
TEXT = Question("said", "text")


@pytest.mark.parametrize(
    ("question", "samples", "expected"),
    [
        (ONE, [[Choice("B")], [Choice("A", 0.2)], [Choice("B")], [Choice("B")]], [Choice("B", 0.75), Choice("A", 0.25)]),
        (SEVERAL, [[Choice("A"), Choice("B")], [Choice("A")], []], [Choice("A", 2 / 3)]),
        (SPANS, [[Span(4, 6, "P"), Span(0, 2, "P")], [Span(0, 2, "P")], [Span(4, 6, "P"), Span(0, 1, "P")]],
         [Span(0, 2, "P", 2 / 3), Span(4, 6, "P", 2 / 3)]),
        (NUMBER, [[Number(4)], [Number(5)], [Number(4)], []], [Number(4, 0.5)]),
        (NUMBER, [[Number(1)], [Number(5)], [Number(3)]], [Number(3, 1 / 3)]),
        (NUMBER, [[], []], []),
        (TEXT, [[], []], []),
        (TEXT, [[Text("so")], [Text("so")]], [Text("so", 1.0)]),
    ],
)  # fmt: skip
def test_the_share_of_the_answers_that_agree_is_the_score(question, samples, expected):
    assert agreed(samples, question) == expected


def test_of_texts_the_one_that_is_most_like_the_others():
    (value,) = agreed([[Text("a broken door")], [Text("a broken dooor")], [Text("xyz")], []], TEXT)
    assert "broken" in value.text and 0.4 < value.score < 0.7
