"""Before anything was learnt, tasks are put in order: the most typical of each cluster first."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

from lsml.publishing import Patience, begin, prepared
from lsml.recipe import load_recipe
from lsml.store import Store
from lsml.studio.client import Studio
from lsml.worker.publishing import publish_promoted
from tests.conftest import PROJECT_KEY, TOPICS, tickets, write_recipe
from tests.support.small_studio import TOKEN, SmallStudio
from tests.support.web import Web

ORDER = "publish: {order: diverse, field: lsml_score}\n"


@contextmanager
def beginning(tmp_path, studio, text=""):
    """(the recipe, the store, the project, its Label Studio) of a project that learnt nothing."""
    with Web(studio) as web, Studio(web.url, TOKEN) as client:
        login = f"label_studio: {{url: '{web.url}', api_key: {TOKEN}}}\n"
        recipe = load_recipe(write_recipe(tmp_path, ORDER + login + text))
        store = Store(tmp_path / "data")
        store.projects.touch(PROJECT_KEY, studio_id=7, labeling_config=TOPICS)
        yield recipe, store, store.projects.get(PROJECT_KEY), client
        store.close()


def test_tasks_get_their_rank_and_later_ones_follow(tmp_path):
    texts = {id: {"text": text} for id, (text, _) in enumerate(tickets(30), 1)}
    studio = SmallStudio(texts, labelled={30})
    with beginning(tmp_path, studio) as (recipe, store, project, _):
        report = SimpleNamespace(say=lambda *_: None, __call__=lambda *_: None)
        run = SimpleNamespace(project=project.key)
        told = publish_promoted(recipe, store, run, report)
        assert told == "no model is trained yet: put 29 tasks in order, the most typical first, in lsml_score"
        ranks = [studio.tasks[id]["lsml_score"] for id in range(1, 30)]
        assert sorted(ranks) == [round(rank / 29, 4) for rank in range(29)]
        assert "lsml_score" not in studio.tasks[30]
        assert studio.predictions == {}
        assert publish_promoted(recipe, store, run, report) == (
            "no model is trained yet, and every unannotated task has its rank"
        )
        studio.tasks[31] = {"text": "something else entirely"}
        assert "put 1 tasks in order" in publish_promoted(recipe, store, run, report)
        assert [studio.tasks[id]["lsml_score"] for id in range(1, 30)] == ranks


def test_the_first_ones_are_of_different_clusters(tmp_path, monkeypatch):
    monkeypatch.setattr("lsml.publishing.beginning._TYPICAL", 2)
    texts = ["refund money invoice"] * 9 + ["crash error screen"] * 3
    studio = SmallStudio({id: {"text": f"{text} {id}"} for id, text in enumerate(texts, 1)})
    with (
        beginning(tmp_path, studio) as (recipe, store, project, client),
        prepared(recipe, store, client, project, Patience(), untrained=True) as inputs,
    ):
        assert not inputs.ready
        begin(inputs)
    first, second = sorted(studio.tasks, key=lambda id: studio.tasks[id]["lsml_score"])[:2]
    assert first <= 9 < second, "the largest cluster first"
