"""remote against a small HTTP service of the tests: what is sent, what is read, and what it makes of trouble."""

from __future__ import annotations

import json
from types import SimpleNamespace

import msgspec
import pytest

from lsml.adapters.base import Target
from lsml.adapters.remote.adapter import Remote
from lsml.adapters.remote.paths import found_at
from lsml.adapters.remote.service import filled
from lsml.binding import bind
from lsml.errors import AdapterError
from lsml.labeling import parse_labeling_config
from lsml.recipe import load_recipe
from lsml.values import Choice, Number, Span, Text
from tests.support.service import said
from tests.support.web import Answer, Web, dripping

LABEL = {"label": "A", "score": 0.5}


def remote(web, kind="choice", **options):
    given = {
        "url": f"{web.url}/ask",
        "private": True,
        "retries": 0,
        "timeout": 5,
        "authorization": "Token the-secret",
        **options,
    }
    return Remote(msgspec.convert(given, Remote.Options), Target(("A",), kinds={kind: ("A",)}))


def test_the_request_is_the_recipe_s_and_a_text_is_a_string_in_it():
    attack = '"}, "admin": true, {"x": "{text}\r\nHost: evil'
    with Web(lambda asked: said(LABEL)) as web:
        template = {"inputs": [{"doc": "<{text}>"}], "n": 3, "flag": True, "none": None}
        remote(web, request=template, headers={"X-Api-Version": "2"}).predict([attack])
    (asked,) = web.asked
    assert json.loads(asked.body) == {"inputs": [{"doc": f"<{attack}>"}], "n": 3, "flag": True, "none": None}
    assert asked.headers["authorization"] == "Token the-secret" and asked.headers["x-api-version"] == "2"
    assert asked.target == "/ask" and asked.headers["host"] == f"127.0.0.1:{web.port}"
    assert filled({"a": ["{text}"]}, {"text": "{text}"}) == {"a": ["{text}"]}


@pytest.mark.parametrize(
    ("kind", "options", "answer", "expected"),
    [
        ("choice", {}, LABEL, [Choice("A", 0.5)]),
        ("choice", {"each": "$.results[*].classes[0]", "label": "name", "score": "p"},
         {"results": [{"classes": [{"name": "A", "p": 1}, {"name": "B"}]}, {"classes": []}, {}]}, [Choice("A", 1.0)]),
        ("span", {"each": "[*]", "start": "at[0]", "end": "at[1]"}, [{"at": [0, 3], "label": "A"}], [Span(0, 3, "A")]),
        ("number", {"number": "stars.mean"}, {"stars": {"mean": 4}}, [Number(4.0)]),
        ("text", {"text": "results.channels[0].alternatives[0].transcript", "score": "results.channels[0].alternatives[0].confidence"},
         {"results": {"channels": [{"alternatives": [{"transcript": "so", "confidence": 0.9}]}]}}, [Text("so", 0.9)]),
        ("choice", {}, {"other": 1}, []),
        ("choice", {"each": "results[*]"}, ["a list"], []),
    ],
)  # fmt: skip
def test_values_are_read_where_the_paths_say(kind, options, answer, expected):
    with Web(lambda asked: said(answer)) as web:
        assert remote(web, kind, **options).predict(["some text"]) == [expected]


@pytest.mark.parametrize(
    ("path", "found"),
    [("$", [{"a": [1, 2]}]), ("a[*]", [1, 2]), ("$.a[1]", [2]), ("a[5]", []), ("b.c", []), ("a.b", [])],
)
def test_a_path_finds_what_is_there(path, found):
    assert found_at(path, {"a": [1, 2]}) == found


def test_a_file_is_sent_as_it_is(tmp_path):
    clip = tmp_path / "clip.wav"
    clip.write_bytes(b"RIFF\x00\xff")
    with Web(lambda asked: said({"text": "hello"})) as web:
        assert remote(web, "text", send="file", content_type="audio/wav").predict([clip]) == [[Text("hello")]]
    assert web.asked[0].body == b"RIFF\x00\xff" and web.asked[0].headers["content-type"] == "audio/wav"


