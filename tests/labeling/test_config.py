from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsml.errors import LabelingConfigError
from lsml.labeling import (
    KNOWN_CONTROL_TAGS,
    KNOWN_OBJECT_TAGS,
    Condition,
    ControlTag,
    Label,
    ObjectTag,
    Repeater,
    instances,
    join_path,
    parse_labeling_config,
    resolve_value,
    split_path,
)


def only_control(xml: str) -> ControlTag:
    (control,) = parse_labeling_config(f"<View>{xml}</View>").controls
    return control


# ------------------------------------------------------------------------------------------------ tags


def test_controls_and_objects_are_found_in_document_order_wherever_they_stand():
    config = parse_labeling_config(
        """
        <View style="display: flex">
          <Header value="$title"/>
          <div class="a"><p>Some <b>HTML</b> &amp; text</p>
            <Choices name="topic" toName="text,title"><Choice value="Bug"/></Choices>
          </div>
          <Text name="text" value="$text"/>
          <View><HyperText name="title" value="$html"/></View>
          <Filter name="filter" toName="topic"/>
          <input name="x" value="y"/>
          <Labels name="spans" toName="text"><View><Label value="PER"/><Label value="ORG"/></View></Labels>
        </View>
        """
    )
    assert [control.selector for control in config.controls] == ["Choices#topic", "Labels#spans"]
    assert config.controls[0].to_names == ("text", "title")
    assert [label.name for label in config.controls[1].labels] == ["PER", "ORG"]
    assert {name: found.tag for name, found in config.objects.items()} == {"text": "Text", "title": "HyperText"}


def test_names_of_tags_and_attributes_are_matched_without_regard_to_case():
    control = only_control(
        '<rectanglelabels NAME="box" toname=" image , other "><LABEL Value="Car"/></rectanglelabels>'
    )
    assert control.tag == "RectangleLabels"
    assert control.to_names == ("image", "other")
    assert control.labels == (Label("Car", path=("Car",)),)
    assert only_control('<Rating name="r" toName="t" maxrating="7"/>').attributes["maxRating"] == "7"


def test_an_unknown_tag_with_name_and_to_name_is_a_control():
    assert only_control('<Sparkle name="s" toName="text"/>').selector == "Sparkle#s"


def test_choices_may_be_nested_and_have_aliases_and_predicted_values():
    control = only_control(
        """
        <Taxonomy name="t" toName="text">
          <Choice value="Animals" alias="animals">
            <Choice value="Owl" predicted_values="owl, barn owl,"/>
            <View><Choice value="Cat" alias="cat"/></View>
          </Choice>
          <Choice value="Plants"/>
          <Choice/>
        </Taxonomy>
        """
    )
    assert control.labels == (
        Label("Animals", "animals", ("animals",), leaf=False),
        Label("Owl", None, ("animals", "Owl"), ("owl", "barn owl")),
        Label("Cat", "cat", ("animals", "cat")),
        Label("Plants", None, ("Plants",)),
    )
    assert [label.name for label in control.labels] == ["animals", "Owl", "cat", "Plants"]


@pytest.mark.parametrize(
    ("xml", "options"),
    [
        ('<Choices name="c" toName="text" value="$options"/>', "$options"),
        ('<Taxonomy name="c" toName="text" value="$tree"/>', "$tree"),
        ('<RectangleLabels name="c" toName="text" value="$labels"/>', "$labels"),
        ('<Choices name="c" toName="text" value="fixed"/>', None),
        ('<TextArea name="c" toName="text" value="$draft"/>', None),
    ],
)
def test_labels_that_come_with_each_task_are_named_by_a_value_of_a_tag_that_takes_labels(xml, options):
    assert only_control(xml).options_value == options


def test_conditions_reach_down_from_the_tags_around():
    control = only_control(
        """
        <View visibleWhen="choice-selected" whenTagName="kind" whenChoiceValue="Bug, Crash">
          <View visiblewhen="region-selected">
            <Choices name="c" toName="text" perRegion="true" whenLabelValue="Car"/>
          </View>
        </View>
        """
    )
    assert control.conditions == (
        Condition("choice-selected", "kind", ("Bug", "Crash")),
        Condition("region-selected"),
        Condition("region-selected", None, ("Car",)),
    )
    assert only_control('<Choices name="c" toName="text" whenTagName="kind"/>').conditions == ()


