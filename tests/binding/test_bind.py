"""Which adapter answers which control, and what stays unbound and why."""

import pytest

from lsml.binding import bind
from lsml.labeling import AnnotatedTask, Annotation, parse_labeling_config
from lsml.recipe import load_recipe
from lsml.values import Choice, Number
from tests.conftest import TOPICS, choice, write_recipe
from tests.support.fetching import no_fetch

TWO = """<View><Text name="text" value="$text"/><Image name="photo" value="$photo"/>
<Choices name="topic" toName="text"><Choice value="Billing"/><Choice value="Bug"/></Choices>
<Choices name="tone" toName="text"><Choice value="Angry"/><Choice value="Calm"/></Choices>
<Choices name="look" toName="photo"><Choice value="Sharp"/></Choices>
<Choices name="detail" toName="text" perRegion="true"><Choice value="X"/></Choices>
<Labels name="part" toName="text"><Label value="Name"/></Labels></View>"""


def bound(tmp_path, tags, config=TWO, more=""):
    recipe = load_recipe(write_recipe(tmp_path, f"tags: {tags}\n{more}", config=None))
    return bind(recipe, parse_labeling_config(config))


def keys(binding):
    return [model.key for model in binding.models]


def test_a_bare_tag_makes_one_model_for_each_control_that_fits(tmp_path):
    binding = bound(tmp_path, "{Choices: text-classifier}")
    assert keys(binding) == ["topic:text-classifier", "tone:text-classifier"]
    assert [unbound.reason for unbound in binding.unbound] == [
        "Labels#part: no key under `tags` matches it",
        "Choices#look is for Image#photo, and text-classifier reads Chat, HyperText, Paragraphs, Pdf, Text",
        "Choices#detail is for each region (perRegion); name the tag of the regions under `needs`, such as `needs: "
        "Labels#part`",
    ]
    assert binding.warnings == ()


def test_a_name_beats_the_bare_tag(tmp_path):
    binding = bound(tmp_path, "{Choices: text-classifier, 'Choices#tone': {adapter: text-classifier, threshold: 0.9}}")
    thresholds = {model.key: model.spec.threshold for model in binding.models}
    assert thresholds == {"topic:text-classifier": None, "tone:text-classifier": 0.9}


def test_a_key_with_several_selectors_feeds_them_with_one_model(tmp_path):
    binding = bound(tmp_path, "{'Choices#topic, Choices#tone': text-classifier}")
    (model,) = binding.models
    assert model.key == "topic+tone:text-classifier"
    assert model.target.labels == ("Billing", "Bug", "Angry", "Calm")
    assert model.target.multiple


def test_a_list_of_models_has_one_key_each(tmp_path):
    binding = bound(tmp_path, "{'Choices#topic': [text-classifier, text-classifier]}")
    assert keys(binding) == ["topic:text-classifier", "topic:text-classifier:2"]


def test_selectors_that_match_nothing_say_in_one_line_what_there_is(tmp_path):
    binding = bound(tmp_path, "{Rating: text-regressor, 'Choices#mood': text-classifier}")
    offered = "Choices#topic, Choices#tone, Choices#look, Choices#detail, Labels#part"
    assert binding.warnings == (f"`Rating`, `Choices#mood` match nothing in the labeling config, which has {offered}",)
    assert binding.state().startswith("nothing is bound: `Rating`, `Choices#mood` match nothing")
    alone = bound(tmp_path, "{Rating: text-regressor}")
    assert alone.warnings == (f"`Rating` matches nothing in the labeling config, which has {offered}",)


def test_options_by_label_that_name_no_label_are_warnings(tmp_path):
    config = '<View><Text name="t" value="$t"/><Labels name="l" toName="t"><Label value="ORG"/><Label value="P" alias="PER"/></Labels></View>'
    tags = (
        "{Labels: {adapter: text-matcher, options: {keywords: {ORG: [x], P: [y], default: [z]}, patterns: {Org: [x]}}}}"
    )
    assert bound(tmp_path, tags, config).warnings == (
        "`options.keywords.P` is no label of Labels#l, which has ORG, PER",
        "`options.keywords.default` is no label of Labels#l, which has ORG, PER",
        "`options.patterns.Org` is no label of Labels#l, which has ORG, PER",
    )


def test_a_control_with_several_objects_reads_the_first_that_fits(tmp_path):
    config = '<View><Image name="i" value="$i"/><Text name="t" value="$t"/><Choices name="c" toName="i,t"><Choice value="A"/></Choices></View>'
    (model,) = bound(tmp_path, "{Choices: text-classifier}", config).models
    assert model.object_tag.name == "t"


def test_labels_and_thresholds_that_name_no_label_are_warnings(tmp_path):
    tags = "{'Choices#topic': {adapter: text-classifier, threshold: {default: 0.5, Bugs: 0.1}, labels: {Bill: [x]}}}"
    assert bound(tmp_path, tags).warnings == (
        "`labels.Bill` is no label of Choices#topic, which has Billing, Bug",
        "`threshold.Bugs` is no label of Choices#topic, which has Billing, Bug",
    )


