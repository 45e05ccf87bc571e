"""Values become checked regions; one that fails costs only itself."""

import math
import re
from typing import ClassVar

import pytest

import lsml.binding.auto
from lsml.adapters.base import Adapter, Target
from lsml.binding import bind
from lsml.controls import CONTROLS
from lsml.controls.base import ModelValues
from lsml.controls.merging import merged
from lsml.errors import AdapterError
from lsml.labeling import parse_labeling_config
from lsml.prediction import Predictor, predict_tasks
from lsml.recipe import Model, Recipe, Selector
from lsml.values import Choice, DecidedSpans, Number, Span
from tests.conftest import TOPICS
from tests.support.fetching import no_fetch


class Scripted(Adapter):
    """Answers what the text says: `Label=score` pairs, or a number."""

    name = "scripted"
    title = "for tests"
    consumes: ClassVar = frozenset({"Text"})
    produces: ClassVar = frozenset({Choice, Number})

    def predict(self, batch):
        return [self.answer(text) for text in batch]

    def answer(self, text):
        if text == "fail":
            raise RuntimeError("the model broke")
        if text == "refuse":
            raise AdapterError("weights.pt: was changed; restore it")
        pairs = (word.partition("=") for word in text.split())
        return [
            Number(float(label)) if not equals else Choice(label.replace("_", " "), float(score))
            for label, equals, score in pairs
        ]


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setattr(lsml.binding.auto, "get_adapter", lambda name: Scripted)

    def predict(config, *texts, models=None, score="confidence", adapters=None, data=None, judging=False):
        models = models or [
            Model(
                selectors=(Selector(tag),),
                rank=0,
                adapter="scripted",
                options=Scripted.Options(),
                threshold=None,
                labels={},
                training=None,
                line=1,
                column=1,
            )
            for tag in ("Choices", "Rating", "Taxonomy")
        ]
        recipe = Recipe(name="r", models=tuple(models), path=tmp_path / "r.yaml", score=score)
        binding = bind(recipe, parse_labeling_config(config))
        loaded = {model.key: model.new_adapter() for model in binding.models} | (adapters or {})
        tasks = [{"id": i, "data": {"text": text, **(data or {})}} for i, text in enumerate(texts)]
        return predict_tasks(Predictor(binding, loaded, no_fetch, "r-v1-0"), tasks, judging=judging)

    return predict


def model(selector="Choices", **more):
    given = {"rank": 0, "threshold": None, "labels": {}, **more}
    return Model(
        selectors=(Selector(selector),),
        adapter="scripted",
        options=Scripted.Options(),
        training=None,
        line=1,
        column=1,
        **given,
    )


def shown(outcome, name="topic"):
    regions = [region for region in outcome.prediction["result"] if region["from_name"] == name]
    return regions[0]["value"]["choices"] if regions else []


def test_the_best_label_is_shown_with_its_score(run):
    (outcome,) = run(TOPICS, "Bug=0.7 Billing=0.2 Question=0.1")
    assert outcome.prediction == {
        "result": [{"id": "topic-0", "from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": ["Bug"]}, "score": 0.7}],
        "score": 0.7,
        "model_version": "r-v1-0",
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "score"), [("confidence", 0.7), ("margin", 0.5), ("entropy", 0.270)])
def test_the_score_is_the_one_the_recipe_asks_for(run, kind, score):
    (outcome,) = run(TOPICS, "Bug=0.7 Billing=0.2 Question=0.1", score=kind)
    assert outcome.prediction["score"] == pytest.approx(score, abs=1e-3)


def test_below_the_threshold_nothing_is_shown_and_the_task_still_counts_as_predicted(run):
    (outcome,) = run(TOPICS, "Bug=0.4 Billing=0.3", models=[model(threshold=0.5)])
    assert outcome.prediction["result"] == []
    assert outcome.prediction["score"] == pytest.approx(0.4)


def test_several_labels_are_shown_from_a_half_on(run):
    multiple = TOPICS.replace('toName="text"', 'toName="text" choice="multiple"')
    (outcome,) = run(multiple, "Bug=0.9 Billing=0.6 Question=0.2")
    assert shown(outcome) == ["Bug", "Billing"]
    assert outcome.prediction["score"] == pytest.approx(0.6)


def test_one_text_that_breaks_the_model_costs_only_itself(run):
    outcomes = run(TOPICS, "Bug=1", "fail", "Billing=1")
    assert [shown(outcome) if outcome.prediction else None for outcome in outcomes] == [["Bug"], None, ["Billing"]]
    assert outcomes[1].dropped == [("adapter failed", "task 1: topic:scripted failed: RuntimeError")]


