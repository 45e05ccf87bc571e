"""Which tasks Label Studio refuses to import; tests/end_to_end/test_import.py asks a real one about the same cases."""

import pytest

from lsml.labeling import parse_labeling_config
from lsml.labeling.importing import import_refusal

CONFIG = """<View>
<Text name="text" value="$text"/><Paragraphs name="said" value="$talk.turns" nameKey="a" textKey="t"/>
<Image name="pages" valueList="$pages"/><Text name="hint" value="Dear $customer, $reply"/>
<Choices name="topic" toName="text" value="$topics"/>
</View>"""
GOOD = {"text": "a", "talk": {"turns": [{"a": "A", "t": "hello"}]}, "customer": "Ann", "topics": ["x"]}


def without(*names):
    return {name: value for name, value in GOOD.items() if name not in names}


CASES = [
    (GOOD, None),
    ({**GOOD, "text": 5, "topics": [{"value": "x"}], "more": None}, None),
    (without("text"), "its data has no text, which Text#text shows"),
    (without("topics"), "its data has no topics, which Choices#topic shows"),
    (without("customer"), "its data has no customer, which Text#hint shows"),
    ({**GOOD, "talk": {}}, "its data has no talk.turns, which Paragraphs#said shows"),
    ({**GOOD, "text": None}, "text, which Text#text shows, is nothing"),
    ({**GOOD, "text": {"a": 1}}, "text, which Text#text shows, is an object"),
    ({**GOOD, "talk": {"turns": 7}}, "talk.turns, which Paragraphs#said shows, is a number"),
    (None, "its data is nothing; expected an object with the fields that the labeling config shows"),
    ({**without("text"), "$undefined$": "imported as plain text"}, None),
]


@pytest.mark.parametrize(("data", "why"), CASES)
def test_a_task_that_the_config_cannot_show_is_refused_in_a_sentence(data, why):
    assert import_refusal(data, parse_labeling_config(CONFIG)) == why


def test_a_repeater_wants_a_list():
    config = parse_labeling_config(
        '<View><Repeater on="$images" indexFlag="{{idx}}"><Image name="i_{{idx}}" value="$images[{{idx}}].url"/>'
        '<Choices name="c_{{idx}}" toName="i_{{idx}}"><Choice value="A"/></Choices></Repeater></View>'
    )
    assert import_refusal({"images": [{"url": "a.png"}]}, config) is None
    assert import_refusal({"images": "a.png"}, config) == "images, which Image#i_{{idx}} shows, is text"