def test_a_threshold_may_name_a_choice_by_its_value_where_it_has_an_alias(tmp_path):
    config = '<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="Yes" alias="y"/><Choice value="No"/></Choices></View>'
    (model,) = bound(
        tmp_path, "{Choices: {adapter: text-classifier, threshold: {Yes: 0.8, default: 0.1}}}", config
    ).models
    threshold = model.threshold(model.controls[0])
    assert (threshold("y"), threshold("No")) == (0.8, 0.1)


def test_an_adapter_of_boxes_is_asked_for_those_below_the_threshold_too_which_may_be_missed(tmp_path):
    asked = {}
    for tag, body in {
        "RectangleLabels": '<RectangleLabels name="a" toName="o"><Label value="A"/><Label value="B"/></RectangleLabels>',
        "VideoRectangle": '<VideoRectangle name="a" toName="o"/><Labels name="n" toName="o"><Label value="A"/></Labels>',
    }.items():
        shown = '<Video name="o" value="$v"/>' if tag == "VideoRectangle" else '<Image name="o" value="$v"/>'
        (model,) = bound(
            tmp_path, f"{{{tag}: {{adapter: yolo, threshold: 0.5}}}}", f"<View>{shown}{body}</View>"
        ).models
        asked[tag] = model.floor
    assert asked == {"RectangleLabels": 0.2, "VideoRectangle": 0.5}, "unsure boxes would change the tracks"


def annotation(id, label, at="2026-11-23T09:00:00Z", **more):
    return Annotation(id, choice(label), at, **more)


@pytest.mark.parametrize(
    ("several", "labels", "taught"),
    [
        ("latest", ["Bug", "Bug", "Billing"], ["Billing"]),
        ("majority", ["Bug", "Bug", "Billing"], ["Bug"]),
        ("majority", ["Bug", "Billing"], ["Billing"]),
        ("majority", ["Bug", "Billing", "Billing", "Bug"], ["Bug"]),
        ("all", ["Bug", "Bug", "Billing"], ["Bug", "Bug", "Billing"]),
    ],
)
def test_several_says_what_several_annotations_teach(tmp_path, several, labels, taught):
    binding = bound(
        tmp_path, "{Choices: text-classifier}", TOPICS, f"training: {{learn_from: {{several: {several}}}}}\n"
    )
    task = AnnotatedTask("1", {"text": "x"}, tuple(annotation(str(i), label) for i, label in enumerate(labels)))
    assert [answer[0].label for answer in binding.learn(task, no_fetch).answers["topic"]] == taught


@pytest.mark.parametrize("several", ["latest", "majority", "all", "weighted"])
def test_a_ground_truth_annotation_always_wins(tmp_path, several):
    binding = bound(
        tmp_path, "{Choices: text-classifier}", TOPICS, f"training: {{learn_from: {{several: {several}}}}}\n"
    )
    annotations = (annotation("1", "Bug", ground_truth=True), annotation("2", "Billing"), annotation("3", "Billing"))
    task = AnnotatedTask("1", {"text": "x"}, annotations)
    assert binding.learn(task, no_fetch).answers["topic"] == [(Choice("Bug"),)]


def test_an_empty_answer_is_no_example(tmp_path):
    binding = bound(tmp_path, "{Choices: text-classifier}", TOPICS)
    for result in (
        [],
        [{"from_name": "topic"}],
        ["x", None, 3],
        [{"from_name": "topic", "type": "choices", "value": {"choices": []}}],
    ):
        task = AnnotatedTask("1", {"text": "x"}, (Annotation("1", result),))
        assert binding.learn(task, no_fetch).answers == {}


@pytest.mark.parametrize(("labels", "taught"), [('<Label value="Cat"/>', ["Cat"]), ("", ["", ""])])
def test_a_region_without_a_label_teaches_only_where_there_are_none(tmp_path, labels, taught):
    tag = f'<RectangleLabels name="box" toName="image">{labels}</RectangleLabels>'
    binding = bound(tmp_path, "{RectangleLabels: yolo}", f'<View><Image name="image" value="$image"/>{tag}</View>')
    place = {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0}
    regions = [
        {"from_name": "box", "type": "rectanglelabels", "value": {**place, "rectanglelabels": names}}
        for names in ([], ["Cat"] if labels else [])
    ]
    learnt = binding.learn(AnnotatedTask("1", {"image": "x"}, (Annotation("1", regions),)), no_fetch)
    assert [remark.reason for _, remark in learnt.remarks] == ["no label"] * (2 - len(taught))
    assert [[value.label for value in answer] for answer in learnt.answers["box"]] == [taught]