def test_per_region_counts_for_its_own_tag_alone():
    assert only_control('<Choices name="c" toName="text" perRegion="True"/>').per_region
    assert not only_control('<View perRegion="true"><Choices name="c" toName="text"/></View>').per_region
    assert only_control('<Choices name="c" toName="text" peritem="true"/>').per_item


def test_an_object_of_several_pages_has_its_list_as_value():
    config = parse_labeling_config('<View><Image name="image" valueList="$pages"/><Text name="empty"/></View>')
    assert config.objects == {"image": ObjectTag("Image", "image", "$pages", {"name": "image", "valueList": "$pages"})}


def test_the_digest_is_that_of_the_xml():
    xml = '<View><Text name="t" value="$é"/></View>'
    assert parse_labeling_config(xml).digest == hashlib.sha256(xml.encode()).hexdigest()
    assert parse_labeling_config(xml + " ").digest != parse_labeling_config(xml).digest


@pytest.mark.parametrize(
    "xml", ["<View/>", "<html><p>nothing</p></html>", "\ufeff<View></View>", " <View/> <!-- x -->"]
)
def test_a_config_without_tags_is_read_whatever_its_root(xml):
    config = parse_labeling_config(xml)
    assert (config.controls, config.objects) == ((), {})


def test_a_root_may_be_a_control():
    assert parse_labeling_config('<Choices name="c" toName="t"/>').controls[0].name == "c"


def test_known_tags_are_spelt_once():
    assert len({tag.lower() for tag in KNOWN_CONTROL_TAGS}) == len(KNOWN_CONTROL_TAGS)
    assert len({tag.lower() for tag in KNOWN_OBJECT_TAGS}) == len(KNOWN_OBJECT_TAGS)


# ------------------------------------------------------------------------------------------------ what cannot be read

BILLION_LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;"><!ENTITY c "&b;&b;">]><View>&c;</View>'
NO_DTD = "a document type or entities (<!DOCTYPE ...>) are not allowed; remove them"


