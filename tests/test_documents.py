"""Texts that can be pointed at: what a span is written as, and what is read of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsml.controls import CONTROLS
from lsml.documents import PlainText
from lsml.labeling import ControlTag, Label
from lsml.shown import Shown
from lsml.values import Span

NASTY = [
    "🤖",
    "👩‍👩‍👧",
    "e\u0301",
    "\r\n",
    "\n",
    "\r",
    "\t",
    " ",
    "\u00a0",
    "שלום",
    "𝔘",
    "🇩🇪",
    "a",
    "日本",
    "\ufeff",
    "\u2028",
    "<b>",
    "&amp;",
    "\ud83e",
]
nasty_texts = st.lists(st.sampled_from(NASTY) | st.text(max_size=3), min_size=1, max_size=12).map("".join)


def spans_of(text: str) -> st.SearchStrategy[list[Span]]:
    """Spans of a text, which may overlap, touch, nest and be the same."""
    places = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text))).filter(
        lambda place: place[0] < place[1]
    )
    return st.lists(
        st.builds(lambda place, label: Span(*place, label), places, st.sampled_from(["PER", "ORG"])), max_size=5
    )


def labels(name: str = "Labels"):
    return CONTROLS[name](ControlTag(name, "label", ("text",), (Label("PER"), Label("ORG"))))


@given(nasty_texts, st.data())
def test_spans_of_a_text_survive_and_say_what_they_hold(text, data):
    document = PlainText(text)
    if not document.text:
        return
    shown = Shown(document.text, document=document)
    spans = data.draw(spans_of(document.text))
    regions = json.loads(json.dumps(labels().encode(spans, "text", shown)))
    assert [region["value"]["text"] for region in regions] == [document.text[span.start : span.end] for span in spans]
    assert [labels().check(region, {}) for region in regions] == [None] * len(spans)
    assert labels().decode(regions, shown) == tuple(spans)


def test_offsets_count_code_points_and_each_half_of_a_line_break():
    document = PlainText("🤖\r\ne\u0301x")
    assert document.place(3, 5) == {"start": 3, "end": 5, "text": "e\u0301"}
    assert document.span({"start": 5, "end": 6}) == (5, 6)


def test_a_nul_is_not_shown_and_not_counted():
    assert PlainText("a\0b").text == "ab"


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"start": 3, "end": 3},
        {"start": 4, "end": 2},
        {"start": -1, "end": 2},
        {"start": 0, "end": 6},
        {"start": "0", "end": "3"},
        {"start": 0.0, "end": 3.0},
        {"start": None, "end": 3},
        {"start": False, "end": True},
        {"start": [0], "end": {"a": 3}},
        {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 0, "endOffset": 3},
    ],
)
def test_places_that_a_text_does_not_have_are_none(value):
    assert PlainText("hello").span(value) is None


def test_a_span_over_the_end_is_written_without_a_place_and_so_is_refused():
    document = PlainText("hello")
    [region] = labels().encode([Span(3, 6, "PER")], "text", Shown("hello", document=document))
    assert labels().check(region, {}) == (
        "Labels#label: value.start is nothing and value.end is nothing; expected offsets in order"
    )


def test_of_two_models_the_first_keeps_the_places_that_it_found():
    first, second = Span(0, 5, "PER"), Span(4, 8, "ORG")
    assert labels().same_place(first, second)
    assert not labels().same_place(Span(0, 4, "PER"), second)