# (what the service answers, the sentence, how often three texts ask it)
TROUBLE = {
    "401": (said({}, 401), "rejected the key (401); check `authorization`", 1),
    "429": (said({}, 429), "answered 429 to the last of 1 attempts", 1),
    "500": (said({}, 500), "answered 500 to the last of 1 attempts", 1),
    "a redirect": (Answer(302, headers={"Location": "http://169.254.169.254/"}), "answered 302", 1),
    "half a body": (Answer(body=b"{", headers={"Content-Length": "400"}), "cannot be reached (RemoteProtocolError)", 1),
    "400": (said({}, 400), "refused the request (400); check `request`", 3),
    "not JSON": (Answer(body=b"<html>"), "its answer is not JSON", 3),
    "a score above 1": (
        said({"label": "A", "score": 7}),
        "the service's answer is not a valid choice (a score must be between 0 and 1",
        3,
    ),
}


@pytest.mark.parametrize("case", TROUBLE)
def test_trouble_is_told_of_each_text_and_nothing_is_asked_in_vain(case, caplog):
    answer, why, times = TROUBLE[case]
    with Web(lambda asked: answer) as web:
        adapter = remote(web, concurrency=1)
        with pytest.raises(AdapterError):
            adapter.predict(["one", "two", "three"])
        for text in ("one", "two", "three"):
            with pytest.raises(AdapterError) as caught:
                adapter.predict([text])
            assert why in str(caught.value) and "the-secret" not in str(caught.value)
    assert len(web.asked) == times and "3 of 3 have no prediction" in caplog.text


def test_a_span_beyond_the_text_is_refused():
    late = pytest.raises(AdapterError, match="a span must be inside the text")
    with Web(lambda asked: said({"label": "A", "start": 0, "end": 50})) as web, late:
        remote(web, "span").predict(["short"])


def test_silence_ends_at_the_time_out():
    silent = Answer(headers={"Content-Length": "9"}, pieces=[b"x"], pause_s=2)
    late = pytest.raises(AdapterError, match=r"no answer within 0.3 s \(options.timeout\)")
    with Web(lambda asked: silent) as web, late:
        remote(web, timeout=0.3).predict(["a text"])


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["headers", "body"])
def test_an_answer_that_comes_byte_by_byte_ends_at_the_time_out(head):
    late = pytest.raises(AdapterError, match=r"no answer within 0.5 s \(options.timeout\)")
    with dripping(head) as url, late:
        remote(SimpleNamespace(url=url), timeout=0.5).predict(["a text"])


def test_what_passes_is_tried_again():
    answers = iter([said({}, 429, **{"Retry-After": "0"}), said({}, 503, **{"Retry-After": "0"}), said(LABEL)])
    with Web(lambda asked: next(answers)) as web:
        assert remote(web, retries=2).predict(["a text"]) == [[Choice("A", 0.5)]]
    assert len(web.asked) == 3


def test_an_address_that_is_not_public_is_asked_only_where_the_recipe_says_so():
    refused = pytest.raises(
        AdapterError, match="has the private address 127.0.0.1; if it is your own service, write `private: true`"
    )
    with Web(lambda asked: said(LABEL)) as web, refused:
        remote(web, private=False).predict(["a text"])
    assert not web.asked


def test_without_a_url_it_abstains_and_says_so():
    adapter = Remote(Remote.Options(), Target(("A",), kinds={"choice": ("A",)}))
    assert adapter.predict(["a"]) == [[]] and not adapter.ready
    assert Remote.lacks(adapter.options, adapter.target) == (
        "remote: the service's URL is missing; write `url` under `options`"
    )


def test_sound_is_sent_as_a_file(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        'lsml: 1\nname: r\ntags:\n  TextArea:\n    adapter: remote\n    options: {url: "https://example.com/"}\n'
    )
    config = parse_labeling_config('<View><Audio name="a" value="$a"/><TextArea name="t" toName="a"/></View>')
    (unbound,) = bind(load_recipe(path), config).unbound
    assert unbound.reason == "TextArea#t: remote needs `send: file` for Audio; write it under `options`"
