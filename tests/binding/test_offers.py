"""Which adapters are offered for the controls of a labeling config, and why none is."""

import pytest

from lsml.adapters import all_adapters
from lsml.binding.offers import offers
from lsml.labeling import parse_labeling_config


def offered(
    controls,
    objects='<Text name="t" value="$t"/><Image name="i" value="$i"/><Audio name="a" value="$a"/><Table name="r" value="$r"/>',
):
    return offers(parse_labeling_config(f"<View>{objects}{controls}</View>"))


def names(adapters):
    return [adapter.name for adapter in adapters]


@pytest.mark.parametrize(
    ("control", "first", "others"),
    [
        (
            '<Choices name="c" toName="t"><Choice value="A"/></Choices>',
            ["text-classifier"],
            ["llm", "remote", "spacy", "text-embedding-classifier", "transformers-classifier", "zero-shot"],
        ),
        (
            '<Labels name="c" toName="t"><Label value="A"/></Labels>',
            ["ner-crf"],
            ["gliner", "llm", "ner", "remote", "spacy", "text-matcher"],
        ),
        (
            '<Labels name="c" toName="t" smart="true"><Label value="A"/></Labels>',
            ["text-matcher", "ner-crf"],
            ["gliner", "llm", "ner", "remote", "spacy"],
        ),
        ('<Rating name="c" toName="t"/>', ["text-regressor"], ["llm", "remote"]),
        ('<TextArea name="c" toName="t"/>', ["remote"], ["llm", "seq2seq"]),
        ('<Rating name="c" toName="r"/>', ["tabular"], []),
        ('<Choices name="c" toName="i"><Choice value="A"/></Choices>', ["image-classifier"], ["llm", "yolo"]),
        (
            '<RectangleLabels name="c" toName="i"><Label value="A"/></RectangleLabels>',
            ["detector"],
            ["open-vocabulary", "yolo"],
        ),
        ('<BrushLabels name="c" toName="i"><Label value="A"/></BrushLabels>', ["yolo"], []),
    ],
)
def test_what_needs_least_and_learns_is_chosen_and_the_rest_is_named(control, first, others):
    (offer,) = offered(control)
    assert names(offer.chosen) == first and sorted(names(offer.others)) == others and offer.reason == ""


def test_what_is_installed_comes_before_what_is_not(monkeypatch):
    monkeypatch.setattr("lsml.binding.offers.is_installed", lambda adapter: adapter.name != "image-classifier")
    (offer,) = offered('<Choices name="c" toName="i"><Choice value="A"/></Choices>')
    assert names(offer.chosen) == ["yolo"] and names(offer.others) == ["llm", "image-classifier"]


def test_a_smart_tool_asks_the_model_of_another_control_and_has_none_itself():
    mask, box = offered(
        '<BrushLabels name="m" toName="i"><Label value="A"/></BrushLabels>'
        '<RectangleLabels name="b" toName="i" smart="true"><Label value="A"/></RectangleLabels>'
    )
    assert names(mask.chosen) == ["grabcut"] and names(mask.others) == ["yolo", "segment-anything"]
    assert box.chosen == () and box.helps
    assert box.reason.startswith("RectangleLabels#b is a prompt: ")


def test_a_smart_tool_that_asks_nobody_is_answered_itself():
    (box,) = offered('<RectangleLabels name="b" toName="i" smart="true"><Label value="A"/></RectangleLabels>')
    assert names(box.chosen) == ["detector"] and names(box.others) == ["yolo", "open-vocabulary"]


def test_a_smart_brush_asks_no_model_so_that_what_answers_drawings_alone_is_not_chosen():
    (mask,) = offered('<BrushLabels name="m" toName="i" smart="true"><Label value="A"/></BrushLabels>')
    assert names(mask.chosen) == ["yolo"] and mask.others == ()


def test_a_smart_tool_leaves_labels_of_the_whole_image_to_what_needs_least():
    choices, _ = offered(
        '<Choices name="c" toName="i"><Choice value="A"/></Choices>'
        '<RectangleLabels name="b" toName="i" smart="true"><Label value="A"/></RectangleLabels>'
    )
    assert names(choices.chosen) == ["image-classifier"]


def test_what_answers_drawings_alone_is_not_offered_where_nothing_asks():
    (ellipse,) = offered('<EllipseLabels name="e" toName="i"><Label value="A"/></EllipseLabels>')
    assert ellipse.chosen == ()
    assert ellipse.reason == (
        'EllipseLabels#e: grabcut answers prompts, but no control sends any; add smart="true" to a RectangleLabels or '
        "KeyPointLabels"
    )


def test_the_labels_of_bare_tools_need_no_model():
    *tools, labels = offered(
        '<Rectangle name="r" toName="i"/><Polygon name="p" toName="i"/><Labels name="l" toName="i"><Label value="A"/></Labels>'
    )
    assert [names(tool.chosen) for tool in tools] == [["detector"], ["yolo"]]
    assert labels.helps and labels.reason == "Labels#l has the labels of Rectangle#r, Polygon#p"


