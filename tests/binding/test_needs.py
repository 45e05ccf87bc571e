"""Models that need the regions of others: what binds, in what order they answer, what they read, and what people's regions teach."""

import numpy as np
import pytest

from lsml.adapters.sound.clips import row_of
from lsml.adapters.sound.reading import read_sound
from lsml.binding import bind
from lsml.binding.offers import why_unbound
from lsml.errors import RecipeError
from lsml.labeling import AnnotatedTask, Annotation, parse_labeling_config
from lsml.labeling.needed import REGIONS
from lsml.labeling.remarks import Reason
from lsml.recipe import load_recipe
from lsml.values import Choice, Marked, Number, Relation, Span, Text
from tests.conftest import write_recipe
from tests.support.fetching import Fetching, no_fetch
from tests.support.sounds import RATE, write_sound

CONFIG = """<View><Text name="text" value="$text"/><Text name="other" value="$other"/>
<Labels name="part" toName="text"><Label value="Food"/><Label value="Staff"/></Labels>
<Labels name="rest" toName="other"><Label value="X"/></Labels>
<Choices name="tone" toName="text" perRegion="true"{when}><Choice value="Good"/><Choice value="Bad"/></Choices>
<Choices name="whole" toName="text"><Choice value="A"/><Choice value="B"/></Choices></View>"""
NER = "'Labels': ner-crf"


def bound(tmp_path, tags, when=""):
    recipe = load_recipe(write_recipe(tmp_path, f"tags: {{{tags}}}\n", config=None))
    return bind(recipe, parse_labeling_config(CONFIG.replace("{when}", when)))


def choice_needs(needs, more="", tag="Choices#tone", adapter="text-classifier"):
    return f"'{tag}': {{adapter: {adapter}, needs: '{needs}'{more}}}"


def test_models_answer_after_those_that_they_need_and_keep_their_rank(tmp_path):
    binding = bound(tmp_path, f"{choice_needs('Labels#part')}, 'Choices#whole': text-classifier, {NER}")
    assert [[(rank, model.key) for rank, model in turn] for turn in binding.stages] == [
        [(1, "whole:text-classifier"), (2, "part:ner-crf"), (3, "rest:ner-crf")],
        [(0, "tone:text-classifier")],
    ]
    asking = binding.models[0]
    assert asking.shown == "the regions of Labels#part on Text#text ($text)"
    assert [tool.control_tag.name for tool in asking.needs] == ["part"]


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (choice_needs("Labels#part", tag="Choices#whole") + f", {NER}",
         'Choices#whole is for the whole task, and `needs` is for regions; add perRegion="true" to the tag, or remove '
         "`needs`"),
        (choice_needs("Labels#prt") + ", 'Labels#prt': ner-crf",
         "Choices#tone: it needs the regions of `Labels#prt`, which the labeling config lacks; did you mean `Labels#part`?"),
        (choice_needs("Labels") + ", 'Labels': {adapter: ner-crf, needs: RectangleLabels}, RectangleLabels: yolo",
         "Choices#tone: it needs the regions of `Labels`, which has no model here"),
        (choice_needs("Labels#rest") + f", {NER}",
         "Choices#tone and Labels#rest are not for the same object tag"),
        (choice_needs("Labels#part", adapter="image-classifier") + f", {NER}",
         "Choices#tone: image-classifier cannot read the regions of Labels#part on Text#text; it reads Image, Pdf"),
    ],
)  # fmt: skip
def test_a_model_that_gets_no_regions_is_left_unbound_and_says_why(tmp_path, tags, reason):
    binding = bound(tmp_path, tags)
    assert reason in [unbound.reason for unbound in binding.unbound]


