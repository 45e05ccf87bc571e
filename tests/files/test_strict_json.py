"""JSON from outside: it means one thing, in valid Unicode, or there is a sentence."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsml.files.strict_json import NotUnicode, decode_json

HALF = "holds half of a surrogate pair (\\ud800 to \\udfff), which is not a character; send both halves"


@pytest.mark.parametrize(
    ("content", "decoded"),
    [
        (rb'"\ud83e\udd16"', "🤖"),
        (rb'"\\ud83e"', "\\ud83e"),
        ("{\"ä\": [1, null, 1e5]}".encode(), {"ä": [1, None, 100000.0]}),
        (rb'{"a": "\"", "\"": "\\", "\\": "\\\""}', {"a": '"', '"': "\\", "\\": '\\"'}),
        (rb'{"a": "\u0022", "b": "\\u0022"}', {"a": '"', "b": "\\u0022"}),
        (b'{"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]}', {"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]}),
        (b'{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    ],
)  # fmt: skip
def test_what_means_one_thing_is_read(content, decoded):
    assert decode_json(content) == decoded


@pytest.mark.parametrize("content", [b"", b"{", b"NaN", b"[1,]", b'"\xff"', b"[" * 100_000, b"Infinity", b'{"a": 1} x'])
def test_what_is_not_json_is_a_value_error_with_a_sentence(content):
    with pytest.raises(ValueError, match="."):
        decode_json(content)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b'{"tasks": [], "tasks": [{"data": {}}]}', "tasks"),
        (b'[{"a": {"b": 1, "c": [], "b": 1}}]', "b"),
        (rb'{"a": 1, "\u0061": 1}', "a"),
        (rb'{"\"": 1, "\u0022": "\\"}', '"'),
        (rb'{"a": 1, "a": "\u0022\u0022"}', "a"),
        (b'{"a": {"x": "y"}, "a": 123456789012345678901234567890}', "a"),
        (rb'{"a\ud83e": 1, "a\ud83e": 1}', "a?"),
        ('{"ключ": 1, "ключ": 2}'.encode(), "ключ"),
        (b'{"": 1, "": 2}', ""),
    ],
)
def test_a_key_that_stands_twice_is_refused_as_ambiguous(content, key):
    with pytest.raises(ValueError) as refused:
        decode_json(content)
    assert str(refused.value) == f"the key {key!r} occurs twice in one object, which is ambiguous"


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (rb'"a\ud83eb"', "a text"),
        (rb'{"tasks": [{"data": {"text": "a"}}, {"data": {"text": "\udd16 \ud83e\udd16"}}]}', "tasks[1].data.text"),
        (rb'{"project": {"\ud800": 1}}', "project: the key '?'"),
        (rb'[["\ud83e\ud83e\udd16"]]', "[0][0]"),
        (rb'{"a\nb": "\uDFFF"}', "a?b"),
    ],
)
def test_half_of_a_surrogate_pair_is_refused_and_never_another_text(content, where):
    with pytest.raises(ValueError) as refused:
        decode_json(content)
    assert str(refused.value) == f"{where}: {HALF}"


def test_in_a_list_that_is_spared_it_costs_its_own_entry():
    content = rb'{"tasks": ["a", {"b": ["\ud83e"]}, "\ud83e\udd16"], "other": []}'
    assert decode_json(content, spare=["tasks", "other"]) == {
        "tasks": ["a", NotUnicode("tasks[1].b[0]"), "🤖"],
        "other": [],
    }
    with pytest.raises(ValueError, match=r"^other\[0\]: holds half"):
        decode_json(rb'{"tasks": ["\ud83e"], "other": ["\ud83e"]}', spare=["tasks"])
    with pytest.raises(ValueError, match="malformed|invalid"):
        decode_json(rb'{"tasks": ["\ud83e", 1e]}', spare=["tasks"])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(st.sampled_from('"\\a\n/ä🤖\u2028') | st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.sampled_from('"\\ab') | st.characters(exclude_categories=["Cs"])), inner),
)  # fmt: skip


@given(ANYTHING, st.booleans())
def test_whatever_json_can_say_is_read_as_it_is(value, escaped):
    assert decode_json(json.dumps(value, ensure_ascii=escaped).encode()) == value


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(), ANYTHING, min_size=1), st.data())
def test_wherever_a_key_stands_twice_it_is_refused(value, data):
    pairs = list(value.items())
    key = data.draw(st.sampled_from(list(value)))
    pairs.insert(data.draw(st.integers(0, len(pairs))), (key, data.draw(ANYTHING)))
    content = "{" + ", ".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in pairs) + "}"
    for wrapped in (content, f'[[1, {content}], "x"]', f'{{"a": {{"b": {content}}}}}'):
        with pytest.raises(ValueError, match="occurs twice in one object"):
            decode_json(wrapped.encode())