class Doubting(Scripted):
    """Finds nothing in any text, and tells the probability of each word's decision."""

    produces: ClassVar = frozenset({Span})

    def predict(self, batch):
        return [DecidedSpans(decisions=[float(word) for word in text.split()]) for text in batch]


def test_a_text_without_spans_has_the_certainty_of_the_decisions_that_found_none(monkeypatch, tmp_path):
    monkeypatch.setattr(lsml.binding.auto, "get_adapter", lambda name: Doubting)
    recipe = Recipe(name="r", models=(model("Labels"),), path=tmp_path / "r.yaml")
    config = '<View><Text name="t" value="$t"/><Labels name="l" toName="t"><Label value="A"/></Labels></View>'
    binding = bind(recipe, parse_labeling_config(config))
    tasks = [{"id": 1, "data": {"t": "1 1 1"}}, {"id": 2, "data": {"t": "0.9 0.6"}}]
    loaded = {one.key: one.new_adapter() for one in binding.models}
    outcomes = predict_tasks(Predictor(binding, loaded, no_fetch, "v"), tasks)
    assert [one.prediction["score"] for one in outcomes] == pytest.approx([1.0, math.exp(-0.5)])


@pytest.mark.parametrize("judging", [False, True])
@pytest.mark.parametrize("combine", ["first", "union", "vote"])
def test_each_task_of_many_is_answered_as_it_is_alone(run, combine, judging):
    models = [model(combine=combine), model(rank=1, combine=combine), model("Choices", rank=2, show=False)]
    texts = [
        "Bug=0.9 High=0.8",
        "Billing=0.9 High=0.8",
        "fail",
        "",
        "High=0.6",
        "refuse",
        "Bug=0.5 Billing=0.5 Low=0.9",
    ]
    together = run(HIDDEN, *texts, models=models, judging=judging)
    alone = [run(HIDDEN, text, models=models, judging=judging)[0] for text in texts]
    for outcome in (*together, *alone):
        outcome.unread = dict.fromkeys(outcome.unread)  # which names the task
        outcome.dropped = [
            (reason, "" if reason == "empty" else re.sub(r"^task \d+: ", "", sentence))
            for reason, sentence in outcome.dropped
        ]
    assert together == alone
    assert sum(outcome.prediction is not None for outcome in together) == 4


def test_what_a_model_says_of_its_failure_is_passed_on_without_a_traceback(run, caplog):
    (outcome,) = run(TOPICS, "refuse")
    assert outcome.dropped == [("adapter failed", "task 0: topic:scripted failed: weights.pt: was changed; restore it")]
    assert "Traceback" not in caplog.text


def test_a_task_alone_is_asked_once_where_the_model_fails_and_one_of_several_once_more(run, monkeypatch):
    asked, predict = [], Scripted.predict
    monkeypatch.setattr(Scripted, "predict", lambda self, batch: asked.append(len(batch)) or predict(self, batch))
    run(TOPICS, "refuse")
    run(TOPICS, "Bug=0.9", "refuse")
    assert asked == [1, 2, 1, 1]


def test_pretrained_classes_match_labels_by_name_without_regard_to_case_and_others_are_dropped(run):
    (outcome,) = run(TOPICS, "bUG=0.6 spam=0.9")
    assert shown(outcome) == ["Bug"]


def test_a_label_map_adds_up_classes_that_mean_one_label(run):
    (outcome,) = run(TOPICS, "crash=0.3 error=0.3 billing=0.4", models=[model(labels={"Bug": ("crash", "error")})])
    assert shown(outcome) == ["Bug"]
    assert outcome.prediction["result"][0]["score"] == pytest.approx(0.6)


def test_predicted_values_of_the_config_map_classes(run):
    (outcome,) = run(
        TOPICS.replace('value="Bug"', 'value="Bug" predicted_values="crash,error"'), "error=0.9 billing=0.1"
    )
    assert shown(outcome) == ["Bug"]


def test_of_several_models_the_first_that_has_an_answer_wins(run):
    models = [model(rank=0, threshold=0.8), model(rank=1)]
    sure, unsure = run(TOPICS, "Bug=0.9 Billing=0.1", "Bug=0.6 Billing=0.4", models=models)
    assert (shown(sure), shown(unsure)) == (["Bug"], ["Bug"])

    class Untrained(Scripted):
        @property
        def ready(self):
            return False

    first = Untrained(None, None)
    (outcome,) = run(TOPICS, "Billing=0.9", models=[model(rank=0), model(rank=1)], adapters={"topic:scripted": first})
    assert shown(outcome) == ["Billing"]


