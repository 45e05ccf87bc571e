"""What annotations teach, and what is said of everything in them that cannot be understood."""

from __future__ import annotations

import pytest

from lsml.binding import Tally, bind, sentences
from lsml.labeling import AnnotatedTask, Annotation, parse_labeling_config
from lsml.recipe import load_recipe
from tests.conftest import write_recipe
from tests.support.fetching import no_fetch

ADAPTERS = {"Labels": "ner-crf", "Choices": "text-classifier", "RectangleLabels": "yolo", "Rectangle": "yolo",
            "Taxonomy": "text-classifier", "Number": "text-regressor", "Rating": "text-regressor",
            "ParagraphLabels": "ner-crf", "PolygonLabels": "yolo"}  # fmt: skip
IMAGE = '<Image name="o" value="$o"/>'
TEXT = '<Text name="o" value="$o"/>'


def bound(tmp_path, xml):
    config = parse_labeling_config(f"<View>{xml}</View>")
    tags = ", ".join(
        f"{tag}: {ADAPTERS[tag]}" for tag in {control.tag for control in config.controls if control.tag in ADAPTERS}
    )
    return bind(load_recipe(write_recipe(tmp_path, f"tags: {{{tags}}}\n", config=None)), config)


def learnt(binding, results, data="Ada met Bob"):
    """(the answers of each task, the report)."""
    tally = Tally()
    answers = []
    for number, result in enumerate(results, 1):
        taught = binding.learn(AnnotatedTask(str(number), {"o": data}, (Annotation("1", result),)), no_fetch)
        tally.add(str(number), taught)
        answers.append(taught.answers)
    return answers, tally.report()


def region(type, key, names, name="c", **value):
    return {"from_name": name, "to_name": "o", "type": type, "value": {**value, key: names}}


def box(*names, **value):
    place = {"x": 1, "y": 1, "width": 9, "height": 9}
    return region("rectanglelabels", "rectanglelabels", list(names), **{**place, **value})


BOXES = f'{IMAGE}<RectangleLabels name="c" toName="o"><Label value="butterfly"/><Label value="Moth"/></RectangleLabels>'


def test_labels_that_the_config_lacks_are_counted_by_name_with_what_is_near(tmp_path):
    answers, report = learnt(bound(tmp_path, BOXES), [[box("Butterflies"), box("Butterflies")], [box("Moth")], []])
    assert [list(map(len, one.get("c", []))) for one in answers] == [[], [1], [0]]
    assert [one.sentence for one in report] == [
        "RectangleLabels#c: 2 of 3 boxes left out: labelled `Butterflies`, which is not in the labeling config; near: "
        "butterfly; first: task 1"
    ]


def test_a_label_of_any_characters_is_told_short_on_one_line_and_as_unicode(tmp_path):
    _, report = learnt(bound(tmp_path, BOXES), [[box("\x1b[2J\n\ud800" + "x" * 9000)]])
    assert [one.subject for one in report] == [f" [2J  {'x' * 291}..."]


def test_tasks_that_cannot_be_read_are_counted_as_tasks_not_as_regions(tmp_path):
    labels = f'{TEXT}<Labels name="c" toName="o"><Label value="Person"/></Labels>'
    span = region("labels", "labels", ["Person"], start=0, end=3)
    _, report = learnt(bound(tmp_path, labels), [[span, span], []], data=None)
    assert [one.sentence for one in report] == [
        "Labels#c: 2 annotated tasks left out: task 1: Text#o shows $o, which is null in this task"
    ]


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"type": "rectanglelabels", "value": {"x": 1}}, "an entry without `from_name`"),
        ({**box("Moth"), "from_name": None}, "an entry without `from_name`"),
        (None, "nothing"),
        ("Moth", '"Moth"'),
    ],
)
def test_an_entry_of_no_control_is_counted_and_does_not_teach_that_nothing_is_there(tmp_path, entry, named):
    relation = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}
    answers, report = learnt(bound(tmp_path, BOXES), [[entry], [entry, box("Moth")], [relation]])
    assert [len(one["c"][0]) if "c" in one else None for one in answers] == [None, 1, 0]
    assert [one.sentence for one in report] == [
        f"RectangleLabels#c: 2 boxes left out: {named} instead of a region; correct them in the export; first: task 1"
    ]


def test_a_label_that_differs_by_capitals_is_that_one_and_it_is_said(tmp_path):
    answers, report = learnt(bound(tmp_path, BOXES), [[box("Butterfly"), box("moth")]])
    assert [value.label for value in answers[0]["c"][0]] == ["butterfly", "Moth"]
    assert not any(one.lost for one in report)
    assert report[0].sentence == (
        "RectangleLabels#c: 1 of 2 boxes understood: `Butterfly` is read as `butterfly`; it is the only label that "
        "differs in upper and lower case; first: task 1"
    )


def test_labels_that_differ_by_capitals_alone_are_told_apart_by_them(tmp_path):
    xml = f'{TEXT}<Choices name="c" toName="o"><Choice value="US"/><Choice value="us"/></Choices>'
    answers, report = learnt(
        bound(tmp_path, xml), [[region("choices", "choices", [name])] for name in ("US", "us", "Us")]
    )
    assert [one["c"][0][0].label for one in answers[:2]] == ["US", "us"]
    assert answers[2] == {} and [one.reason for one in report] == ["unknown label"]


