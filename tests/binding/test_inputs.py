"""A model that reads several object tags and fields of a task, joined."""

import pytest

from lsml.binding import bind
from lsml.errors import RecipeError
from lsml.labeling import parse_labeling_config
from lsml.labeling.objects import Unreadable
from lsml.recipe import load_recipe
from tests.conftest import write_recipe
from tests.support.fetching import no_fetch

CONFIG = """<View><Text name="title" value="$head"/><HyperText name="body" value="$page"/><Image name="photo" value="$photo"/>
<Table name="order" value="$order"/><Repeater on="$parts"><Text name="part_{{idx}}" value="$parts[{{idx}}]"/></Repeater>
<Choices name="c" toName="photo"><Choice value="A"/><Choice value="B"/></Choices>
<Choices name="t" toName="order"><Choice value="A"/></Choices>
<Labels name="l" toName="title"><Label value="X"/></Labels></View>"""


def bound(tmp_path, tags):
    return bind(load_recipe(write_recipe(tmp_path, f"tags: {tags}\n", config=None)), parse_labeling_config(CONFIG))


def shown(binding, data):
    [reading] = binding.models[0].read({"id": 1, "data": data}, no_fetch)
    return reading.view.data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"head": "Late", "page": "<p>It is <b>late</b></p>", "tier": "gold"}, "Late\n\nIt is late\n\ngold"),
        ({"head": "Late", "page": "  ", "tier": None}, "Late"),
        ({"tier": 3, "page": None}, "3"),
        ({"tier": ["a", {"b": True}]}, '["a", {"b": true}]'),
    ],
)
def test_texts_are_joined_with_a_blank_line_and_what_a_task_lacks_is_left_out(tmp_path, data, text):
    binding = bound(tmp_path, "{'Choices#c': {adapter: text-classifier, inputs: [title, body, $tier]}}")
    assert shown(binding, data) == text
    assert binding.models[0].shown == "Text#title ($head), HyperText#body ($page), $tier"
    assert binding.models[0].object_tag.name == "photo"  # what regions are written for


def test_columns_are_named_as_the_recipe_names_them_and_objects_are_as_many(tmp_path):
    binding = bound(tmp_path, "{'Choices#c': {adapter: tabular, inputs: [$tier, title, order, $more.deep]}}")
    data = {"tier": "gold", "head": "Late", "order": {"items": 3, "paid": True}, "more": {"deep": {"x": 1}}}
    assert shown(binding, data) == {
        "tier": "gold", "title": "Late", "order.items": 3, "order.paid": True, "more.deep.x": 1
    }  # fmt: skip
    assert shown(binding, {"tier": 0}) == {"tier": 0, "title": None, "order": None, "more.deep": None}


def test_a_table_is_read_without_inputs(tmp_path):
    binding = bound(tmp_path, "{'Choices#t': tabular}")
    assert shown(binding, {"order": {"items": 3}}) == shown(binding, {"order": ' {"items": 3}'}) == {"items": 3}
    with pytest.raises(Unreadable, match="a text that is not JSON"):
        shown(binding, {"order": "{items: 3}"})
    for held, why in (([1], "is a list in this task; expected an object of names and values"), ({}, "is empty")):
        with pytest.raises(Unreadable, match=why):
            shown(binding, {"order": held})


def test_a_task_with_none_of_them_is_unreadable(tmp_path):
    binding = bound(tmp_path, "{'Choices#c': {adapter: text-classifier, inputs: [title, $tier]}}")
    with pytest.raises(Unreadable) as caught:
        shown(binding, {"text": "x", "tier": ""})
    assert str(caught.value) == "title, $tier: missing or empty in the task's data, which has text, tier"


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ("[tier]", "`inputs` names tier, but the labeling config shows title, body, photo, order, part_{{idx}}; "
                   "write `$tier` for a field of the task"),
        ("[title, photo]", "`inputs` names Image#photo, but only Chat, HyperText, Paragraphs, Table, Text can be joined"),
        ("['part_{{idx}}']", "`inputs` names Text#part_{{idx}}, which is in a Repeater; name fields of the task instead"),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_leaves_the_control_unbound_and_says_why(tmp_path, inputs, reason):
    binding = bound(tmp_path, f"{{'Choices#c': {{adapter: text-classifier, inputs: {inputs}}}}}")
    assert binding.models == ()
    assert f"Choices#c: {reason}" in [unbound.reason for unbound in binding.unbound]


def test_an_adapter_of_columns_says_how_to_name_them(tmp_path):
    binding = bound(tmp_path, "{'Choices#c': tabular}")
    assert (
        "Choices#c is for Image#photo, and tabular reads Table; name the columns under `inputs`, such as [$age, $city]"
        in [unbound.reason for unbound in binding.unbound]
    )


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ("{Labels: {adapter: ner-crf, inputs: [title]}}",
         "Labels marks parts of one object, and joined inputs are not one object; remove the key"),
        ("{Choices: {adapter: image-classifier, inputs: [photo]}}",
         "image-classifier reads Image, Pdf, but `inputs` gives a text or columns; remove the key"),
    ],
)  # fmt: skip
def test_what_never_reads_joined_inputs_is_refused_with_the_recipe(tmp_path, tags, why):
    with pytest.raises(RecipeError) as caught:
        bound(tmp_path, tags)
    assert [problem.message for problem in caught.value.problems] == [why]


def test_a_version_fits_only_the_inputs_that_it_learnt_from(tmp_path):
    one, other, none = (
        bound(tmp_path, f"{{'Choices#t': {{adapter: tabular{inputs}}}}}").models[0]
        for inputs in (", inputs: [$a, $b]", ", inputs: [$a]", "")
    )
    assert len({one.fingerprint, other.fingerprint, none.fingerprint}) == 3
    assert (one.fields, none.fields) == ("$a, $b", "$order")
    assert [(tag.tag, tag.value) for tag in (*one.reads, *none.reads)] == [
        ("Text", "$a"), ("Text", "$b"), ("Table", "$order")
    ]  # fmt: skip