HIDDEN = """<View><Text name="text" value="$text"/>
<Choices name="topic" toName="text"><Choice value="Bug"/><Choice value="Billing"/></Choices>
<View visibleWhen="choice-selected" whenTagName="topic" whenChoiceValue="Bug">
<Choices name="severity" toName="text"><Choice value="High"/><Choice value="Low"/></Choices></View></View>"""


NUMBER = '<View><Text name="text" value="$text"/><Number name="n" toName="text"/></View>'
SEVERAL = """<View><Text name="text" value="$text"/><Choices name="topic" toName="text" choice="multiple">
<Choice value="Bug"/><Choice value="Billing"/><Choice value="Question"/></Choices></View>"""


class Saying(Scripted):
    """Answers the same to every text."""

    def __init__(self, said):
        super().__init__(Scripted.Options(), Target(("Billing", "Bug", "Question")))
        self.said = said

    def answer(self, text):
        return super().answer(self.said) if self.said else []


def together(run, config, combine, said, thresholds=(None, None, None), tag="Choices"):
    models = [
        model(tag, rank=rank, combine=combine, threshold=threshold)
        for rank, threshold in zip(range(len(said)), thresholds, strict=False)
    ]
    name = "n" if tag == "Number" else "topic"
    keys = [f"{name}:scripted" + (f":{rank + 1}" if rank else "") for rank in range(len(said))]
    adapters = {key: Saying(one) for key, one in zip(keys, said, strict=True)}
    [outcome] = run(config, "x", models=models, adapters=adapters)
    return outcome


@pytest.mark.parametrize(
    ("combine", "label", "score"), [("first", "Bug", 0.5), ("union", "Billing", 0.7), ("vote", "Question", 0.4)]
)
def test_models_of_one_label_are_combined_as_the_recipe_says(run, combine, label, score):
    said = ["Bug=0.5 Question=0.5", "Billing=0.7 Question=0.3", "", "Question=0.4 Bug=0.6"]
    outcome = together(run, TOPICS, combine, said, (None,) * 4)
    assert (shown(outcome), outcome.prediction["result"][0]["score"]) == ([label], pytest.approx(score))


@pytest.mark.parametrize(
    ("combine", "labels"), [("first", ["Question"]), ("union", ["Bug", "Question", "Billing"]), ("vote", ["Bug"])]
)
def test_models_of_several_labels_are_combined_as_the_recipe_says(run, combine, labels):
    said = ["Bug=0.4 Billing=0.1 Question=0.6", "Bug=0.9 Billing=0.3 Question=0.1"]
    outcome = together(run, SEVERAL, combine, said, (0.5, 0.25))
    assert shown(outcome) == labels


@pytest.mark.parametrize(("combine", "number"), [("first", 1), ("union", 1), ("vote", 3)])
def test_numbers_are_combined_as_the_recipe_says(run, combine, number):
    outcome = together(run, NUMBER, combine, ["1", "3", "40"], tag="Number")
    [region] = outcome.prediction["result"]
    assert region["value"]["number"] == number


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("union", [("PER", 0, 5, 0.9), ("ORG", 0, 5, 0.5), ("LOC", 9, 12, 0.8)]),
        ("vote", [("PER", 0, 5, 0.6)]),
    ],
)
def test_regions_are_combined_as_the_recipe_says(how, expected):
    xml = '<View><Text name="t" value="$t"/><Labels name="l" toName="t"><Label value="PER"/><Label value="ORG"/><Label value="LOC"/></Labels></View>'
    control = CONTROLS["Labels"](parse_labeling_config(xml).controls[0])
    answers = [
        ModelValues([Span(0, 5, "PER", 0.9), Span(9, 12, "LOC", 0.8)], lambda _label: 0.0),
        ModelValues([Span(0, 5, "ORG", 0.5), Span(0, 4, "PER", 0.9 - 1e-9)], lambda _label: 0.0),
        ModelValues([Span(20, 25, "PER", 0.2)], lambda _label: 0.3),
    ]
    values, _ = control.combine([merged(control, answers, {}, how)], {}, "confidence")
    assert sorted((v.label, v.start, v.end, round(v.score, 6)) for v in values) == sorted(expected)