DROPPED = [
    ("RectangleLabels", IMAGE, [box("A", x=200)], "outside the image"),
    ("RectangleLabels", IMAGE, [box("A", height=0)], "no area"),
    ("RectangleLabels", IMAGE, [box()], "no label"),
    ("RectangleLabels", IMAGE, [box("A")["value"]], "not a region"),
    ("RectangleLabels", IMAGE, [region("rectanglelabels", "rectanglelabels", {"A": 1}, x=1, y=1, width=1, height=1)], "not a list"),
    ("RectangleLabels", IMAGE, [region("choices", "choices", ["A"])], "another type"),
    ("PolygonLabels", IMAGE, [region("polygonlabels", "polygonlabels", ["A"], points=[[1, 1]])], "no area"),
    ("Labels", TEXT, [region("labels", "labels", ["A"], start=0, end=400)], "beyond the text"),
    ("Labels", TEXT, [region("labels", "labels", ["A"], start=4, end=0)], "start after end"),
    ("Labels", TEXT, [region("labels", "labels", ["A"], start=None, end=None)], "no offsets"),
    ("Labels", TEXT, [region("labels", "labels", ["A"], start=0, end=3, text="Eve")], "disagrees with its text"),
    ("Labels", TEXT, [region("labels", "labels", ["A"], name="old", start=0, end=3)], "another control"),
    ("Choices", TEXT, [region("choices", "choices", ["Mixed"])], "unknown label"),
    ("Choices", TEXT, [region("choices", "choices", 3)], "not a list"),
    ("Taxonomy", TEXT, [region("taxonomy", "taxonomy", [["A", "Mixed"]])], "unknown label"),
    ("Number", TEXT, [region("number", "number", "many")], "no number"),
    ("Rating", TEXT, [region("rating", "rating", 9)], "off the scale"),
]  # fmt: skip


@pytest.mark.parametrize(("tag", "shown", "result", "reason"), DROPPED)
def test_a_task_whose_regions_are_all_dropped_teaches_nothing_and_is_counted(tmp_path, tag, shown, result, reason):
    inner = {"Choices": '<Choice value="A"/>', "Taxonomy": '<Choice value="A"/>', "Number": "", "Rating": ""}
    labels = inner.get(tag, '<Label value="A"/>')
    binding = bound(tmp_path, f'{shown}<{tag} name="c" toName="o">{labels}</{tag}>')
    answers, report = learnt(binding, [result])
    assert answers == [{}]
    assert [(one.reason, one.count, one.task, one.lost) for one in report] == [(reason, 1, "1", True)]
    assert one_line(report[0].sentence)


def one_line(sentence):
    return "\n" not in sentence and "{" not in sentence and sentence.endswith("first: task 1")


@pytest.mark.parametrize("type", ["paragraphlabels", "labels"])
def test_a_label_under_another_types_key_is_read(tmp_path, type):
    xml = '<Paragraphs name="o" value="$o"/><ParagraphLabels name="c" toName="o"><Label value="A"/></ParagraphLabels>'
    place = {"start": "0", "end": "0", "startOffset": 0, "endOffset": 3}
    answers, report = learnt(
        bound(tmp_path, xml), [[region(type, "labels", ["A"], **place)]], [{"author": "x", "text": "Ada met Bob"}]
    )
    (value,) = answers[0]["c"][0]
    assert (value.start, value.end, value.label) == (0, 3, "A")
    assert [(one.reason, one.lost) for one in report] == [("label under another key", False)]


def test_an_answer_that_was_empty_when_it_was_given_is_a_negative(tmp_path):
    answers, report = learnt(bound(tmp_path, BOXES), [[]])
    assert answers == [{"c": [()]}] and report == ()


def test_regions_of_a_repeater_belong_to_its_controls(tmp_path):
    xml = (
        '<Repeater on="$o" indexFlag="{{i}}"><Text name="t_{{i}}" value="$o[{{i}}].x"/>'
        '<Labels name="c_{{i}}" toName="t_{{i}}"><Label value="A"/></Labels></Repeater>'
    )
    result = [region("labels", "labels", ["A"], name="c_1", start=0, end=1)]
    answers, report = learnt(bound(tmp_path, xml), [result], [{"x": "first"}, {"x": "second"}])
    assert report == () and sorted(answers[0]) == ["c_0", "c_1"]


def test_several_labels_of_one_region_are_all_learnt(tmp_path):
    xml = f'{TEXT}<Labels name="c" toName="o" choice="multiple"><Label value="A"/><Label value="B"/></Labels>'
    answers, _ = learnt(bound(tmp_path, xml), [[region("labels", "labels", ["B", "A"], start=0, end=3)]])
    assert [(one.start, one.end, one.label) for one in answers[0]["c"][0]] == [(0, 3, "B"), (0, 3, "A")]


def test_a_report_is_short_and_names_what_is_lost_first(tmp_path):
    results = [[box(f"Label {number}")] for number in range(60)] + [[box("moth")] for _ in range(100)]
    _, report = learnt(bound(tmp_path, BOXES), results)
    assert sum(one.count for one in report) == 160 and len(report) < 25
    told = sentences(report)
    assert len(told) == 9 and "left out" in told[0] and told[-1].startswith("and ")
