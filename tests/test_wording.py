"""Values of strangers in sentences: short, on one line, and no more than may be told."""

import pytest

from lsml.wording import JSON, YAML


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
