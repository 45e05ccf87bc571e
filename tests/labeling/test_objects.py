"""What an adapter sees of each object tag."""

import json
from pathlib import Path

import pytest

from lsml.errors import FetchError
from lsml.labeling import parse_labeling_config
from lsml.labeling.documents import HtmlDocument
from lsml.labeling.items import Items
from lsml.labeling.objects import Picture, Unreadable, read_object
from tests.support.fetching import Fetching, no_fetch


def tag(xml):
    config = parse_labeling_config(f'<View>{xml}<Choices name="c" toName="t"><Choice value="A"/></Choices></View>')
    return config.objects["t"]


def read(xml, data, fetch=no_fetch):
    [shown] = read_object(tag(xml), {"id": 7, "data": data}, fetch)
    return shown.data


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hello <b>big</b> world</p>", "Hello big world"),
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("5 &lt; 6 &amp; 7 &gt; 6 &#8364; &nbsp;x", "5 < 6 & 7 > 6 € x"),
        ("<script>alert('no')</script><style>p{}</style>yes", "yes"),
        ("<!-- no --><p>yes", "yes"),
        ("un<b>bel</b>ievable", "unbelievable"),
        ("<ul><li>a<li>b</ul>", "a\nb"),
        ("no markup, 3 < 4 and 5 > 4", "no markup, 3 < 4 and 5 > 4"),
        ("", ""),
        ("<table><tr><td>a<td>b</table>", "a\nb"),
        ("<td>a</td><td>b</td>", "ab"),
    ],
)
def test_markup_is_stripped_as_a_browser_shows_it(html, text):
    assert HtmlDocument(html).text == text


def test_hypertext_gives_its_text():
    assert read('<HyperText name="t" value="$html"/>', {"html": "<h1>Invoice</h1><p>paid</p>"}) == "Invoice\npaid"


def test_paragraphs_give_their_utterances_without_the_speakers():
    dialogue = [{"author": "Ann", "text": "Hello"}, {"author": "Bob", "text": "Hi, my card broke"}]
    assert read('<Paragraphs name="t" value="$d"/>', {"d": dialogue}) == "Hello\nHi, my card broke"
    named = [{"who": "Ann", "said": "Hello"}]
    assert read('<Paragraphs name="t" value="$d" nameKey="who" textKey="said"/>', {"d": named}) == "Hello"


def test_a_chat_gives_its_messages_each_after_its_role():
    messages = [
        {"role": "user", "content": "My card broke"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "assistant", "content": "We send a new one"},
        {"content": "Thanks"},
        "no message",
    ]
    lines = "user: My card broke\nassistant: We send a new one\nThanks"
    assert read('<Chat name="t" value="$c"/>', {"c": messages}) == lines
    assert read('<Chat name="t" value="$c"/>', {"c": json.dumps(messages)}) == lines


@pytest.mark.parametrize(
    ("chat", "why"),
    [
        ([], "which is empty in this task"),
        ({"role": "user"}, "which is an object in this task; expected a list of messages"),
        ("hello", "the text in this task is not JSON"),
    ],
)
def test_a_chat_without_messages_cannot_be_read(chat, why):
    with pytest.raises(Unreadable, match=why):
        read('<Chat name="t" value="$c"/>', {"c": chat})


def test_a_text_whose_value_is_a_url_is_fetched_and_one_that_looks_like_it_is_not():
    fetched = []

    def fetch(url, task):
        fetched.append((url, task["id"]))
        return "from the web"

    url = "http://example.org/a.txt"
    assert read('<Text name="t" value="$u"/>', {"u": url}) == url
    assert read('<Text name="t" value="$u" valueType="url"/>', {"u": url}, Fetching(fetch)) == "from the web"
    assert read('<HyperText name="t" value="$u" valueType="url"/>', {"u": url}, Fetching(lambda *_: "<p>x</p>")) == "x"
    assert (
        read('<Paragraphs name="t" value="$u" valueType="url"/>', {"u": url}, Fetching(lambda *_: '[{"text": "a"}]'))
        == "a"
    )
    assert fetched == [(url, 7)]


