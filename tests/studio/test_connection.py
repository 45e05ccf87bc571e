"""Which Label Studio a project lives in, and whether what stands under its number there is still that project."""

from __future__ import annotations

import pytest

from lsml.errors import StudioError
from lsml.publishing import Patience, prepared
from lsml.recipe import load_recipe
from lsml.store import ProjectRow, Store
from lsml.studio.client import Studio
from lsml.studio.connection import read_annotations, same_project, studio_of
from tests.conftest import TOPICS, write_recipe
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
    assert "label_studio.api_key: looks like a personal access token that was cut off" in caplog.text


@pytest.mark.parametrize("key", ["7.1795424613", "7.soon"])
def test_a_project_that_was_made_anew_is_neither_read_nor_published_to(tmp_path, key):
    with Web(SmallStudio({1: {"text": "a"}})) as web:
        recipe = load_recipe(write_recipe(tmp_path, f"label_studio: {{url: '{web.url}', api_key: '{TOKEN}'}}\n"))
        store = Store(tmp_path / "data")
        store.projects.touch(key, studio_id=7, labeling_config=TOPICS)
        project = store.projects.get(key)
        sentence = (
            f"{web.url}: its project 7 is another one than {key}, made anew since; nothing of it is read for the old one, and "
            "nothing of the old one is published to it"
        )
        with (
            Studio(web.url, TOKEN) as studio,
            pytest.raises(StudioError) as raised,
            prepared(recipe, store, studio, project, Patience()),
        ):
            pass
        assert str(raised.value) == sentence
        assert read_annotations(store, recipe, project) == 0
        assert store.projects.get(key).sync_error.endswith(f"lsml learns from webhooks alone: {sentence}")
        store.close()


@pytest.mark.parametrize("key", ["7.1795424614", "7"])
def test_a_project_is_the_same_by_when_it_was_made_where_that_is_known(key):
    with Web(SmallStudio()) as web, Studio(web.url, TOKEN) as studio:
        assert same_project(studio, ProjectRow(key, 7)).title == "Tickets"
