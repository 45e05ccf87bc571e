"""Which Label Studio a project lives in, and whether what stands under its number there is still that project."""

from __future__ import annotations

import pytest

from lsml.errors import StudioError
from lsml.learning.due import request_if_due
from lsml.publishing import Patience, prepared
from lsml.recipe import load_recipe
from lsml.store import ProjectRow, Store
from lsml.studio.client import Studio
from lsml.studio.connection import read_annotations, same_project, studio_of
from tests.conftest import PROJECT_KEY, TOPICS, choice, event, write_recipe
from tests.support.small_studio import TOKEN, SmallStudio
from tests.support.web import Web


def test_a_token_that_can_never_work_is_said_once_for_each_project_and_cause(tmp_path, caplog):
    recipe = load_recipe(write_recipe(tmp_path))
    told = [ProjectRow(key, 1, hostname="http://studio.example", token=token)
            for key, token in (("1.11", "two words"), ("1.22", "two words"), ("1.22", "eyJ.cut"))]  # fmt: skip
    for project in told * 3:
        assert studio_of(recipe, project) is None
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == [
        "project 1.11", "project 1.22", "project 1.22",
    ]  # fmt: skip
    assert "label_studio.api_key: looks like a truncated personal access token" in caplog.text


@pytest.mark.parametrize("key", ["7.1795424613", "7.soon"])
def test_a_project_that_was_made_anew_is_neither_read_nor_published_to(tmp_path, key):
    with Web(SmallStudio({1: {"text": "a"}})) as web:
        recipe = load_recipe(write_recipe(tmp_path, f"label_studio: {{url: '{web.url}', api_key: '{TOKEN}'}}\n"))
        store = Store(tmp_path / "data")
        store.projects.touch(key, studio_id=7, labeling_config=TOPICS)
        project = store.projects.get(key)
        sentence = (
            f"{web.url}: its project 7 is not {key} but a newer project; lsml neither reads its annotations nor "
            "publishes predictions to it for the old one"
        )
        with (
            Studio(web.url, TOKEN) as studio,
            pytest.raises(StudioError) as raised,
            prepared(recipe, store, studio, project, Patience()),
        ):
            pass
        assert str(raised.value) == sentence
        assert read_annotations(store, recipe, project) == 0
        assert store.projects.get(key).sync_error.endswith(f"lsml only gets new ones from webhooks: {sentence}")
        store.close()


@pytest.mark.parametrize("key", ["7.1795424614", "7"])
def test_a_project_is_the_same_by_when_it_was_made_where_that_is_known(key):
    with Web(SmallStudio()) as web, Studio(web.url, TOKEN) as studio:
        assert same_project(studio, ProjectRow(key, 7)).title == "Tickets"


def annotations(count: int, who: int) -> dict[int, dict]:
    """Made by one person, as Label Studio's API shows them."""
    return {
        100 * who + task: {
            "id": 100 * who + task, "task": task, "completed_by": who, "result": choice("Bug"), "lead_time": 2.0,
            "was_cancelled": False, "ground_truth": False, "updated_at": "2026-11-23T09:03:34.474647Z",
        }
        for task in range(1, count + 1)
    }  # fmt: skip


USERS = [
    {"id": 1, "email": "Ann@Example.com"},
    {"id": 2, "email": "bob@example.com"},
    {"id": 3, "email": "eve@example.com"},
]


@pytest.mark.parametrize(
    ("learn_from", "users", "usable"),
    [
        ("{annotators: [ann@example.com]}", USERS, 8),
        ("{except_annotators: [ann@example.com]}", USERS, 6),
        ("{annotators: [ann@example.com]}", None, 0),
        ("{annotators: [2]}", None, 6),
    ],
)
def test_people_are_known_by_their_e_mail_address_where_label_studio_tells_it(
    tmp_path, caplog, learn_from, users, usable
):
    studio = SmallStudio({id: {"text": "a"} for id in range(1, 9)}, users=users)
    studio.annotations = annotations(8, who=1) | annotations(6, who=2)
    with Web(studio) as web:
        text = f"label_studio: {{url: '{web.url}', api_key: '{TOKEN}'}}\ntraining: {{every: 8, min_annotations: 8, learn_from: {learn_from}}}\n"
        recipe = load_recipe(write_recipe(tmp_path, text))
        store = Store(tmp_path / "data")
        store.projects.touch("7.1795424614", studio_id=7, labeling_config=TOPICS)
        assert read_annotations(store, recipe, store.projects.get("7.1795424614")) == 14
        asked = [one for one in web.asked if one.path.startswith("/api/users")]
    assert store.annotations.counts("7.1795424614", recipe.training.learn_from) == (usable, usable)
    assert (request_if_due(store, recipe, "7.1795424614") is not None) == (usable >= 8)
    assert len(asked) == ("@" in learn_from)
    assert ("does not say whose they are" in caplog.text) == ("@" in learn_from and users is None)
    names = {one.annotator for task in store.annotations.tasks("7.1795424614") for one in task.annotations}
    assert names == ({"1 Ann@Example.com", "2 bob@example.com"} if "@" in learn_from and users else {"1", "2"})
    store.close()


def test_whoever_annotates_for_the_first_time_is_asked_for_once_and_nobody_else_is_kept(backend):
    server = backend("training: {every: 1000, learn_from: {annotators: [eve@example.com]}}\n")
    store = server.store
    for number, who in enumerate((3, 3, 9), 1):
        server.post("/webhook", event(number, "text", "Bug", completed_by=who))
    assert store.projects.get(PROJECT_KEY).sync_wanted
    store.people.tell(PROJECT_KEY, {str(user["id"]): user["email"] for user in USERS})
    store.projects.begin_sync(PROJECT_KEY)
    server.post("/webhook", event(4, "text", "Bug", completed_by=9))
    assert not store.projects.get(PROJECT_KEY).sync_wanted, "nobody knows the address of user 9, who was asked for"
    people = {one.annotator for task in store.annotations.tasks(PROJECT_KEY) for one in task.annotations}
    assert people == {"3 eve@example.com", "9"}
    assert store.annotations.counts(PROJECT_KEY, server.recipe.training.learn_from) == (2, 2)