@pytest.mark.parametrize(
    ("tags", "problems"),
    [
        (choice_needs("Labels#prt") + ", 'Labels#part': ner-crf",
         ["`Labels#prt` has no model; did you mean `Labels#part`?"]),
        (choice_needs("Labels"), ["`Labels` has no model; add it to `tags`, which has no other"]),
        (choice_needs("Choices#whole") + ", 'Choices#whole': text-classifier",
         ["`Choices#whole` has no regions; expected one of Bitmask, BitmaskLabels, Brush"]),
        (choice_needs("Lables") + f", {NER}", ["lsml does not support `Lables`; did you mean `Labels`?"]),
        (choice_needs("Labels part"), ["not a selector; expected `Tag` or `Tag#name`, several with commas between them"]),
        ("Choices: {adapter: text-classifier, around: 3}",
         ["only a model with `needs` can use it; add `needs`, or remove the key"]),
        (choice_needs("Labels", ", inputs: [text]") + f", {NER}",
         ["with `needs`, a model reads only regions; remove one of the two"]),
        ("Labels: {adapter: ner-crf, needs: Labels}",
         ["`Labels` on line 3 needs itself; remove one of them"]),
        ("Labels: {adapter: ner-crf, needs: HyperTextLabels},\n  HyperTextLabels: {adapter: ner-crf, needs: Labels}",
         ["`Labels` on line 3 needs `HyperTextLabels` on line 4, which needs `Labels` on line 3; remove one of them"]),
    ],
)  # fmt: skip
def test_needs_that_can_never_work_are_refused_with_the_recipe(tmp_path, tags, problems):
    with pytest.raises(RecipeError) as caught:
        bound(tmp_path, tags)
    found = [problem.message for problem in caught.value.problems]
    assert len(found) == len(problems)
    assert all(one.startswith(start) for one, start in zip(found, problems, strict=True)), found


TEXT = "good soup , bad waiter"
SOUP = {"start": 5, "end": 9, "text": "soup"}
WAITER = {"start": 16, "end": 22, "text": "waiter"}


def part(id, place, label):
    return {"id": id, "from_name": "part", "to_name": "text", "type": "labels", "value": {**place, "labels": [label]}}


def tone(id, place, answer):
    return {
        "id": id,
        "from_name": "tone",
        "to_name": "text",
        "type": "choices",
        "value": {**place, "choices": [answer]},
    }


def task(*results):
    annotations = tuple(Annotation(str(at), list(result), f"2026-01-0{at + 1}") for at, result in enumerate(results))
    return AnnotatedTask("1", {"text": TEXT, REGIONS: "a stranger's"}, annotations)


FIRST = [part("a", SOUP, "Food"), tone("a", SOUP, "Good"), part("b", WAITER, "Staff"), tone("b", WAITER, "Bad")]


@pytest.mark.parametrize(("around", "texts"), [(0, ["soup", "waiter"]), (1, ["good soup ,", "bad waiter"])])
def test_a_person_s_regions_are_read_and_each_teaches_its_answer(tmp_path, around, texts):
    binding = bound(tmp_path, f"{choice_needs('Labels#part', f', around: {around}')}, {NER}")
    taught = binding.learn(task(FIRST), no_fetch)
    assert taught.answers["tone@a"] == [(Choice("Good"),)]
    assert taught.answers["tone@b"] == [(Choice("Bad"),)]
    readings = binding.models[0].read({"id": 1, "data": taught.data}, no_fetch)
    assert [(reading.controls[0].control_tag.name, reading.view.data) for reading in readings] == [
        ("tone@a", texts[0]), ("tone@b", texts[1])
    ]  # fmt: skip
    assert taught.regions["Choices#tone"] == 2


def test_of_several_annotations_the_latest_has_the_regions_unless_all_teach(tmp_path):
    second = [part("c", SOUP, "Food"), tone("c", SOUP, "Bad")]
    tags = f"{choice_needs('Labels#part', 'MORE')}, {NER}"
    latest = bound(tmp_path, tags.replace("MORE", "")).learn(task(FIRST, second), no_fetch)
    assert {name for name in latest.answers if name.startswith("tone")} == {"tone@c"}
    more = ", training: {learn_from: {several: all}}"
    every = bound(tmp_path, tags.replace("MORE", more)).learn(task(FIRST, second), no_fetch)
    assert {name for name in every.answers if name.startswith("tone")} == {"tone@a", "tone@b", "tone@c"}


def test_answers_about_regions_that_nobody_needs_are_counted(tmp_path):
    binding = bound(tmp_path, f"{choice_needs('Labels#part')}, {NER}")
    taught = binding.learn(task([part("a", SOUP, "Food"), tone("a", SOUP, "Good"), tone("z", WAITER, "Bad")]), no_fetch)
    assert [remark.reason for control, remark in taught.remarks if control.config_name == "tone"] == [
        Reason.OTHER_REGION
    ]
    assert taught.regions["Choices#tone"] == 2


def test_a_control_is_asked_about_the_regions_beside_which_people_see_it(tmp_path):
    binding = bound(tmp_path, f"{choice_needs('Labels#part')}, {NER}", ' whenTagName="part" whenLabelValue="Staff"')
    assert set(binding.learn(task(FIRST), no_fetch).answers) == {"part", "tone@b"}


