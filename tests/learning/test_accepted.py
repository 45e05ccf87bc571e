"""Annotations that are a model's own answers teach nothing by default; a person's edit of one is the person's."""

from __future__ import annotations

import pytest

from lsml.labeling.tasks import read_annotation
from lsml.recipe import LearnFrom
from tests.conftest import PROJECT_KEY, choice, event, tickets

ON_ENGINES = True
AT = "2026-11-23T09:07:06.735683Z"
# As Label Studio's "Create annotations from predictions" sends it.
MADE_OF_A_PREDICTION = {
    "id": 13, "result": choice("Bug"), "was_cancelled": False, "ground_truth": False, "created_at": AT,
    "updated_at": "2026-11-23T09:07:06.735710Z", "lead_time": None, "updated_by": None, "parent_prediction": 263,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        ({}, True),
        ({"parent_prediction": None}, False),
        ({"lead_time": 3.2}, False),  # a person submitted it in the editor
        ({"updated_at": "2026-11-23T09:09:00.000000Z", "updated_by": 1}, False),  # a person changed it since
        ({"ground_truth": True}, False),  # a person vouched for it
        ({"created_at": None}, True),
    ],
)
def test_an_accepted_prediction_is_told_from_a_persons_work(change, accepted):
    assert read_annotation({**MADE_OF_A_PREDICTION, **change}).accepted is accepted


def accept(backend, first: int, pairs: list[tuple[str, str]]) -> None:
    """What Label Studio sends when somebody makes annotations of predictions: one webhook for all."""
    events = [event(id, text, label) for id, (text, label) in enumerate(pairs, first)]
    body = {
        **events[0],
        "action": "ANNOTATIONS_CREATED",
        "task": [one["task"] for one in events],
        "annotation": [
            {
                **one["annotation"],
                "parent_prediction": 7,
                "lead_time": None,
                "created_at": one["annotation"]["updated_at"],
            }
            for one in events
        ],
    }
    assert backend.post("/webhook", body).status_code == 200


def test_accepted_predictions_are_counted_and_teach_nothing(backend):
    made = backend("training: {every: 1000}\n")
    made.annotate(tickets(40))
    accept(made, 100, [(text, "Bug") for text, _ in tickets(60, seed=3)])
    made.train()
    (project,) = made.client.get("/api/projects").json["projects"]
    assert (project["annotations"], project["accepted_predictions"]) == (40, 60)
    card = project["versions"][0]
    assert card["models"]["topic:text-classifier"]["examples"] + card["held_out"] == 40
    (left_out,) = _left_out(made)
    assert (left_out.reason, left_out.count) == ("accepted prediction", 60)
    assert "learn_from" in left_out.sentence


def _left_out(made):
    from lsml.versions import card_of

    row = made.store.versions.get(PROJECT_KEY, 1)
    assert row is not None
    return card_of(row).left_out


def test_they_teach_where_the_recipe_says_so(backend):
    made = backend("training: {every: 1000, learn_from: {accepted: true}}\n")
    made.annotate(tickets(20))
    accept(made, 100, tickets(20, seed=3))
    made.train()
    (project,) = made.client.get("/api/projects").json["projects"]
    assert project["annotations"] == 40
    card = project["versions"][0]
    assert card["models"]["topic:text-classifier"]["examples"] + card["held_out"] == 40


def test_a_bulk_of_them_makes_no_training_due_and_a_persons_edit_counts(backend):
    made = backend("training: {every: 10, min_annotations: 1}\n")
    accept(made, 1, tickets(30))
    assert made.store.runs.of_project(PROJECT_KEY) == []
    counts = made.store.annotations.counts
    assert counts(PROJECT_KEY) == (0, 0)
    assert counts(PROJECT_KEY, LearnFrom(accepted=True)) == (30, 30)
    edited = event(1, tickets(1)[0][0], "Question", "ANNOTATION_UPDATED", at=90)
    edited["annotation"] |= {"parent_prediction": 7, "created_at": "2026-11-23T10:00:00.000000Z"}
    made.post("/webhook", edited)
    assert counts(PROJECT_KEY) == (1, 1)
    made.post("/webhook", {"action": "ANNOTATIONS_DELETED", "project": edited["project"], "annotations": [{"id": 2}]})
    assert made.store.annotations.accepted(PROJECT_KEY) == 28
    made.post("/webhook", {"action": "ANNOTATIONS_DELETED", "project": edited["project"], "annotations": [{"id": 1}]})
    assert counts(PROJECT_KEY)[0] == 0
