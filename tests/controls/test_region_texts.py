"""What is written in a region is a region of its own with the same id: Label Studio's split form, to and fro."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsml.binding import control_of
from lsml.labeling import parse_labeling_config
from lsml.labeling.remarks import Reason, Remark
from lsml.labeling.view import View
from lsml.values import Box, Ellipse, KeyPoint, Mask, Polygon
from tests.support.judge import verdicts

LABELS = '<Label value="Text"/><Label value="Title"/>'
ON = View("", size=(200, 100))
BOX = Box("Text", score=0.5, x=0.1, y=0.2, width=0.5, height=0.25, rotation=15.0, aspect=2.0)
POLYGON = Polygon("Title", points=((0.1, 0.1), (0.5, 0.1), (0.4, 0.4)), aspect=2.0)
SHAPES = {
    "Rectangle": BOX, "Polygon": POLYGON, "Ellipse": Ellipse("Text", x=0.5, y=0.5, radius_x=0.2, radius_y=0.1, aspect=2.0),
    "KeyPoint": KeyPoint("Text", x=0.5, y=0.5, aspect=2.0), "Brush": Mask.from_pixels([[0, 1], [1, 1]], "Text", aspect=2.0),
}  # fmt: skip
TAGS = [*SHAPES, *(f"{tag}Labels" for tag in SHAPES)]


def config_of(tag, more="", labels=LABELS):
    own = tag.endswith("Labels")
    inner, beside = (labels, "") if own else ("", f'<Labels name="l" toName="o">{labels}</Labels>' if labels else "")
    texts = f'<TextArea name="t" toName="o" perRegion="true" {more}/>'
    return f'<View><Image name="o" value="$o"/><{tag} name="c" toName="o">{inner}</{tag}>{beside}{texts}</View>'


def control(tag, more="", labels=LABELS):
    config = parse_labeling_config(config_of(tag, more, labels))
    return control_of(config.controls[0], config)


def with_text(shape, text):
    return type(shape)(**{name: getattr(shape, name) for name in shape.__struct_fields__} | {"text": text})


def encoded(tag, *values, more="", labels=LABELS):
    made = control(tag, more, labels)
    regions = json.loads(json.dumps(made.encode(values, "o", ON)))
    assert [made.check(region, {}) for region in regions] == [None] * len(regions)
    return regions


def test_a_rectangle_its_label_and_its_text_are_three_regions_with_one_id():
    place = {"x": 10.0, "y": 20.0, "width": 50.0, "height": 25.0, "rotation": 15.0}
    facts = {
        "to_name": "o", "score": 0.5, "original_width": 200, "original_height": 100, "image_rotation": 0, "id": "c/None/0",
    }  # fmt: skip
    assert encoded("Rectangle", with_text(BOX, "Total 12")) == [
        {"from_name": "c", "type": "rectangle", "value": place, **facts},
        {"from_name": "l", "type": "labels", "value": {**place, "labels": ["Text"]}, **facts},
        {"from_name": "t", "type": "textarea", "value": {**place, "text": ["Total 12"]}, **facts},
    ]


def test_a_tool_with_labels_of_its_own_and_its_text_are_two():
    region, text = encoded("PolygonLabels", with_text(POLYGON, "Title page"))
    assert (region["from_name"], region["type"], region["value"]["polygonlabels"]) == ("c", "polygonlabels", ["Title"])
    assert text["value"] == {key: region["value"][key] for key in ("points", "closed")} | {"text": ["Title page"]}
    assert region["id"] == text["id"]


@pytest.mark.parametrize("tag", TAGS)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_text_comes_back_with_its_shape(tag, text):
    own = SHAPES[tag.removesuffix("Labels")]
    regions = encoded(tag, with_text(own, text), own)
    assert [value.text for value in control(tag).decode(regions, ON).values] == [text, None]


def test_what_is_written_is_what_label_studio_takes():
    cases = []
    for tag in TAGS:
        made = encoded(tag, with_text(SHAPES[tag.removesuffix("Labels")], "a"))
        result = [{**region, "id": str(region["id"])} for region in made]
        cases.append((config_of(tag), {"result": result, "score": 0.5, "model_version": "v"}))
    assert verdicts(cases) == [[]] * len(cases)


def test_without_a_tag_for_it_a_text_is_not_written():
    config = parse_labeling_config(config_of("Rectangle").replace('perRegion="true"', ""))
    made = control_of(config.controls[0], config)
    assert made.text_tag is None
    regions = made.encode([with_text(BOX, "Total 12")], "o", ON)
    assert [region["type"] for region in regions] == ["rectangle", "labels"]
    assert [value.text for value in made.decode(regions, ON).values] == [None]


@pytest.mark.parametrize(
    ("more", "texts"),
    [
        ('whenTagName="l" whenLabelValue="Title"', [None, "b"]),
        ('visibleWhen="region-selected" whenLabelValue="Text,Title"', ["a", "b"]),
        ('whenTagName="another"', [None, None]),
    ],
)
def test_a_text_is_written_where_people_see_the_tag(more, texts):
    values = [with_text(BOX, "a"), with_text(Box("Title", x=0.1, y=0.6, width=0.5, height=0.1, aspect=2.0), "b")]
    made = encoded("Rectangle", *values, more=more)
    assert [value.text for value in control("Rectangle", more).decode(made, ON).values] == texts


def test_texts_are_shown_in_the_order_in_which_they_were_read_and_other_shapes_surest_first():
    first, second = BOX, Box("Text", score=0.9, x=0.1, y=0.6, width=0.5, height=0.1, aspect=2.0)
    texts = [with_text(first, "a"), with_text(second, "b")]
    assert control("Rectangle").select([first, second], lambda _label: 0.0) == [second, first]
    assert control("Rectangle").select(texts, lambda _label: 0.0) == texts
    assert control("Rectangle").select(texts, lambda _label: 0.6) == texts[1:]


def test_texts_of_what_another_tool_drew_are_of_no_region_here():
    config = parse_labeling_config(config_of("Rectangle").replace("</View>", '<Polygon name="p" toName="o"/></View>'))
    rectangle, polygon = (control_of(tag, config) for tag in (config.controls[0], config.controls[-1]))
    result = [*rectangle.encode([with_text(BOX, "in the box")], "o", ON)]
    result += [{**region, "id": "other"} for region in polygon.encode([with_text(POLYGON, "outlined")], "o", ON)]
    for one, said in ((rectangle, "in the box"), (polygon, "outlined")):
        own = [region for region in result if region["from_name"] in one.names]
        decoded = one.decode(own, ON)
        assert [value.text for value in decoded.values] == [said] and decoded.remarks == ()


@pytest.mark.parametrize(
    ("given", "text", "remarks"),
    [
        ({"text": ["one", "two"]}, "one\ntwo", ()),
        ({"text": "an older export"}, "an older export", ()),
        ({"text": []}, None, ()),
        ({"text": [""]}, None, ()),
        ({"text": [7]}, None, (Remark(Reason.NO_TEXT, "7"),)),
        ({}, None, (Remark(Reason.NO_TEXT, "nothing"),)),
        (None, None, (Remark(Reason.NO_TEXT, "nothing"),)),
    ],
)
def test_what_a_person_wrote_is_read_and_what_is_no_text_is_counted(given, text, remarks):
    *drawn, written = encoded("Rectangle", with_text(BOX, "x"))
    decoded = control("Rectangle").decode([*drawn, {**written, "value": given}], ON)
    assert ([value.text for value in decoded.values], decoded.remarks) == ([text], remarks)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"type": "labels"}, 'TextArea#t: expected a region of type "textarea" with a value'),
        ({"value": 3}, 'TextArea#t: expected a region of type "textarea" with a value'),
        ({"value": {"text": ["a", "b"]}}, "TextArea#t: value.text is a list; expected a list with one text"),
        ({"value": {"text": ["a"]}}, "Rectangle#c: value.x is nothing; expected a number between 0 and 100"),
    ],
)
def test_a_text_that_would_not_be_shown_is_not_sent(change, wrong):
    *_, written = encoded("Rectangle", with_text(BOX, "x"))
    assert control("Rectangle").check({**written, **change}, {}) == wrong


def test_the_labels_of_texts_are_those_of_their_regions():
    made = control("RectangleLabels")
    region, text = encoded("RectangleLabels", with_text(BOX, "x"))
    assert (made.named(region, []), made.named(text, [])) == (["Text"], [])