REPEATED = """<View><Repeater on="$pages" indexFlag="{{i}}">
<Text name="page_{{i}}" value="$pages[{{i}}].text"/>
<Choices name="kind_{{i}}" toName="page_{{i}}"><Choice value="A"/><Choice value="B"/></Choices>
<Number name="weight_{{i}}" toName="page_{{i}}"/></Repeater></View>"""


def test_the_tag_of_texts_is_copied_with_the_tool_that_it_stands_by(tmp_path):
    xml = """<View><Repeater on="$pages" indexFlag="{{i}}"><Image name="page_{{i}}" value="$pages[{{i}}].url"/>
    <RectangleLabels name="line_{{i}}" toName="page_{{i}}"><Label value="Text"/></RectangleLabels>
    <TextArea name="text_{{i}}" toName="page_{{i}}" perRegion="true"/></Repeater></View>"""
    binding = bound(tmp_path, "{RectangleLabels: ocr}", xml)
    assert (binding.unbound, binding.warnings) == ((), ())
    copies = binding.models[0].instances({"pages": [{"url": "a.png"}, {"url": "b.png"}]})
    assert [control.names for control in copies] == [("line_0", "text_0"), ("line_1", "text_1")]


def test_a_repeater_makes_one_reading_for_each_element_and_learns_from_each(tmp_path):
    binding = bound(tmp_path, "{Choices: text-classifier, Number: text-regressor}", REPEATED)
    data = {"pages": [{"text": "first"}, {"text": "second"}]}
    readings = binding.models[0].read({"data": data}, None)
    assert [(r.controls[0].control_tag.name, r.object_tag.name, r.view.data) for r in readings] == [
        ("kind_0", "page_0", "first"),
        ("kind_1", "page_1", "second"),
    ]
    result = [
        {"from_name": "kind_1", "to_name": "page_1", "type": "choices", "value": {"choices": ["B"]}},
        {"from_name": "weight_0", "to_name": "page_0", "type": "number", "value": {"number": 3}},
    ]
    learnt = binding.learn(AnnotatedTask("1", data, (Annotation("1", result),)), no_fetch)
    assert learnt.answers == {"kind_1": [(Choice("B"),)], "weight_0": [(Number(3.0),)]}


def test_an_adapter_that_only_answers_what_is_drawn_wants_something_to_draw_with(tmp_path):
    config = """<View><Image name="image" value="$image"/><BrushLabels name="mask" toName="image"><Label value="A"/></BrushLabels>
    <RectangleLabels name="box" toName="image" {smart}><Label value="A"/></RectangleLabels></View>"""
    silent = bound(tmp_path, "{BrushLabels: grabcut}", config.format(smart=""))
    assert silent.warnings == (
        'grabcut answers prompts, but no control of Image#image sends any; add smart="true" to a RectangleLabels or '
        "KeyPointLabels of it",
    )
    asked = bound(tmp_path, "{BrushLabels: grabcut}", config.format(smart='smart="true"'))
    assert (asked.warnings, asked.unbound) == ((), ())
    assert [prompt.selector for prompt in asked.asking] == ["RectangleLabels#box"]


@pytest.mark.parametrize("tag", ["BrushLabels", "BitmaskLabels", "PolygonLabels", "EllipseLabels"])
@pytest.mark.parametrize("smart", ['smart="true"', 'smartOnly="true"'])
def test_a_smart_tool_that_label_studio_asks_nobody_about_is_a_warning(tmp_path, tag, smart):
    config = f"""<View><Image name="image" value="$image"/><{tag} name="c" toName="image" {smart}><Label value="A"/></{tag}>
    {{}}</View>"""
    silent = bound(tmp_path, f"{{{tag}: grabcut}}", config.format(""))
    assert silent.asking == ()
    assert silent.warnings == (
        f'{tag}#c is smart, but Label Studio sends no regions of {tag} to a model; write smart="false" here, and '
        'smart="true" in a RectangleLabels or KeyPointLabels',
        'grabcut answers prompts, but no control of Image#image sends any; add smart="true" to a RectangleLabels or '
        "KeyPointLabels of it",
    )
    point = '<KeyPointLabels name="point" toName="image" smart="true"><Label value="A"/></KeyPointLabels>'
    asked = bound(tmp_path, f"{{{tag}: grabcut}}", config.format(point))
    assert [prompt.selector for prompt in asked.asking] == ["KeyPointLabels#point"]
    assert asked.warnings == silent.warnings[:1]


def test_choices_inside_others_are_a_warning_where_the_tag_does_not_allow_them(tmp_path):
    config = """<View><Text name="t" value="$t"/><Choices name="c" toName="t" {}><Choice value="A"><Choice value="B"/></Choice>
    <Choice value="C"/></Choices></View>"""
    assert bound(tmp_path, "{Choices: text-classifier}", config.format("")).warnings == (
        'Choices#c: Label Studio shows only its top-level choices, not "B" inside "A"; write allowNested="true"',
    )
    assert bound(tmp_path, "{Choices: text-classifier}", config.format('allowNested="true"')).warnings == ()