def test_without_regions_in_a_task_there_is_nothing_to_read(tmp_path):
    binding = bound(tmp_path, f"{choice_needs('Labels#part')}, {NER}")
    for held in ({"text": TEXT}, {"text": TEXT, REGIONS: {"part": [1, {"id": 3}, {"id": "a"}]}}):
        assert binding.models[0].read({"id": 1, "data": held}, no_fetch) == []


def test_a_tag_in_a_repeater_is_left_unbound_and_says_what_to_do(tmp_path):
    xml = """<View><Repeater on="$rows" indexFlag="{{i}}"><Text name="t_{{i}}" value="$rows[{{i}}].text"/>
    <Labels name="l_{{i}}" toName="t_{{i}}"><Label value="A"/></Labels>
    <Choices name="c_{{i}}" toName="t_{{i}}" perRegion="true"><Choice value="Good"/><Choice value="Bad"/></Choices>
    </Repeater></View>"""
    recipe = load_recipe(
        write_recipe(tmp_path, f"tags: {{{choice_needs('Labels', tag='Choices')}, {NER}}}\n", config=None)
    )
    binding = bind(recipe, parse_labeling_config(xml))
    assert [model.key for model in binding.models] == ["l_{{i}}:ner-crf"]
    why = "Choices#c_{{i}} is inside a Repeater, whose copies `needs` cannot distinguish; take it out of the Repeater"
    assert [one.reason for one in binding.unbound] == [why]
    assert why_unbound(binding.unbound[0].control_tag, "", binding.config) == why


def test_other_needs_are_another_version(tmp_path):
    one, other, same = (
        bound(tmp_path, f"{choice_needs('Labels#part', more)}, {NER}").models[0] for more in ("", ", around: 2", "")
    )
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert one.facts(None) == same.facts(None) != other.facts(None)


@pytest.mark.parametrize(
    ("tag", "adapter", "key", "given", "value"),
    [
        ("Rating", "text-regressor", "rating", 4, Number(4.0)),
        ("Number", "text-regressor", "number", 2.5, Number(2.5)),
        ("TextArea", "remote", "text", ["so"], Text("so")),
    ],
)
def test_other_answers_about_regions_need_no_more_than_choices(tmp_path, tag, adapter, key, given, value):
    config = CONFIG.replace("</View>", f'<{tag} name="more" toName="text" perRegion="true"/></View>').replace(
        "{when}", ""
    )
    options = ", options: {url: 'http://localhost:1/', text: $.a}" if adapter == "remote" else ""
    tags = f"tags: {{{choice_needs('Labels#part', options, f'{tag}#more', adapter)}, {NER}}}\n"
    binding = bind(load_recipe(write_recipe(tmp_path, tags, config=None)), parse_labeling_config(config))
    answer = {"id": "a", "from_name": "more", "to_name": "text", "type": tag.lower(), "value": {**SOUP, key: given}}
    taught = binding.learn(task([part("a", SOUP, "Food"), answer]), no_fetch)
    assert taught.answers["more@a"] == [(value,)]
    [reading] = binding.models[0].read({"id": 1, "data": taught.data}, no_fetch)
    [(written, problem)] = reading.controls[0].write([value], "text", reading.view, {})
    assert (written, problem) == (answer, None)


STRETCHES = """<View><Audio name="sound" value="$sound"/><TimeSeries name="series" value="$series" timeColumn="t"/>
<Labels name="part" toName="sound"><Label value="X"/></Labels>
<TimeSeriesLabels name="piece" toName="series"><Label value="X"/></TimeSeriesLabels>
<Choices name="tone" toName="sound" perRegion="true"><Choice value="Good"/><Choice value="Bad"/></Choices>
<Choices name="kind" toName="series" perRegion="true"><Choice value="Good"/><Choice value="Bad"/></Choices></View>"""