@pytest.mark.parametrize(
    ("xml", "sentence"),
    [
        ("", "labeling config: it is empty; expected XML such as <View>...</View>"),
        (" \n", "labeling config: it is empty; expected XML such as <View>...</View>"),
        (None, "labeling config: expected XML as text, got NoneType"),
        (["<View/>"], "labeling config: expected XML as text, got list"),
        ("<View>&nbsp;</View>", "labeling config:1:7: &nbsp; is not XML; write &#160;"),
        ('<View>\n <p a="&lt; &copy;"/></View>', "labeling config:2:2: &copy; is not XML; write &#169;"),
        ("<View>&foo;</View>", "labeling config:1:7: &foo; is not valid XML; write the character itself"),
        ('<View>\n  <Choice value="é & b"/></View>', "labeling config:2:21: a bare & is not XML; write &amp;"),
        ("<View>&foo</View>", "labeling config:1:11: a bare & is not XML; write &amp;"),
        (
            '<View><Header value="a < b"/></View>',
            "labeling config:1:24: a bare < is not XML; write &lt;, or close the quotation mark or tag before it",
        ),
        (
            "<View a=1/>",
            'labeling config:1:9: not XML at "1/>"; check quotation marks, = and brackets around it',
        ),
        (
            "<View><Text></View>",
            "labeling config:1:15: </View> does not close the tag that was opened last; close tags in reverse order",
        ),
        ("<View>", "labeling config:1:7: the XML ends too early; close every tag that was opened"),
        ("<View", "labeling config:1:1: a tag or a quotation mark that opens here is never closed; close it"),
        ('<View a="1" a="2"/>', "labeling config:1:13: the attribute a is set twice; remove one"),
        (
            "<View/>\n<View/>",
            "labeling config:2:1: something follows the end of the first tag; put everything into one <View>...</View>",
        ),
        (
            "hello",
            'labeling config:1:1: expected a tag, found "hello"; put everything into one <View>...</View>',
        ),
        (
            '\n<?xml version="1.0"?><View/>',
            "labeling config:2:1: <?xml ...?> must come first; remove everything before it",
        ),
        ("<a:View/>", "labeling config:1:1: not XML (unbound prefix); correct it"),
        (
            "<View>\ud800</View>",
            "labeling config:1:7: half of a character (a lone surrogate); remove or correct it",
        ),
        ("<!DOCTYPE html><View/>", f"labeling config:1:1: {NO_DTD}"),
        (BILLION_LAUGHS, f"labeling config:1:1: {NO_DTD}"),
        (
            '<View><Choices name="c" toName="t"/>\n<Rating name="c" toName="t"/></View>',
            'labeling config:2:1: a second control tag has name="c"; give each a different name',
        ),
        (
            '<View><Text name="t" value="$a"/><Image name="t" value="$b"/></View>',
            'labeling config:1:34: a second object tag has name="t"; give each a different name',
        ),
        ("<a>" * 200_000, "labeling config:1:301: elements are nested more than 100 deep; flatten them"),
        (
            f"<View>{'x' * 4 * 1024 * 1024}</View>",
            "labeling config: 4,194,317 bytes; expected at most 4,194,304: "
            'keep long lists of labels in the tasks and write value="$field"',
        ),
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_its_place(xml, sentence):
    with pytest.raises(LabelingConfigError) as caught:
        parse_labeling_config(xml)
    assert str(caught.value) == sentence


@given(st.text(max_size=60) | st.text("<>/&;\"' =View!?-[]\n", max_size=40))
def test_any_text_is_read_or_refused_on_one_line(xml):
    try:
        parse_labeling_config(xml)
    except LabelingConfigError as error:
        assert "\n" not in str(error)


def test_a_megabyte_of_labels_is_read_whole():
    labels = "".join(f'<Choice value="label {number} {"x" * 70}"/>' for number in range(10_000))
    xml = f'<Choices name="c" toName="t">{labels}</Choices>'
    assert len(only_control(xml).labels) == 10_000


# ------------------------------------------------------------------------------------------------ task data

DATA = {
    "text": "hello",
    "number": 3,
    "none": None,
    "my field": "spaces",
    "my-key": "dash",
    "a.b": "literal",
    "a": {"b": "nested", "c": {"d": [1, 2]}},
    "items": [{"text": "first"}, {"text": "second"}],
    "naïve": "ok",
}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("$text", "hello"),
        ("$number", 3),
        ("$none", None),
        ("$my field", "spaces"),
        ("$my-key", "dash"),
        ("$a.b", "literal"),
        ("$a.c", {"d": [1, 2]}),
        ("$a.c.d[1]", 2),
        ("$items[0].text", "first"),
        ("$items.1.text", "second"),
        ("$naïve", "ok"),
        ("Say $text, $number times.", "Say hello, 3 times."),
        ("$text.", "hello."),
        ("$text/$a.c.d/$none", "hello/[1, 2]/"),
        ("literal text", "literal text"),
        ("", ""),
        ("costs 5 $", "costs 5 $"),
    ],
)
def test_a_value_is_found_in_the_data(template, value):
    assert resolve_value(template, DATA) == value


@pytest.mark.parametrize(
    ("template", "missing"),
    [
        ("$title", "title"),
        ("$items[2].text", "items[2].text"),
        ("$a.c.x", "a.c.x"),
        ("$text.length", "text.length"),
        ("Hello $name!", "name"),
        ("$other-key", "other-key"),
        ("$5", "5"),
        ("$images[{{idx}}]", "images[{{idx}}]"),
    ],
)
def test_what_the_data_lacks_is_named(template, missing):
    with pytest.raises(KeyError) as caught:
        resolve_value(template, DATA)
    assert caught.value.args == (missing,)


# ------------------------------------------------------------------------------------------------ repeaters

PAGES = """
<View>
  <Repeater on="$pages" indexFlag="{{page}}">
    <Text name="page_{{page}}" value="$pages[{{page}}].text"/>
    <Choices name="kind_{{page}}" toName="page_{{page}}" value="$pages[{{page}}].options"
             visibleWhen="choice-selected" whenTagName="use_{{page}}"><Choice value="A"/></Choices>
  </Repeater>
</View>
"""