def test_where_people_type_prompts_a_model_that_reads_them_is_chosen():
    prompt, answer, topic = offered(
        '<TextArea name="prompt" toName="t" smart="true"/><TextArea name="answer" toName="t"/>'
        '<Choices name="topic" toName="t"><Choice value="A"/></Choices>'
    )
    assert prompt.helps and prompt.reason.startswith("TextArea#prompt is a prompt: ")
    assert names(answer.chosen) == names(topic.chosen) == ["llm"] and "text-classifier" in names(topic.others)
    (alone,) = offered('<TextArea name="caption" toName="t" smart="true"/>')
    assert not alone.helps, "without another control there is nothing to answer"


@pytest.mark.parametrize(
    ("control", "why"),
    [
        (
            '<MagicWand name="c" toName="t"/>',
            "MagicWand#c: no adapter supports MagicWand yet, so only people annotate it",
        ),
        (
            '<Choices name="c" toName="t" perRegion="true"><Choice value="A"/></Choices>',
            "Choices#c is for each region (perRegion), and its adapters predict for the whole task",
        ),
        (
            '<Choices name="c" toName="x"><Choice value="A"/></Choices>',
            "Choices#c: toName names x, and the labeling config shows Text#t, Image#i, Audio#a, Table#r",
        ),
    ],
)
def test_where_none_can_answer_one_sentence_says_why(control, why):
    (offer,) = offered(control)
    assert (offer.chosen, offer.others, offer.reason, offer.helps) == ((), (), why, False)


SPANS = '<Labels name="l" toName="t"><Label value="X"/></Labels>'
BOXES = '<RectangleLabels name="b" toName="i"><Label value="X"/></RectangleLabels>'
SOUNDS = '<Labels name="l" toName="a"><Label value="X"/></Labels>'
LINES = '<Rectangle name="r" toName="i"/><TextArea name="w" toName="i" perRegion="true"/>'
CHOICES = '<Choices name="c" toName="{}" perRegion="true"{}><Choice value="A"/></Choices>'
RELATIONS = '<Relations><Relation value="A"/></Relations>'
POLYGONS = '<Polygon name="p" toName="i"/>'


@pytest.mark.parametrize(
    ("tools", "control", "first", "needs"),
    [
        (SPANS, CHOICES.format("t", ""), "text-classifier", ["l"]),
        (SPANS, '<Taxonomy name="c" toName="t" perRegion="true"><Choice value="A"/></Taxonomy>', "text-classifier", ["l"]),
        (SPANS, '<Rating name="c" toName="t" perRegion="true"/>', "text-regressor", ["l"]),
        (SPANS, '<TextArea name="c" toName="t" perRegion="true"/>', "remote", ["l"]),
        (BOXES, CHOICES.format("i", ""), "image-classifier", ["b"]),
        (BOXES + POLYGONS, CHOICES.format("i", ""), "image-classifier", ["b"]),
        (BOXES + SPANS, CHOICES.format("i", ' whenTagName="b"'), "image-classifier", ["b"]),
        (LINES, CHOICES.format("i", ""), "field-classifier", ["r"]),
        (SOUNDS, CHOICES.format("a", ""), "audio-classifier", ["l"]),
        (SOUNDS, '<Number name="c" toName="a" perRegion="true"/>', "audio-regressor", ["l"]),
        (SPANS, RELATIONS, "relations", ["l"]),
        (BOXES + POLYGONS, RELATIONS, "relations", ["b"]),
        (SOUNDS, '<TextArea name="c" toName="a" perRegion="true"/>', "speech", ["l"]),
    ],
)  # fmt: skip
def test_what_is_asked_for_each_region_needs_the_regions_that_another_model_finds(tools, control, first, needs):
    *_, offer = offered(tools + control)
    assert names(offer.chosen) == [first] and not offer.helps
    assert [selector.partition("#")[2] for selector in offer.needs] == needs


@pytest.mark.parametrize(
    ("controls", "why"),
    [
        (SPANS + CHOICES.format("t", ' whenTagName="other"'),
         "Choices#c is for each region (perRegion), and its adapters predict for the whole task"),
        (RELATIONS, "Relations#relations joins regions, and relations reads none of those in the labeling config"),
        (SPANS + CHOICES.format("i", ""), "Choices#c and Labels#l are not for the same object tag"),
        ('<EllipseLabels name="e" toName="i"><Label value="X"/></EllipseLabels>' + CHOICES.format("i", ""),
         "Choices#c is for each region (perRegion), and its adapters predict for the whole task"),
    ],
)  # fmt: skip
def test_where_no_model_finds_regions_none_answers_for_each(controls, why):
    *_, offer = offered(controls)
    assert (offer.chosen, offer.needs, offer.reason) == ((), (), why)


def test_every_adapter_starts_with_options_that_nobody_wrote():
    for adapter in all_adapters().values():
        assert adapter.Options() is not None
