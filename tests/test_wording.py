"""Values of strangers in sentences: short, on one line, and no more than may be told."""

import pytest

from lsml.wording import JSON, YAML, about, listed, near


@pytest.mark.parametrize(
    ("value", "in_json", "in_yaml", "kind"),
    [
        (None, "nothing", "nothing", "nothing"),
        (True, "true", "true", "true"),
        (7, "7", "7", "a number"),
        (10**400, "a very large number", "a very large number", "a number"),
        (float("nan"), "nan", "nan", "a number"),
        (0.1, "0.1", "0.1", "a number"),
        ("a\nb", '"a b"', "`a b`", "text"),
        ("x" * 50, f'"{"x" * 50}"', f"`{'x' * 37}...`", "text"),
        (["secret"], "a list", "a list", "a list"),
    ],
)
def test_a_value_is_told_short_and_on_one_line(value, in_json, in_yaml, kind):
    assert (JSON.shown(value), YAML.shown(value), JSON.kind(value), YAML.kind(value)) == (in_json, in_yaml, kind, kind)


def test_keys_with_values_are_called_as_in_their_language():
    assert (JSON.shown({"a": 1}), YAML.shown({"a": 1})) == ("an object", "settings (keys and values)")


@pytest.mark.parametrize(
    ("name", "others", "found"),
    [
        ("topic", ["Topics", "area", "subtopic"], ["Topics", "subtopic"]),
        ("Dog", ["hot dog", "cat"], ["hot dog"]),  # little of it is alike, and yet it is meant
        ("hot dog", ["dog"], ["dog"]),
        ("label", ["label1", "label2", "label3", "label4"], 3),
        ("x", ["topic"], []),
        ("topic", [], []),
    ],
)
def test_near_are_names_that_are_written_alike_or_hold_each_other_whatever_the_capitals(name, others, found):
    given = near(name, others)
    assert given == found if isinstance(found, list) else len(given) == found


def test_of_many_names_the_first_are_listed_and_the_others_counted():
    assert (listed([]), listed("abcde"), listed("abcdefg"), listed(iter("abc"), 2)) == (
        "", "a, b, c, d, e", "a, b, c, d, e and 2 more", "a, b and 1 more",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.2, "about 0 s"), (89, "about 89 s"), (170, "about 3 min"), (7300, "about 2 h")]
)
def test_a_time_is_told_in_round_words(seconds, told):
    assert about(seconds) == told