def test_another_way_to_combine_is_another_version(run, tmp_path):
    config = parse_labeling_config(TOPICS)
    recipes = [Recipe(name="r", models=(model(combine=how),), path=tmp_path / "r.yaml") for how in ("first", "vote")]
    one, other = (bind(recipe, config).facts({}) for recipe in recipes)
    assert one != other


def test_what_is_not_shown_counts_for_the_score_and_is_judged(run):
    hidden = [model(show=False)]
    [outcome] = run(TOPICS, "Bug=0.7 Billing=0.2", models=hidden)
    assert outcome.prediction == {"result": [], "model_version": "r-v1-0", "score": 0.7}
    assert outcome.values == {"topic": []}
    [judged] = run(TOPICS, "Bug=0.7 Billing=0.2", models=hidden, judging=True)
    assert judged.values == {"topic": [Choice("Bug", 0.7)]}


def test_of_a_shown_and_a_hidden_model_the_shown_one_is_seen_and_judged_and_the_least_sure_counts(run):
    class Sure(Scripted):
        def answer(self, text):
            return [Choice("Billing", 0.9)]

    models = [model(show=False), model(rank=1)]
    sure = Sure(Sure.Options(), Target(("Billing", "Bug")))
    for judging in (False, True):
        [outcome] = run(
            TOPICS, "Bug=0.6 Billing=0.4", models=models, adapters={"topic:scripted:2": sure}, judging=judging
        )
        assert (shown(outcome), outcome.prediction["score"]) == (["Billing"], 0.6)


def test_a_control_that_annotators_would_not_see_gets_no_region(run):
    seen, hidden = run(HIDDEN, "Bug=0.9 High=0.8", "Billing=0.9 High=0.8")
    assert shown(seen, "severity") == ["High"]
    assert shown(hidden, "severity") == []


def test_dynamic_options_restrict_the_answer_to_those_of_the_task(run):
    config = '<View><Text name="text" value="$text"/><Choices name="topic" toName="text" value="$options"/></View>'

    class Learnt(Scripted):
        pass

    options = {"options": [{"value": "Billing"}, {"value": "Question"}]}
    Scripted_is_learner = Learnt(None, None)
    outcomes = run(config, "Bug=0.9 Question=0.1", data=options, adapters={"topic:scripted": Scripted_is_learner})
    assert outcomes[0].prediction is not None
    assert all(label in ("Billing", "Question") for label in shown(outcomes[0]))


def test_a_region_that_label_studio_would_refuse_never_leaves(run, monkeypatch):
    monkeypatch.setattr(CONTROLS["Choices"], "check", lambda self, region, data: "its value is wrong")
    (outcome,) = run(TOPICS, "Bug=0.9")
    assert outcome.prediction["result"] == []
    assert outcome.dropped == [("invalid region", "Choices#topic: its value is wrong")]


def test_ratings_and_paths_are_shown_in_their_own_form(run):
    config = """<View><Text name="text" value="$text"/><Rating name="stars" toName="text"/>
    <Taxonomy name="tree" toName="text" maxUsages="1"><Choice value="A"><Choice value="B"/></Choice></Taxonomy></View>"""
    (outcome,) = run(config, "3.7")
    assert [region["value"] for region in outcome.prediction["result"]] == [{"rating": 4}]


ALIASED = """<View><Text name="text" value="$text"/>
<Choices name="topic" toName="text"><Choice value="Bug" alias="b"/><Choice value="Billing"/></Choices>
<View visibleWhen="choice-selected" whenTagName="topic" whenChoiceValue="Bug">
<Choices name="severity" toName="text"><Choice value="High"/></Choices></View></View>"""


def test_a_condition_may_name_a_choice_by_its_value_where_it_has_an_alias(run):
    seen, hidden = run(ALIASED, "b=0.9 High=0.8", "Billing=0.9 High=0.8")
    assert shown(seen, "severity") == ["High"]
    assert hidden.dropped == [("hidden", "Choices#severity is hidden by its visibleWhen")]


def test_the_score_counts_only_what_can_be_shown(run):
    config = '<View><Text name="text" value="$text"/><Choices name="topic" toName="text" value="$options"/></View>'
    (outcome,) = run(
        config,
        "Bug=0.96 Billing=0.04",
        data={"options": ["Billing"]},
        adapters={"topic:scripted": Scripted(None, None)},
    )
    assert outcome.prediction["score"] == pytest.approx(0.04)