@pytest.mark.parametrize(("around", "length", "times"), [(0, 0.5, [1, 2, 3]), (50, 1.0, [0, 1, 2, 3, 4])])
def test_of_recordings_and_series_the_part_in_each_stretch_is_read(tmp_path, around, length, times):
    tags = f"""tags:
  Labels: sound-events
  TimeSeriesLabels: time-series
  Choices#tone: {{adapter: audio-classifier, needs: Labels, around: {around}}}
  Choices#kind: {{adapter: time-series, needs: TimeSeriesLabels, around: {around}}}
"""
    binding = bind(load_recipe(write_recipe(tmp_path, tags, config=None)), parse_labeling_config(STRETCHES))
    sound = {"start": 1.0, "end": 1.5, "channel": 0}
    series = {"start": 1, "end": 3, "instant": False}
    result = [
        {"id": "a", "from_name": "part", "to_name": "sound", "type": "labels", "value": {**sound, "labels": ["X"]}},
        {"id": "a", "from_name": "tone", "to_name": "sound", "type": "choices", "value": {**sound, "choices": ["Good"]}},
        {"id": "b", "from_name": "piece", "to_name": "series", "type": "timeserieslabels",
         "value": {**series, "timeserieslabels": ["X"]}},
        {"id": "b", "from_name": "kind", "to_name": "series", "type": "choices", "value": {**series, "choices": ["Bad"]}},
    ]  # fmt: skip
    data = {"sound": "a.wav", "series": {"t": list(range(6)), "x": list(range(6))}}
    recording = write_sound(tmp_path / "a.wav", np.zeros(4 * RATE), RATE)
    fetch = Fetching(file=lambda _url, _task: recording)
    taught = binding.learn(AnnotatedTask("1", data, (Annotation("1", result, "2026-01-01"),)), fetch)
    assert taught.answers["tone@a"] == [(Choice("Good"),)] and taught.answers["kind@b"] == [(Choice("Bad"),)]
    *_, tone, kind = binding.models
    [heard] = tone.read({"id": 1, "data": taught.data}, fetch)
    assert row_of(heard.view.data).shape and len(read_samples(heard.view.data)) == length * RATE
    [seen] = kind.read({"id": 1, "data": taught.data}, fetch)
    assert seen.view.data.points().times.tolist() == times
    [(written, problem)] = heard.controls[0].write([Choice("Good")], "sound", heard.view, {})
    assert (written, problem) == (result[1], None)
    [(written, problem)] = seen.controls[0].write([Choice("Bad")], "series", seen.view, {})
    assert (written, problem) == (result[3], None)


def read_samples(path):
    return np.concatenate(list(read_sound(path).blocks))


JOINED = """<View><Relations><Relation value="of"/></Relations><Text name="text" value="$text"/>
<Labels name="part" toName="text"><Label value="Food"/><Label value="Staff"/></Labels></View>"""


def arrow(source, target, **more):
    return {"type": "relation", "from_id": source, "to_id": target, "direction": "right", "labels": ["of"], **more}


def joining(tmp_path, entry="{adapter: relations, needs: Labels}"):
    tags = f"tags: {{Relations: {entry}, {NER}}}\n"
    return bind(load_recipe(write_recipe(tmp_path, tags, config=None)), parse_labeling_config(JOINED))


def test_relations_join_the_regions_of_a_task_and_are_read_with_all_of_them(tmp_path):
    binding = joining(tmp_path)
    assert binding.models[0].shown == "the regions of Labels#part on Text#text ($text)" and not binding.models[0].copied
    result = [part("a", SOUP, "Food"), part("b", WAITER, "Staff"), arrow("b", "a", direction="left"),
              arrow("a", "gone"), arrow("b", "a", labels=["hates"])]  # fmt: skip
    taught = binding.learn(task(result), no_fetch)
    assert taught.answers["relations"] == [(Relation("a", "b", "of"),)]
    told = [remark for control, remark in taught.remarks if control.config_name == "relations"]
    assert [remark.reason for remark in told] == [Reason.OTHER_REGION, Reason.UNKNOWN_LABEL]
    assert taught.regions["Relations#relations"] == 3
    [reading] = binding.models[0].read({"id": 1, "data": taught.data}, no_fetch)
    assert reading.view.data == Marked(TEXT, ("a", "b"), (Span(5, 9, "Food"), Span(16, 22, "Staff")))


def test_a_task_without_relations_teaches_that_there_are_none(tmp_path):
    taught = joining(tmp_path).learn(task([part("a", SOUP, "Food")]), no_fetch)
    assert taught.answers["relations"] == [()]


def test_relations_without_needs_are_left_unbound_with_what_to_write(tmp_path):
    binding = joining(tmp_path, "relations")
    assert [one.reason for one in binding.unbound] == [
        "Relations#relations joins regions; name the tag of the regions under `needs`, such as `needs: Labels#part`"
    ]


def test_relations_are_no_regions_that_others_can_need(tmp_path):
    with pytest.raises(RecipeError) as caught:
        joining(tmp_path, "{adapter: relations, needs: Labels}, Choices: {adapter: text-classifier, needs: Relations}")
    assert caught.value.problems[0].message.startswith("`Relations` has no regions; expected one of Bitmask")
