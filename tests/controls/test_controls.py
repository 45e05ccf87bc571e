"""What every control promises: round trips, selection, certainty, and calm about strangers' JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsml.controls import CONTROLS, Control
from lsml.controls.base import ModelValues, about
from lsml.controls.merging import merged
from lsml.labeling import ControlTag, Label, join_path, parse_labeling_config
from lsml.values import Choice, Number, Span
from tests.support.judge import verdicts


def control(xml: str) -> Control:
    (control_tag,) = parse_labeling_config(f'<View><Text name="text" value="$text"/>{xml}</View>').controls
    return CONTROLS[control_tag.tag](control_tag)


SINGLE = '<Choices name="c" toName="text"><Choice value="A"/><Choice value="B"/><Choice value="C"/></Choices>'
MULTIPLE = SINGLE.replace('toName="text"', 'toName="text" choice="multiple"')
TREE = (
    '<Taxonomy name="t" toName="text"><Choice value="A"><Choice value="B"/><Choice value="C"/></Choice>'
    '<Choice value="B"/></Taxonomy>'
)
NUMBER = '<Number name="n" toName="text" min="0" max="10" step="0.1"/>'
RATING = '<Rating name="r" toName="text"/>'
EVERY = [SINGLE, MULTIPLE, TREE, NUMBER, RATING, '<Choices name="c" toName="text" value="$options"/>']


def at(least: float):
    return lambda _label: least


def of_task(found: Control, values, threshold, data=None) -> list:
    """What is shown of everything that a model answered for a task."""
    return found.select(found.possible(values, data or {}), threshold)


# ------------------------------------------------------------------------------------------------ round trips

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
scores = st.none() | st.floats(0, 1)


@given(st.lists(names, min_size=1, max_size=6, unique=True), st.booleans(), st.data())
def test_choices_restores_what_it_encodes(labels, multiple, data):
    attributes = {"choice": "multiple"} if multiple else {}
    tag = ControlTag("Choices", "c", ("text",), tuple(Label(label) for label in labels), attributes)
    choices = CONTROLS["Choices"](tag)
    chosen = data.draw(st.lists(st.sampled_from(labels), min_size=1, max_size=6 if multiple else 1, unique=True))
    values = tuple(Choice(label, data.draw(scores)) for label in chosen)
    regions = json.loads(json.dumps(choices.encode(values, "text")))
    assert choices.decode(regions).values == tuple(Choice(label) for label in chosen)
    assert [choices.check(region, {}) for region in regions] == [None]


@given(st.lists(st.lists(names, min_size=1, max_size=4).map(tuple), min_size=1, max_size=6, unique=True), st.data())
def test_taxonomy_restores_what_it_encodes(paths, data):
    nodes = dict.fromkeys(path[: depth + 1] for path in paths for depth in range(len(path)))
    tag = ControlTag("Taxonomy", "t", ("text",), tuple(Label(path[-1], path=path) for path in nodes))
    taxonomy = CONTROLS["Taxonomy"](tag)
    chosen = data.draw(st.lists(st.sampled_from(list(nodes)), min_size=1, unique=True))
    values = tuple(Choice(join_path(path), data.draw(scores)) for path in chosen)
    regions = json.loads(json.dumps(taxonomy.encode(values, "text")))
    assert regions[0]["value"] == {"taxonomy": [list(path) for path in chosen]}
    assert taxonomy.decode(regions).values == tuple(Choice(value.label) for value in values)
    assert [taxonomy.check(region, {}) for region in regions] == [None]


limits = st.none() | st.floats(-1e6, 1e6).map(lambda number: round(number, 3))


@given(limits, limits, st.none() | st.sampled_from([0.1, 0.25, 1, 3, 1e-3]), st.floats(-1e9, 1e9))
def test_number_restores_what_it_encodes_and_stays_within_its_limits(least, most, step, number):
    attributes = {"min": least, "max": most, "step": step}
    written = {name: str(value) for name, value in attributes.items() if value is not None}
    control = CONTROLS["Number"](ControlTag("Number", "n", ("text",), attributes=written))
    (value,) = control.select([Number(number, 0.5)], at(0))
    if least is None or most is None or least <= most:
        assert (least is None or value.value >= least) and (most is None or value.value <= most or step)
    regions = json.loads(json.dumps(control.encode([value], "text")))
    assert control.decode(regions).values == (Number(value.value),)
    assert [control.check(region, {}) for region in regions] == [None]


@given(st.integers(1, 20), st.floats(allow_nan=False, allow_infinity=False))
def test_rating_restores_what_it_encodes_as_a_whole_number_of_stars(most, number):
    control = CONTROLS["Rating"](ControlTag("Rating", "r", ("text",), attributes={"maxRating": str(most)}))
    (region,) = control.encode([Number(number)], "text")
    rating = region["value"]["rating"]
    assert type(rating) is int
    assert 0 <= rating <= most
    assert control.decode([region]).values == (Number(rating),)
    assert control.check(region, {}) is None


@pytest.mark.studio
def test_label_studios_own_validator_accepts_what_controls_encode():
    answers: dict[str, list[list[Any]]] = {
        SINGLE: [[Choice("A", 0.9)], [Choice("C")]],
        MULTIPLE: [[Choice("A", 0.9), Choice("B", 0.6)], [Choice("C", 1.0)]],
        TREE: [[Choice("A / B", 0.9), Choice("B", 0.6)], [Choice("A", 0.0)]],
        NUMBER: [[Number(3.14159, 0.4)], [Number(99.0)], [Number(-1e300)]],
        RATING: [[Number(3.7, 0.4)], [Number(99.0)], [Number(-3.0)]],
    }
    cases = []
    for xml, several in answers.items():
        for values in several:
            config = f'<View><Text name="text" value="$text"/>{xml}</View>'
            regions = [{"id": "r", **region} for region in control(xml).encode(values, "text")]
            cases.append((config, {"result": regions, "score": 0.5, "model_version": "v"}))
    assert verdicts(cases) == [[]] * len(cases)


# ------------------------------------------------------------------------------------------------ encode


def test_a_region_holds_everything_that_is_selected_and_the_score_of_the_least_sure_label():
    assert control(MULTIPLE).encode([Choice("B", 0.75), Choice("A", 0.5)], "text") == [
        {"from_name": "c", "to_name": "text", "type": "choices", "value": {"choices": ["B", "A"]}, "score": 0.5}
    ]


def test_nothing_selected_is_no_region():
    assert [control(xml).encode([], "text") for xml in EVERY] == [[]] * len(EVERY)


# ------------------------------------------------------------------------------------------------ select


@pytest.mark.parametrize(
    ("xml", "least", "answered", "shown"),
    [
        (SINGLE, 0.0, [("A", 0.2), ("B", 0.5), ("C", 0.3)], ["B"]),
        (SINGLE, 0.6, [("A", 0.2), ("B", 0.5), ("C", 0.3)], []),
        (SINGLE, 0.5, [("A", 0.5), ("B", 0.5)], ["A"]),
        (SINGLE, 0.0, [("A", 0.2), ("unknown", 0.8)], ["A"]),
        (SINGLE, 0.9, [("A", None)], ["A"]),
        (MULTIPLE, 0.5, [("A", 0.5), ("B", 0.4), ("C", 0.9)], ["C", "A"]),
        (MULTIPLE, 0.5, [("A", 0.6), ("A", 0.7), ("D", 1.0)], ["A"]),
        (TREE, 0.5, [("A", 0.6), ("A / B", 0.9), ("B", 0.7), ("A / D", 1.0)], ["A / B", "B", "A"]),
        (TREE.replace('toName="text"', 'toName="text" maxUsages="2"'), 0.5, [("A", 0.6), ("A / B", 0.9), ("B", 0.7)],
         ["A / B", "B"]),
        (TREE.replace('toName="text"', 'toName="text" maxUsages="1"'), 0.0, [("A", 0.6), ("B", 0.3)], ["A"]),
        (TREE.replace('toName="text"', 'toName="text" leafsOnly="true"'), 0.5, [("A", 0.9), ("A / B", 0.7)],
         ["A / B"]),
    ],
)  # fmt: skip
def test_classes_select_the_best_known_labels_at_or_above_the_threshold(xml, least, answered, shown):
    values = [Choice(label, score) for label, score in answered]
    assert [value.label for value in of_task(control(xml), values, at(least))] == shown


def test_each_label_has_a_threshold_of_its_own():
    thresholds = {"A": 0.9, "B": 0.1, "C": 0.5}
    values = [Choice("A", 0.8), Choice("B", 0.2), Choice("C", 0.5)]
    assert of_task(control(MULTIPLE), values, thresholds.__getitem__) == [Choice("C", 0.5), Choice("B", 0.2)]


def test_options_of_a_task_limit_what_can_be_selected():
    choices = control('<Choices name="c" toName="text" value="$options"/>')
    assert choices.open
    values = [Choice("x", 0.4), Choice("y", 0.6)]
    assert of_task(choices, values, at(0), {"options": ["x", {"value": "z"}]}) == [Choice("x", 0.4)]
    assert of_task(choices, values, at(0)) == []


def test_numbers_are_rounded_to_the_step_and_clipped():
    number = control(NUMBER)
    assert number.select([Number(0.3000001, 0.5), Number(9.0, 0.4)], at(0.5)) == [Number(0.3, 0.5)]
    assert number.select([Number(11.0)], at(0.9)) == [Number(10.0)]
    assert number.select([Number(11.0, 0.5)], at(0.9)) == []
    uneven = control('<Number name="n" toName="text" min="1" max="10" step="4"/>')
    assert [uneven.select([Number(n)], at(0))[0] for n in (0.0, 2.9, 3.0, 10.0)] == [
        Number(1.0),
        Number(1.0),
        Number(5.0),
        Number(9.0),
    ]


def test_default_thresholds_show_the_best_of_one_and_the_likely_of_several():
    found = {xml: control(xml).default_threshold for xml in EVERY}
    assert found == {SINGLE: 0.0, MULTIPLE: 0.5, TREE: 0.5, NUMBER: 0.0, RATING: 0.0, EVERY[-1]: 0.0}


# ------------------------------------------------------------------------------------------------ certainty


@pytest.mark.parametrize(
    ("xml", "answered", "confidence", "margin", "entropy"),
    [
        (SINGLE, [0.5, 0.25, 0.25], 0.5, 0.25, 1 - 1.5 / math.log2(3)),
        (SINGLE, [1 / 3, 1 / 3, 1 / 3], 1 / 3, 0.0, 0.0),
        (SINGLE, [1.0, 0.0, 0.0], 1.0, 1.0, 1.0),
        (SINGLE, [0.0, 0.0], 0.0, 0.0, 0.0),
        (SINGLE, [0.7], 0.7, 0.7, 1.0),
        (MULTIPLE, [0.5, 1.0], 0.5, 0.0, 0.0),
        (MULTIPLE, [0.0, 1.0], 1.0, 1.0, 1.0),
        (MULTIPLE, [0.25, 1.0], 0.75, 0.5, 1 - (0.25 * 2 + 0.75 * math.log2(4 / 3))),
        (SINGLE, [], None, None, None),
        (SINGLE, [0.5, None], None, None, None),
        (MULTIPLE, [None], None, None, None),
    ],
)
def test_certainty_of_classes(xml, answered, confidence, margin, entropy):
    values = [Choice(label, score) for label, score in zip("ABC", answered, strict=False)]
    found = [control(xml).certainty(values, kind) for kind in ("confidence", "margin", "entropy")]
    assert found == [None if sure is None else pytest.approx(sure, abs=1e-12) for sure in (confidence, margin, entropy)]


@given(
    st.sampled_from([SINGLE, MULTIPLE]), st.lists(st.floats(0, 1)), st.sampled_from(["confidence", "margin", "entropy"])
)
def test_certainty_is_a_share(xml, answered, kind):
    sure = control(xml).certainty([Choice(f"{n}", score) for n, score in enumerate(answered)], kind)
    assert (sure is None) == (not answered)
    assert sure is None or 0 <= sure <= 1


def test_certainty_of_a_number_is_its_score():
    assert control(NUMBER).certainty([Number(3.0, 0.25)], "margin") == 0.25
    assert control(RATING).certainty([Number(3.0)], "confidence") is None
    assert control(RATING).certainty([], "confidence") is None


def test_spans_count_by_the_least_sure_one_unless_the_model_tells_each_decision():
    labels = control('<Labels name="l" toName="text"><Label value="A"/></Labels>')
    spans = [Span(0, 1, "A", 0.9), Span(2, 3, "A", 0.3)]

    def sure(values, told=None, kind="confidence"):
        return labels.combine([ModelValues(values, lambda _label: 0.5, told)], {}, kind)[1]

    assert sure(spans) == 0.7 and sure([]) is None
    assert sure(spans, [0.9, 1.0, 0.75]) == sure([], [0.9, 1.0, 0.75]) == pytest.approx(math.exp(-0.35))
    assert sure([], [0.9, 1.0, 0.75], "margin") == pytest.approx(math.exp(-0.7))
    assert sure([], [0.4], "entropy") == pytest.approx(math.exp(-1)), (
        "a decision for the lesser half is as unsure as can be"
    )
    assert sure([], []) == 1.0


@pytest.mark.parametrize("how", ["union", "vote"])
def test_of_merged_models_all_decisions_count(how):
    labels = control('<Labels name="l" toName="text"><Label value="A"/></Labels>')
    answers = [ModelValues([], lambda _label: 0.0, told) for told in ([0.9], [0.8, 0.7], None)]
    assert merged(labels, answers, {}, how).decisions == [0.9, 0.8, 0.7]
    assert merged(labels, answers[2:], {}, how).decisions is None


# ------------------------------------------------------------------------------------------------ decode


def test_nothing_answered_is_no_example():
    assert [control(xml).decode([]).values for xml in EVERY] == [None] * len(EVERY)


def test_malformed_regions_are_passed_over_and_the_others_count():
    regions: list[Any] = [None, "x", 3, [], {}, {"type": "choices"}, {"type": ["choices"], "value": {}}]
    regions += [{"type": "choices", "value": {"choices": [{"a": 1}, None, ["A", 3], "B"]}}]
    assert control(MULTIPLE).decode(regions).values == (Choice("A"), Choice("B"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["A", "choices", "taxonomy", "", "3"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["choices", "taxonomy", "number", "rating", "value", "children"]), inner)
    ),
    max_leaves=8,
)


@given(
    st.sampled_from(EVERY),
    json_values
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["choices", "taxonomy", "number", "rating"]), "value": json_values}
    ),
    json_values,
)
def test_no_json_of_a_stranger_raises(xml, region, options):
    found = control(xml)
    decoded = found.decode([region]).values
    assert decoded is None or all(isinstance(value, found.value_type) for value in decoded)
    problem = found.check(region, {"options": options})
    assert problem is None or problem.startswith(found.control_tag.selector + ": ")
    of_task(found, [Choice("A", 0.5)], at(0), {"options": options})


def test_options_may_be_nested_deeper_than_python_recurses():
    options: list[Any] = ["deep"]
    for _ in range(5_000):
        options = [{"value": "v", "children": options}]
    choices = control('<Choices name="c" toName="text" value="$options"/>')
    assert of_task(choices, [Choice("deep")], at(0), {"options": options}) == [Choice("deep")]


# ------------------------------------------------------------------------------------------------ facts, refusals


def test_facts_are_what_decides_a_prediction_besides_names():
    assert control(SINGLE).facts() == {"multiple": False, "limit": 1, "options": None}
    assert control(EVERY[-1]).facts() == {"multiple": False, "limit": 1, "options": "$options"}
    assert control('<Taxonomy name="t" toName="text" maxUsages="3" leafsOnly="true" apiUrl="/tree"/>').facts() == {
        "multiple": True,
        "limit": 3,
        "options": None,
        "leafs_only": True,
        "api_url": "/tree",
    }
    assert control(NUMBER).facts() == {"multiple": False, "min": 0.0, "max": 10.0, "step": 0.1}
    assert control('<Rating name="r" toName="text" maxRating="7"/>').facts() == {"multiple": False, "max_rating": 7.0}


@pytest.mark.parametrize(
    ("xml", "value", "key"),
    [
        (SINGLE, Choice("B", 0.5), "choices"),
        (RATING, Number(4.0, 0.5), "rating"),
        (TREE, Choice("A / B", 0.5), "taxonomy"),
    ],
)
def test_an_answer_about_a_region_has_its_place_and_its_id(xml, value, key):
    region = {"id": "r1", "from_name": "l", "to_name": "text", "type": "labels", "item_index": 2, "score": 0.9,
              "value": {"start": 0, "end": 3, "text": "abc", "labels": ["X"]}}  # fmt: skip
    template = control(xml)
    asking = about(template, region)
    assert (asking.config_name, asking.control_tag.name) == (
        template.control_tag.name,
        f"{template.control_tag.name}@r1",
    )
    [(written, problem)] = asking.write([value], "text", None, {})
    assert problem is None
    assert written.pop("value") == {
        "start": 0,
        "end": 3,
        "text": "abc",
        key: template.encode([value], "text")[0]["value"][key],
    }
    assert written == {"id": "r1", "from_name": template.control_tag.name, "to_name": "text", "type": key, "item_index": 2,
                       "score": 0.5}  # fmt: skip


def test_labels_are_names_in_document_order_and_paths_for_a_taxonomy():
    assert control(SINGLE).labels == ("A", "B", "C")
    assert control(TREE).labels == ("A", "A / B", "A / C", "B")
    assert control(TREE).name_of(Label("B", path=("A", "B"))) == "A / B"
    assert control(SINGLE).name_of(Label("Good news", "good")) == "good"
    assert control(TREE.replace('toName="text"', 'toName="text" leafsOnly="true"')).labels == ("A / B", "A / C", "B")


# ------------------------------------------------------------------------------------------------ nested choices

NESTED = (
    '<Choices name="c" toName="text" choice="multiple" allowNested="true"><Choice value="Fruit"><Choice value="Red"/>'
    '<Choice value="Other"/></Choice><Choice value="Boat"><Choice value="Other" alias="misc"/></Choice></Choices>'
)


@pytest.mark.parametrize(
    ("answers", "labels", "reasons"),
    [
        ([["Fruit", "Other"], ["Boat", "misc"]], ["Fruit / Other", "Boat / misc"], []),
        ([["Boat", "Other"]], ["Boat / misc"], []),  # by its value, too
        (["Red", "misc"], ["Fruit / Red", "Boat / misc"], []),  # no other choice has the name
        (["Other"], None, ["unknown label"]),  # two have it
        ([["fruit", "red"]], ["Fruit / Red"], ["other capitals"]),
        (
            [["Boat"], ["Boat", "misc"]],
            ["Boat / misc"],
            [],
        ),  # the editor adds the parent whose choices are all selected
        ([["Boat"]], ["Boat"], []),
        ([["Fruit", "misc"]], None, ["unknown label"]),
    ],
)
def test_nested_choices_are_told_apart_by_their_paths(answers, labels, reasons):
    found = control(NESTED)
    decoded = found.decode([{"type": "choices", "value": {"choices": answers}}])
    assert (decoded.values and [value.label for value in decoded.values]) == labels
    assert [remark.reason for remark in decoded.remarks] == reasons
    if labels:
        (region,) = found.encode(decoded.values, "text")
        assert region["value"]["choices"] == [label.split(" / ") for label in labels]


def test_nested_options_of_a_task_are_paths_too():
    found = control('<Choices name="c" toName="text" allowNested="true" value="$options"/>')
    data = {"options": [{"value": "A", "children": [{"value": "X"}]}, {"value": "B", "children": [{"value": "X"}]}]}
    (value,) = found.decode([{"type": "choices", "value": {"choices": [["B", "X"]]}}]).values
    assert value == Choice("B / X") and set(found.allowed(data)) == {"A", "A / X", "B", "B / X"}
    (region,) = found.encode([value], "text")
    assert region["value"] == {"choices": [["B", "X"]]} and found.check(region, data) is None
