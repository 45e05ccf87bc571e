"""JSON from outside: valid Unicode or a sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsml.files.strict_json import decode_json


@pytest.mark.parametrize(
    ("content", "decoded"),
    [
        (rb'"\ud83e\udd16"', "🤖"),
        (rb'"a\ud83eb"', "a\ufffdb"),
        (rb'"\udd16 \ud83e\udd16 \ud83e"', "\ufffd 🤖 \ufffd"),
        ("{\"ä\": [1, null, 1e5]}".encode(), {"ä": [1, None, 100000.0]}),
    ],
)  # fmt: skip
def test_lone_surrogates_become_the_replacement_character(content, decoded):
    assert decode_json(content) == decoded


@pytest.mark.parametrize("content", [b"", b"{", b"NaN", b"[1,]", b'"\xff"', b"[" * 100_000, b"Infinity", b'{"a": 1} x'])
def test_what_is_not_json_is_a_value_error_with_a_sentence(content):
    with pytest.raises(ValueError, match="."):
        decode_json(content)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_json_can_say_is_read_back_and_can_be_written_again(value):
    decoded = decode_json(json.dumps(value).encode())
    assert json.dumps(decoded, ensure_ascii=False).encode()
