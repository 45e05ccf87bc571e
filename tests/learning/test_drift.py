"""Labels that come in other shares than the served version learnt, and what begins with a version."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.learning.compare import compare
from lsml.learning.drift import drift, with_alerts
from lsml.recipe import Promote, load_recipe
from lsml.values import Choice, Number, Span
from lsml.versions import Card, Drift
from lsml.versions.outlook import Outlook, Prospect
from tests.conftest import PROJECT_KEY, TOPICS, event, tickets, write_recipe

QUICK = "options: {C: 10, class_weight: balanced, characters: null}"  # nothing to choose by cross-validation
FLAT = Outlook(Prospect.FLAT, 5, 0.001, (0.0, 0.002), 0.8, 0.004)
RISES = Outlook(Prospect.RISES, 5, 0.02, (0.01, 0.03), 0.8, 0.04)


def test_the_index_is_that_of_its_definition():
    found = drift({"Bug": 300, "Billing": 700}, {"Bug": 600, "Billing": 800}, "v3")
    old, new = 300.5 / 1001, 300.5 / 401
    expected = (new - old) * math.log(new / old) + (old - new) * math.log((1 - new) / (1 - old))
    assert found.index == pytest.approx(expected, abs=1e-4)
    assert (found.limit, found.learnt, found.recent, found.drifted) == (0.25, 1000, 400, True)
    assert found.labels == {"Bug": (0.3, 0.75), "Billing": (0.7, 0.25)}
    assert found.sentence == (
        "the distribution of labels has changed since v3 was trained (population stability index 0.87, above 0.25): "
        "Billing 70% before and 25% now, Bug 30% before and 75% now"
    )


def test_labels_that_are_drawn_as_before_are_hardly_ever_a_drift():
    draw = random.Random(0)
    labels = [f"label {number}" for number in range(20)]
    drifts = 0
    for _ in range(200):
        before, since = (Counter(draw.choices(labels, k=count)) for count in (100, 40))
        found = drift(before, before + since, "v1")
        assert found.limit > 0.25, "with few labels of many kinds, a quarter is reached by chance"
        drifts += found.drifted
    assert drifts <= 8


@pytest.mark.parametrize(
    ("learnt", "now"),
    [
        ({"a": 20, "b": 9}, {"a": 100, "b": 9}),
        ({"a": 50, "b": 50}, {"a": 79, "b": 50}),
        ({"a": 50}, {"a": 100}),
        ({}, {}),
    ],
)
def test_of_too_few_labels_nothing_is_said(learnt, now):
    assert drift(learnt, now, "v1") is None


def test_a_label_that_is_new_is_a_shift():
    found = drift({"a": 100, "b": 100}, {"a": 120, "b": 120, "c": 40}, "v1", changed=0.125)
    assert found.drifted and next(iter(found.labels.items())) == ("c", (0.0, 0.5))
    assert found.sentence.endswith(
        "b 50% before and 25% now; 12% of the new version's predictions differ from the served one's"
    )


def card(outlook: Outlook | None = None, drifted: bool | None = None, against: str = "v1") -> Card:
    made = Card("triage", {}, outlook=outlook)
    if drifted is not None:
        made.drift["topic:text-classifier"] = Drift(
            against, 0.5 if drifted else 0.1, 0.25, 100, 50, {"Bug": (0.1, 0.9)}
        )
    return made


@pytest.mark.parametrize(
    ("before", "now", "events"),
    [
        (None, card(FLAT), ["stop"]),
        (card(RISES), card(FLAT, drifted=True), ["drift", "stop"]),
        (card(FLAT), card(FLAT), []),
        (card(FLAT), card(RISES), []),
        (card(drifted=True), card(drifted=True), []),
        (card(drifted=True), card(drifted=True, against="v2"), ["drift"]),
        (card(drifted=False), card(drifted=True), ["drift"]),
        (None, card(), []),
    ],
)
def test_what_begins_is_told_once(before, now, events):
    now.alerts.clear()
    with_alerts(now, before)
    assert [alert.event for alert in now.alerts] == events


SPANS = '<View><Text name="text" value="$text"/><Labels name="who" toName="text"><Label value="A"/></Labels></View>'
RATING = '<View><Text name="text" value="$text"/><Rating name="stars" toName="text"/></View>'


@pytest.mark.parametrize(
    ("config", "old", "new", "changed"),
    [
        (TOPICS, [(Choice("Bug", 0.9),), (Choice("Bug"),)], [(Choice("Bug", 0.4),), (Choice("Billing"),)], 0.5),
        (SPANS, [(Span(0, 3, "A", 0.9),), ()], [(Span(0, 3, "A", 0.2),), ()], 0.0),
        (SPANS, [(Span(0, 3, "A"),), ()], [(Span(0, 3, "A"),), (Span(5, 9, "A"),)], 1 / 3),
        (RATING, [(Number(3.0),), (Number(3.0),)], [(Number(3.1),), (Number(2.0),)], None),
    ],
)
def test_how_many_answers_differ_is_told_whatever_their_scores(tmp_path, config, old, new, changed):
    tags = "tags: {Choices: text-classifier, Labels: ner-crf, Rating: text-regressor}\n"
    binding = bind(load_recipe(write_recipe(tmp_path, tags, config=config)), parse_labeling_config(config))
    (name,) = binding.controls
    truth = old[0]
    pairs = tuple({name: [[(truth, guess)] for guess in answers]} for answers in (new, old))
    compared = compare(binding, [name], pairs, Promote(), against="v1", by="held-out tasks", seed=0)
    assert compared.changed == (changed if changed is None else pytest.approx(changed, abs=1e-3))


def test_a_drift_of_real_annotations_is_in_the_card_the_api_and_the_notes(backend):
    server = backend(
        f"tags: {{Choices: {{adapter: text-classifier, {QUICK}}}}}\ntraining: {{every: 1000, holdout: {{share: 0.4}}}}\n"
    )
    pairs = tickets(180, seed=2)
    server.annotate(pairs[:90])
    server.train()
    bugs = [(text, label) for text, label in tickets(400, seed=3) if label == "Bug"]
    server.annotate(bugs[:90], first_id=500)
    server.train()
    new, old = server.client.get(f"/api/projects/{PROJECT_KEY}").json["versions"]
    assert old["drift"] == {}
    (found,) = new["drift"].values()
    assert found["against"] == "v1" and found["index"] > found["limit"]
    assert found["labels"]["Bug"][1] == 1.0
    assert 0 <= found["changed"] <= 0.2
    assert any("was trained (population stability index" in note for note in new["notes"])


def test_a_label_that_was_renamed_is_no_drift(backend):
    server = backend(
        f"tags: {{Choices: {{adapter: text-classifier, {QUICK}, labels: {{Fault: {{was: [Bug]}}}}}}}}\n"
        "training: {every: 1000, holdout: 0}\n"
    )
    server.annotate(tickets(60))
    server.train()
    renamed = TOPICS.replace('"Bug"', '"Fault"')
    for id, (text, label) in enumerate(tickets(90, seed=4), 200):
        told = event(id, text, "Fault" if label == "Bug" else label, at=id)
        told["project"] = {**told["project"], "label_config": renamed}
        server.post("/webhook", told)
    server.train({**event(1, "", "")["project"], "label_config": renamed})
    new, _ = server.client.get(f"/api/projects/{PROJECT_KEY}").json["versions"]
    (found,) = new["drift"].values()
    assert set(found["labels"]) == {"Billing", "Fault", "Question"}
    assert found["index"] < 0.1
