"""A version's name says what decides its predictions, and a model that a version does not fit starts untrained."""

import json
import re

import pytest

from lsml.store import VersionRow
from lsml.versions import Card, Why, card_of, names_of, new_folder, save_version, short_key
from tests.conftest import PROJECT, PROJECT_KEY, TOPICS, event, tickets


def served(backend, config, field="text"):
    """(`model_version` of /setup, what /predict answers, the warnings of the API) for a labeling config."""
    name = backend.post("/setup", {"project": PROJECT_KEY, "schema": config}).json["model_version"]
    task = {"id": 1, "data": {field: "invoice refund charged"}}
    body = {"project": PROJECT_KEY, "label_config": config, "tasks": [task]}
    (result,) = backend.post("/predict", body).json["results"]
    return name, result, backend.client.get(f"/api/projects/{PROJECT_KEY}").json["warnings"]


@pytest.mark.parametrize(
    ("changed", "field", "warning"),
    [
        (
            TOPICS.replace("$text", "$body"),
            "body",
            "topic:text-classifier: its control, object or adapter changed after v1, so it starts untrained",
        ),
        (
            TOPICS.replace('name="topic"', 'name="subject"'),
            "text",
            "subject:text-classifier: it is not in v1, so it starts untrained",
        ),
    ],
)
def test_a_model_that_the_version_does_not_fit_starts_untrained_under_another_name(backend, changed, field, warning):
    here = backend()
    here.annotate(tickets(30))
    here.train()
    name, prediction, warnings = served(here, TOPICS)
    assert prediction["model_version"] == name
    assert warnings == []
    other, nothing, warnings = served(here, changed, field)
    assert other != name
    assert (nothing, warnings) == ([], [warning])
    assert served(here, TOPICS) == (name, prediction, [])


def test_a_name_says_whose_version_it_is(backend):
    here = backend()
    for number in (1, 2):
        project = {**PROJECT, "id": number, "created_at": None}
        for id, (text, label) in enumerate(tickets(30), 1):
            here.post("/webhook", {**event(id, text, label), "project": project})
        here.train(project)
    told = here.client.get("/versions").json["projects"]
    names = [project["model_version"] for project in told]
    assert [re.sub("[0-9a-f]{8}", "HASH", name) for name in names] == ["triage-v1-HASH-p1", "triage-v1-HASH-p2"]
    assert names[0].removesuffix("1") == names[1].removesuffix("2")
    assert all(project["versions"][0].endswith("-p" + project["project"][0]) for project in told)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("triage-v12-0123abcd", ("12", None)),
        ("triage-v1-0123abcd-p7", ("1", "7")),
        ("triage-v1-0123abcd-pmy_project", ("1", "my_project")),
        ("triage-v1-0123abcd-p", None),
        ("triage-v1-0123abcd-p7-more", None),
    ],
)
def test_the_project_is_read_from_a_name_that_says_it(name, parts):
    found = names_of("triage").fullmatch(name)
    assert (found.groups() if found else None) == parts


@pytest.mark.parametrize(("key", "short"), [("7.1795424700", "7"), ("7", "7"), ("my project/é", "my_project__")])
def test_a_project_s_key_is_short_in_a_name(key, short):
    assert short_key(key) == short


def test_a_label_that_is_added_changes_neither_the_name_nor_the_predictions(backend):
    here = backend()
    here.annotate(tickets(30))
    here.train()
    more = TOPICS.replace('<Choice value="Bug"/>', '<Choice value="Bug"/><Choice value="Praise"/>')
    assert served(here, more) == served(here, TOPICS)


OLD = {
    "recipe": "triage", "verdict": "promoted: better than v3 on 12 held-out tasks (0.900 > 0.800)", "format": 1,
    "models": {
        "topic:text-classifier": {"adapter": "text-classifier", "folder": "a", "fingerprint": "f", "source": "learnt"},
        "stars:text-regressor": {
            "adapter": "text-regressor", "folder": "b", "fingerprint": "g", "source": "carried over from v3",
        },
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "promoted"), [(OLD["verdict"], True), ("not promoted: the recipe says `promote: never`", False)]
)
def test_a_card_that_an_older_lsml_wrote_is_read(verdict, promoted):
    card = card_of(VersionRow("local", 4, "local/x", json.dumps({**OLD, "verdict": verdict}), 0.0, None))
    assert (card.promoted, card.verdict) == (promoted, verdict)
    assert {key: model.carried_from for key, model in card.models.items()} == {
        "topic:text-classifier": None,
        "stars:text-regressor": 3,
    }


def test_the_figures_of_an_older_card_are_decisions():
    figures = {"new": 0.9, "promoted": 0.8, "tasks": 12, "with": "v3"}
    old = {**OLD, "compared": {"a": figures, "b": {**figures, "new": 0.8}, "c": {**figures, "new": None}}}
    decisions = card_of(VersionRow("local", 4, "local/x", json.dumps(old), 0.0, None)).decisions
    assert {key: (one.taken, one.why) for key, one in decisions.items()} == {
        "a": (True, Why.BETTER), "b": (False, Why.NOT_BETTER), "c": (True, Why.NOTHING),
    }  # fmt: skip
    assert decisions["a"].sentence == "better than v3 on 12 held-out tasks (0.900 > 0.800)"


def test_a_card_that_is_written_now_is_believed_whatever_its_sentence_says():
    now = {**OLD, "promoted": False, "verdict": "promoted: so it says"}
    assert card_of(VersionRow("local", 4, "local/x", json.dumps(now), 0.0, None)).promoted is False


def test_a_version_whose_sentence_holds_braces_is_published_with_it(backend):
    here = backend()
    making = new_folder(here.store)
    run = here.store.claims.claim(here.store.runs.request("local", "button").id)
    card = Card(recipe="triage", models={}, verdict="promoted: {topic} is {0} better")
    number = save_version(here.store, "local", making, card, promote=True, keep=5, run=run)
    assert here.store.runs.get(run.id).message == f"v{number}: promoted: {{topic}} is {{0}} better"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("a.b-v12-0123abcd", "12"),
        ("a.b-v0-0123abcd", "0"),
        ("aXb-v1-0123abcd", None),
        ("a.b-v1-0123abcg", None),
        ("my-a.b-v1-0123abcd", None),
        ("a.b-v٣-0123abcd", None),  # a digit, and none that lsml writes
        ("a.b-v1234567890-0123abcd", None),
    ],
)
def test_a_recipes_versions_are_known_by_their_names_and_no_others(name, number):
    found = names_of("a.b").fullmatch(name)
    assert (found and found[1]) == number