def test_a_repeater_makes_one_instance_for_each_element():
    config = parse_labeling_config(PAGES)
    (control,) = config.controls
    assert control.repeater == Repeater("$pages", "{{page}}")
    pairs = instances(control, config.objects["page_{{page}}"], {"pages": [{"text": "a"}, {"text": "b"}]})
    assert [(control.name, control.to_names, found.name, found.value) for control, found in pairs] == [
        ("kind_0", ("page_0",), "page_0", "$pages[0].text"),
        ("kind_1", ("page_1",), "page_1", "$pages[1].text"),
    ]
    second = pairs[1][0]
    assert second.options_value == "$pages[1].options"
    assert second.conditions == (Condition("choice-selected", "use_1"),)
    assert second.labels == control.labels
    assert second.attributes["toName"] == "page_1"
    assert second.repeater is None


def test_repeaters_in_repeaters_count_both():
    config = parse_labeling_config(
        """
        <Repeater on="$docs"><Repeater on="$docs[{{idx}}].pages" indexFlag="{{p}}">
          <Text name="t{{idx}}_{{p}}" value="$docs[{{idx}}].pages[{{p}}]"/>
          <Rating name="r{{idx}}_{{p}}" toName="t{{idx}}_{{p}}"/>
        </Repeater></Repeater>
        """
    )
    (control,) = config.controls
    data = {"docs": [{"pages": ["a", "b"]}, {"pages": []}, {"pages": ["c"]}]}
    pairs = instances(control, config.objects["t{{idx}}_{{p}}"], data)
    assert [(control.name, resolve_value(found.value, data)) for control, found in pairs] == [
        ("r0_0", "a"),
        ("r0_1", "b"),
        ("r2_0", "c"),
    ]


@pytest.mark.parametrize("data", [{}, {"pages": "a text"}, {"pages": None}])
def test_a_repeater_without_its_list_names_the_field(data):
    config = parse_labeling_config(PAGES)
    with pytest.raises(KeyError) as caught:
        instances(config.controls[0], config.objects["page_{{page}}"], data)
    assert caught.value.args == ("pages",)


def test_without_a_repeater_there_is_one_instance_as_given():
    config = parse_labeling_config('<View><Text name="t" value="$t"/><Rating name="r" toName="t"/></View>')
    assert instances(config.controls[0], config.objects["t"], {}) == [(config.controls[0], config.objects["t"])]


# ------------------------------------------------------------------------------------------------ taxonomy paths


@given(st.lists(st.text(" /\\a", max_size=6) | st.text(max_size=6), min_size=1).map(tuple))
def test_a_path_survives_being_one_label(path):
    assert split_path(join_path(path)) == path


@given(st.lists(st.lists(st.text(" /\\", max_size=4), min_size=1, max_size=3).map(tuple), min_size=2, unique=True))
def test_different_paths_are_different_labels(paths):
    assert len({join_path(path) for path in paths}) == len(paths)


@pytest.mark.parametrize(
    ("path", "label"),
    [
        (("Animals",), "Animals"),
        (("Animals", "Birds", "Owl"), "Animals / Birds / Owl"),
        (("Net", "TCP/IP"), "Net / TCP/IP"),
        (("a / b", "c"), "a \\/ b / c"),
        (("/", "\\/"), "\\/ / \\\\/"),
    ],
)
def test_a_label_reads_like_the_path(path, label):
    assert join_path(path) == label
    assert split_path(label) == path


def test_a_path_needs_a_name():
    with pytest.raises(ValueError, match=r"^a path needs at least one name$"):
        join_path(())


def test_relations_have_labels_and_a_name_that_no_other_control_has():
    xml = """<View><Relations choice="multiple"><Relation value="founded"/></Relations><Relations><Relation value="owns"/></Relations>
    <Text name="t" value="$t"/><Labels name="relations" toName="t"><Label value="X"/><Relation value="lost"/></Labels></View>"""
    labels, relations = parse_labeling_config(xml).controls
    assert [label.name for label in labels.labels] == ["X"]
    assert (relations.selector, relations.to_names) == ("Relations#relations_", ())
    assert [label.name for label in relations.labels] == ["founded", "owns"]
