"""Texts that can be pointed at: what a span is written as, and what is read of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsml.controls import CONTROLS
from lsml.labeling import ControlTag, Label
from lsml.labeling.documents import Dialogue, HtmlDocument, PlainText
from lsml.labeling.remarks import Misread, Reason
from lsml.labeling.view import View
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


TAGS = [
    "<p>",
    "</p>",
    "<b>",
    "</b>",
    "<br>",
    "<table><tr><td>",
    "<td>",
    "</table>",
    "<ul><li>",
    "<div>",
    "</div>",
    "<pre>",
    "</pre>",
]
TAGS += [
    "<!-- no -->",
    "<script>no</script>",
    "<style>no</style>",
    "<i><b></i>x</b>",
    "<svg><text>",
    "&#x1F916;",
    "&nbsp;",
    "<p",
    "</",
]
nasty_pages = st.lists(st.sampled_from([*TAGS, *NASTY]), min_size=1, max_size=20).map("".join)
nasty_dialogues = st.lists(nasty_texts | st.just(""), min_size=1, max_size=5)


@given(
    nasty_texts.map(PlainText)
    | st.builds(HtmlDocument, nasty_pages, inline=st.booleans())
    | nasty_dialogues.map(Dialogue),
    st.data(),
)
def test_spans_of_a_document_survive_and_say_what_they_hold(document, data):
    if not document.text.strip():
        return
    shown = View(document.text, document=document)
    # The breaks between pieces belong to none of them, so spans begin and end beside one.
    spans = [
        span
        for span in data.draw(spans_of(document.text))
        if isinstance(document, PlainText) or "\n" not in (document.text[span.start], document.text[span.end - 1])
    ]
    regions = json.loads(json.dumps(labels().encode(spans, "text", shown)))
    assert [region["value"]["text"] for region in regions] == [document.text[span.start : span.end] for span in spans]
    assert [labels().check(region, {}) for region in regions] == [None] * len(spans)
    assert labels().decode(regions, shown).values == tuple(spans)


def test_offsets_count_code_points_and_each_half_of_a_line_break():
    document = PlainText("🤖\r\ne\u0301x")
    assert document.region_value(3, 5) == {"start": 3, "end": 5, "text": "e\u0301"}
    assert document.locate({"start": 5, "end": 6}) == (5, 6, False)


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
        {"start": "0", "end": "three"},
        {"start": 0.5, "end": 3.0},
        {"start": None, "end": 3},
        {"start": False, "end": True},
        {"start": [0], "end": {"a": 3}},
        {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 0, "endOffset": 3},
    ],
)
def test_places_that_a_text_does_not_have_are_none(value):
    with pytest.raises(Misread):
        PlainText("hello").locate(value)


def test_a_span_over_the_end_is_written_without_a_place_and_so_is_refused():
    document = PlainText("hello")
    [region] = labels().encode([Span(3, 6, "PER")], "text", View("hello", document=document))
    assert labels().check(region, {}) == (
        "Labels#label: value.start is nothing and value.end is nothing; expected offsets in order"
    )


def test_of_two_models_the_first_keeps_the_places_that_it_found():
    first, second = Span(0, 5, "PER"), Span(4, 8, "ORG")
    assert labels().same_place(first, second)
    assert not labels().same_place(Span(0, 4, "PER"), second)


# ------------------------------------------------------------------------------------------------ pages

PAGE = "<!-- no --><h1>Ada 🤖 x</h1>\n<p>met <b>Bo</b>b<br>at</p><table><tr><td>é</table>"


def test_a_page_is_pointed_at_by_xpaths_in_code_units_and_globally_in_code_points():
    page = HtmlDocument(PAGE)
    assert page.text == "Ada 🤖 x\nmet Bob\nat\né"
    assert page.region_value(6, 7) == {
        "start": "/h1[1]/text()[1]",
        "end": "/h1[1]/text()[1]",
        "startOffset": 7,
        "endOffset": 8,
        "globalOffsets": {"start": 6, "end": 7},
        "text": "x",
    }
    assert page.region_value(12, 18) == {
        "start": "/p[1]/b[1]/text()[1]",
        "end": "/p[1]/text()[3]",
        "startOffset": 0,
        "endOffset": 2,
        "globalOffsets": {"start": 12, "end": 18},
        "text": "Bob\nat",
    }
    # a browser adds the body of a table
    assert page.region_value(19, 20)["start"] == "/table[1]/tbody[1]/tr[1]/td[1]/text()[1]"


def test_what_breaks_lines_belongs_to_neither_side():
    page = HtmlDocument("<p>one</p><p>two</p>")
    assert page.text == "one\ntwo"
    assert page.region_value(2, 4)["text"] == "e"
    assert page.region_value(3, 5)["text"] == "t"
    assert page.region_value(3, 4) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"start": "/p/text()", "end": "/p[1]/text()[1]", "startOffset": 0, "endOffset": 3}, "met"),
        ({"start": "/P[1]/B[1]", "end": "/p[1]/b[1]", "startOffset": 0, "endOffset": 2}, "Bo"),
        ({"start": "/p[1]/b[1]/text()[1]", "end": "/p[1]/text()[2]", "startOffset": 1, "endOffset": 1}, "ob"),
        (
            {
                "start": "/gone",
                "end": "/gone",
                "startOffset": 0,
                "endOffset": 1,
                "globalOffsets": {"start": 4, "end": 5},
            },
            "🤖",
        ),
        ({"globalOffsets": {"start": 0, "end": 9}}, "Ada 🤖 x\nm"),
        ({"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 0, "endOffset": 99}, None),
        ({"start": "/p[1]/text()[1]", "end": "/h1[1]/text()[1]", "startOffset": 0, "endOffset": 1}, None),
        ({"start": "/gone", "end": "/gone", "startOffset": 0, "endOffset": 1}, None),
        ({"start": "/gone", "end": "/gone", "globalOffsets": {"start": 4, "end": 400}}, None),
        ({"start": "/gone", "end": "/gone", "globalOffsets": [4, 5]}, None),
        ({"start": 3, "end": 7}, None),
        ({"start": "/p[99999999999999999999]", "end": "][", "startOffset": 0, "endOffset": 1}, None),
    ],
)
def test_a_page_finds_what_a_region_points_at_as_the_editor_does(value, text):
    page = HtmlDocument(PAGE)
    if text is None:
        with pytest.raises(Misread):
            page.locate(value)
    else:
        start, end, by_text = page.locate(value)
        assert (page.text[start:end], by_text) == (text, False)


def test_an_inline_page_has_no_head_and_a_page_of_frames_no_text():
    html = "<head><style>p{}</style></head><body><p>x"
    assert HtmlDocument(html).region_value(0, 1)["globalOffsets"] == {"start": 0, "end": 1}
    assert HtmlDocument(html, inline=True).region_value(0, 1)["globalOffsets"] == {"start": 3, "end": 4}
    assert HtmlDocument("<frameset><frame></frameset>").text == ""


def test_deeply_nested_pages_are_read():
    page = HtmlDocument("<b>" * 3000 + "x")
    assert page.text == "x"
    assert page.locate(page.region_value(0, 1)) == (0, 1, False)


# ------------------------------------------------------------------------------------------------ dialogues


def test_a_dialogue_is_pointed_at_by_paragraphs_and_code_units():
    dialogue = Dialogue(["Hi 🤖 Ada", "", "my card"])
    assert dialogue.text == "Hi 🤖 Ada\n\nmy card"
    assert dialogue.region_value(5, 12) == {
        "start": "0",
        "end": "2",
        "startOffset": 6,
        "endOffset": 2,
        "text": "Ada\n\nmy",
    }
    assert dialogue.region_value(8, 12)["text"] == "my"
    assert dialogue.region_value(5, 10)["text"] == "Ada"
    assert dialogue.region_value(8, 9) == {}


@pytest.mark.parametrize(
    "value",
    [
        {"start": "3", "end": "3", "startOffset": 0, "endOffset": 1},
        {"start": "0", "end": "0", "startOffset": 0, "endOffset": 99},
        {"start": "2", "end": "0", "startOffset": 0, "endOffset": 1},
        {"start": "x", "end": "0", "startOffset": 0, "endOffset": 1},
        {"start": "²", "end": "0", "startOffset": 0, "endOffset": 1},
        {"start": "-1", "end": "0", "startOffset": 0, "endOffset": 1},
        {"start": -1, "end": 0, "startOffset": 0, "endOffset": 1},
        {"start": 0, "end": 0},
        {"start": "9" * 5000, "end": "0", "startOffset": 0, "endOffset": 1},
    ],
)
def test_places_that_a_dialogue_does_not_have_are_none(value):
    with pytest.raises(Misread):
        Dialogue(["Hi 🤖 Ada", "", "my card"]).locate(value)


def test_paragraphs_may_be_numbers():
    assert Dialogue(["a", "bc"]).locate({"start": 1, "end": 1, "startOffset": 1, "endOffset": 2}) == (3, 4, False)


# ------------------------------------------------------------------------------------------------ offsets that contradict

SMILES = "💩🎉 Ada is in Oslo."
LINES = "one\r\ntwo\r\nOslo and Rome"


@pytest.mark.parametrize(
    ("text", "value", "located"),
    [
        (SMILES, {"start": "3", "end": 6.0, "text": "Ada"}, (3, 6, False)),
        (SMILES, {"start": 5, "end": 8, "text": "Ada"}, (3, 6, True)),  # UTF-16 units
        (SMILES, {"start": 15, "end": 19, "text": "Oslo"}, (13, 17, True)),  # that end beyond the code points
        (LINES, {"start": 8, "end": 12, "text": "Oslo"}, (10, 14, True)),  # a CRLF as one
        ("🤖" + LINES, {"start": 10, "end": 14, "text": "Oslo"}, (11, 15, True)),  # both
        (SMILES, {"start": 11, "end": 15, "text": "Oslo"}, (13, 17, True)),  # the one nearby
        (SMILES, {"start": 3, "end": 6, "text": " A\\nda\n"}, (3, 6, False)),  # white space and breaks say nothing
        (SMILES, {"start": 3, "end": 6, "text": ""}, (3, 6, False)),
        ("e\u0301 x", {"start": 0, "end": 2, "text": "\u00e9"}, (0, 2, False)),  # the same character
        ("Bob  e\u0301", {"start": 0, "end": 6, "text": "Bob e\u0301"}, (0, 6, False)),  # as the editor writes it
    ],
)
def test_a_span_is_where_its_own_text_is(text, value, located):
    assert PlainText(text).locate(value) == located


@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        (SMILES, {"start": 3, "end": 6, "text": "Bob"}, Reason.CONTRADICTS_TEXT),
        ("Ada Ada Ada", {"start": 1, "end": 4, "text": "Ada"}, Reason.CONTRADICTS_TEXT),  # several nearby
        ("x" * 200 + "Ada", {"start": 3, "end": 6, "text": "Ada"}, Reason.CONTRADICTS_TEXT),  # far away
        ("Ada", {"start": 400, "end": 403, "text": "Ada"}, Reason.BEYOND_TEXT),
        ("Ada", {"start": 0, "end": 4}, Reason.BEYOND_TEXT),
        ("Ada", {"start": 2, "end": 1, "text": "Ada"}, Reason.OUT_OF_ORDER),
        ("Ada", {"text": "Ada"}, Reason.NO_OFFSETS),
    ],
)
def test_a_span_that_is_nowhere_says_why(text, value, reason):
    with pytest.raises(Misread) as caught:
        PlainText(text).locate(value)
    assert caught.value.remark.reason == reason


def test_a_paragraph_is_counted_in_code_points_where_the_text_says_so():
    dialogue = Dialogue(["Hi", "🤖🤖 Ada"])
    place = {"start": "1", "end": "1", "text": "Ada"}
    assert dialogue.locate({**place, "startOffset": 5, "endOffset": 8}) == (6, 9, False)
    assert dialogue.locate({**place, "startOffset": 3, "endOffset": 6}) == (6, 9, True)
    over = {"start": "0", "end": "1", "startOffset": 0, "endOffset": 2, "text": "HiBot🤖"}  # with who speaks
    assert dialogue.locate(over) == (0, 4, False)


def test_a_page_takes_its_global_offsets_where_the_xpaths_point_at_another_text():
    page = HtmlDocument("<p>Ada met Bob</p>")
    value = {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 0, "endOffset": 3, "text": "Bob"}
    assert page.locate({**value, "globalOffsets": {"start": 8, "end": 11}}) == (8, 11, True)
    assert page.locate(value) == (8, 11, True)