@pytest.mark.parametrize(
    ("attributes", "saved"),
    [
        ("", True),
        ('saveTextResult="no"', False),
        ('savetextresult="NO"', False),
        ('valueType="url"', False),
        ('valueType="url" saveTextResult="yes"', True),
        ('valueType="text" saveTextResult="none"', True),
    ],
)
def test_regions_repeat_their_text_where_the_tag_says_so(attributes, saved):
    found = tag(f'<Text name="t" value="$u" {attributes}/>')
    [shown] = read_object(found, {"id": 7, "data": {"u": "Ada"}}, Fetching(lambda *_: "Ada"))
    assert shown.document.region_value(0, 3) == {"start": 0, "end": 3, **({"text": "Ada"} if saved else {})}


def test_a_url_that_cannot_be_fetched_raises_for_its_task():
    def fetch(url, task):
        raise FetchError("http://example.org/a.txt: 404")

    with pytest.raises(FetchError):
        read('<Text name="t" value="$u" valueType="url"/>', {"u": "http://example.org/a.txt"}, Fetching(fetch))


@pytest.mark.parametrize(
    ("xml", "data", "sentence"),
    [
        (
            '<Text name="t" value="$text"/>',
            {"body": 1, "a": 2},
            "Text#t shows $text, and the task's data has no 'text'; it has a, body",
        ),
        ('<Text name="t" value="$text"/>', {"text": None}, "Text#t shows $text, which is null in this task"),
        (
            '<Text name="t" value="$text"/>',
            {"text": ["a"]},
            "Text#t shows $text, which is a list in this task; expected a text",
        ),
        (
            '<Text name="t" value="$text"/>',
            {"text": True},
            "Text#t shows $text, which is true in this task; expected a text",
        ),
        (
            '<Paragraphs name="t" value="$d"/>',
            {"d": {}},
            "Paragraphs#t shows $d, which is an object in this task; expected a list of utterances",
        ),
    ],
)
def test_what_cannot_be_read_says_why(xml, data, sentence):
    with pytest.raises(Unreadable) as error:
        read(xml, data)
    assert str(error.value) == sentence


@pytest.mark.parametrize("task", [{}, {"data": None}, {"data": "x"}])
def test_a_task_without_data_says_so(task):
    with pytest.raises(Unreadable, match="the task has no data"):
        read_object(tag('<Text name="t" value="$text"/>'), task, no_fetch)


def test_a_number_reads_as_a_text():
    assert read('<Text name="t" value="$n"/>', {"n": 12.5}) == "12.5"


def test_a_task_imported_as_plain_text_is_shown_under_the_field_of_the_config():
    imported = {"$undefined$": "refund"}
    assert read('<Text name="t" value="$body"/>', imported) == "refund"
    assert read('<HyperText name="t" value="$page"/>', {"$undefined$": "<p>yes</p>"}) == "yes"
    assert read('<Text name="t" value="$body"/>', {**imported, "body": "own"}) == "own"
    with pytest.raises(Unreadable, match="has no 'page'"):
        read('<Text name="t" value="$page"/>', {"text": "refund"})


def test_a_list_gives_its_items_by_their_ids():
    items = [{"id": 7, "title": "First", "body": "one"}, {"id": "b", "html": "<b>two</b>"}, {"id": "c"}]
    shown = Items(("7", "b", "c"), ("First\none", "two", ""))
    assert read('<List name="t" value="$l"/>', {"l": items}) == shown
    assert read('<List name="t" value="$l"/>', {"l": json.dumps(items)}) == shown


@pytest.mark.parametrize(
    "changed",
    [{}, {"title": "Chair"}, {"body": "a chair"}, {"html": "<img src='/c.png'/> cheap"}, {"html": "<img/>"},
     {"html": "<img src='/c.png'><img src='/d.png'>"}],
)  # fmt: skip
def test_items_that_are_images_give_these_and_others_their_texts(changed):
    images = Fetching(image=lambda url, _task: Picture(Path(f"/got{url}"), (9, 9)))
    items = [
        {"id": "a", "html": "<p><IMG alt='x' src=' /a.png '></p>"},
        {"id": 2, "html": "<img src='/b.png'/>"} | changed,
    ]
    shown = read('<List name="t" value="$l"/>', {"l": items}, images)
    assert shown.names == ("a", "2")
    assert shown.paths == (("/got/a.png", "/got/b.png") if changed.keys() <= {"title"} else ())


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ([], "which is an empty list in this task"),
        (["a"], "expected a list of objects with an id"),
        ({}, "expected a list"),
    ],
)
def test_a_list_without_items_cannot_be_read(items, why):
    with pytest.raises(Unreadable, match=why):
        read('<List name="t" value="$l"/>', {"l": items})
