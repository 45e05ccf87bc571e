"""A Pairwise is answered by what reads both of its objects."""

import pytest

from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.labeling.items import Items
from lsml.labeling.objects import Picture, Unreadable
from lsml.recipe import load_recipe
from tests.conftest import write_recipe
from tests.support.fetching import Fetching, no_fetch

CONFIG = """
<View>
  <Text name="one" value="$a"/><Text name="two" value="$b"/><Image name="picture" value="$i"/>
  <Pairwise name="better" toName="OBJECTS"/>
  <Choices name="topic" toName="one"><Choice value="A"/></Choices>
</View>
"""


def bound(tmp_path, tags="  Pairwise: pairwise", objects="one,two", config=CONFIG):
    recipe = load_recipe(write_recipe(tmp_path, f"tags:\n{tags}\n", config=None))
    return bind(recipe, parse_labeling_config(config.replace("OBJECTS", objects)))


def test_both_objects_are_read_together(tmp_path):
    [model] = bound(tmp_path).models
    assert model.target.labels == ("left", "right") and model.object_tag.name == "one"
    [reading] = model.read({"data": {"a": "first", "b": "second", "i": "x"}}, no_fetch)
    assert reading.view.data == Items(("left", "right"), ("first", "second"))
    assert model.shown == "Text#one ($a), Text#two ($b)"


def test_a_task_without_one_of_them_cannot_be_read(tmp_path):
    [model] = bound(tmp_path).models
    with pytest.raises(Unreadable, match=r"Text#two shows \$b, and the task's data has no 'b'"):
        model.read({"data": {"a": "first"}}, no_fetch)


@pytest.mark.parametrize(
    ("tags", "objects", "why"),
    [
        (
            "  Pairwise: text-classifier",
            "one,two",
            "Pairwise#better compares one and two, and text-classifier reads one at a time",
        ),
        ("  Choices: pairwise", "one,two", "Choices#topic is for one object, and pairwise compares several"),
        (
            "  Pairwise: {adapter: pairwise, inputs: [$c]}",
            "one,two",
            "Pairwise#better: pairwise reads what the tag compares; remove `inputs` and `needs`",
        ),
        ("  Pairwise: pairwise", "one", 'Pairwise#better compares two objects; write toName="first,second"'),
        ("  Pairwise: pairwise", "one,one", 'Pairwise#better compares two objects; write toName="first,second"'),
        (
            "  Pairwise: pairwise",
            "one,three",
            "Pairwise#better: toName names one, three, and the labeling config shows Text#one, Text#two, Image#picture",
        ),
        (
            "  Pairwise: pairwise",
            "one,picture",
            "Pairwise#better compares an image with a text, which no adapter can",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(tmp_path, tags, objects, why):
    binding = bound(tmp_path, tags, objects)
    assert binding.models == () and why in [one.reason for one in binding.unbound]


def test_a_repeater_is_refused(tmp_path):
    config = (
        '<View><Repeater on="$items"><Text name="a_{{idx}}" value="$items[{{idx}}].a"/>'
        '<Text name="b_{{idx}}" value="$items[{{idx}}].b"/>'
        '<Pairwise name="p_{{idx}}" toName="a_{{idx}},b_{{idx}}"/></Repeater></View>'
    )
    [unbound] = bound(tmp_path, config=config).unbound
    assert "is inside a Repeater, whose copies pairwise cannot distinguish" in unbound.reason


def test_a_language_model_compares_texts_or_images(tmp_path):
    llm = "  Pairwise: {adapter: llm, options: {model: m, api_key: k}}"
    two = CONFIG.replace(
        '<Image name="picture" value="$i"/>', '<Image name="p" value="$a"/><Image name="q" value="$b"/>'
    )
    [texts] = bound(tmp_path, llm).models
    [images] = bound(tmp_path, llm, "p,q", two).models
    assert texts.target.questions[0].compares and texts.target.questions[0].labels == ("left", "right")
    fetch = Fetching(image=lambda url, _task: Picture(tmp_path / url, (4, 4)))
    [reading] = images.read({"data": {"a": "a.png", "b": "b.png"}}, fetch)
    assert reading.view.data == Items(("left", "right"), paths=(str(tmp_path / "a.png"), str(tmp_path / "b.png")))
    [unbound] = [one for one in bound(tmp_path, llm, "one,picture").unbound if one.control_tag.tag == "Pairwise"]
    assert unbound.reason == "Pairwise#better compares an image with a text, which no adapter can"
