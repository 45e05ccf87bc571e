"""A quote stands where its words do, exactly or nearly."""

import pytest

from lsml.adapters.llm.grounding import ground


@pytest.mark.parametrize(
    ("quote", "expected"),
    [
        ("New York", (12, 20)),
        ("new  york", (12, 20)),
        ("Sant Petersburg in May", (25, 48)),
        ("Saint Petersburg", (25, 41)),
        ("London", None),
        ("", None),
        ("Moscow or any other city", None),
    ],
)
def test_spans_stand_where_their_words_do(quote, expected):
    text = "🤖 left from New York for Saint Petersburg in May."
    assert ground(text, [(quote, "LOC")], 0.85) == [expected]


def test_words_that_stand_there_twice_are_found_twice():
    text = "Ann met Bob, and Ann left."
    assert ground(text, [("Ann", "P"), ("Bob", "P"), ("Ann", "P"), ("Ann", "P")], 1.0) == [
        (0, 3),
        (8, 11),
        (17, 20),
        None,
    ]
