"""What a publishing works with where the project itself learnt nothing."""

from __future__ import annotations

import json

import pytest

from lsml.errors import NotEnoughData
from lsml.publishing import Patience, prepared, submitting
from lsml.recipe import Submit, load_recipe
from lsml.recipe.gallery import find_recipe
from lsml.store import Store
from lsml.studio.client import Studio
from lsml.versions import data_hash
from tests.conftest import TOPICS
from tests.support.commands import export, lsml, said, tickets, write_recipe
from tests.support.small_studio import TOKEN, SmallStudio
from tests.support.web import Web

KEY = "7.1795424614"


def test_a_project_that_learnt_nothing_gets_what_was_trained_offline_and_is_not_calibrated_on_what_that_learnt(
    tmp_path,
):
    recipe = load_recipe(write_recipe(tmp_path))
    (tmp_path / "train.json").write_text(json.dumps(export(tickets(60))))
    said(lsml("train", "triage.yaml", "train.json", cwd=tmp_path))
    store = Store(recipe.data_directory(None))
    store.projects.touch(KEY, studio_id=7, labeling_config=TOPICS)
    project = store.projects.get(KEY)
    with (
        Web(SmallStudio(label_config=TOPICS)) as web,
        Studio(web.url, TOKEN) as studio,
        prepared(recipe, store, studio, project, Patience()) as inputs,
    ):
        assert inputs.model_version.startswith("triage-v1-")
        given = submitting(recipe, store, studio, project, inputs, Submit())
    assert len(given.learnt) > 40
    assert given.learnt <= {data_hash({"text": text}) for text, _ in tickets(60)}
    store.close()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("smart-segmentation", "the recipe only answers what annotators mark"),
        ("sentiment", "no model is trained yet"),
    ],
)
def test_nothing_is_published_of_models_that_predict_nothing(tmp_path, name, why):
    recipe = load_recipe(find_recipe(name))
    store = Store(tmp_path / "data")
    store.projects.touch(KEY, studio_id=7, labeling_config=recipe.labeling_config)
    project = store.projects.get(KEY)
    with (
        Web(SmallStudio(label_config=recipe.labeling_config)) as web,
        Studio(web.url, TOKEN) as studio,
        pytest.raises(NotEnoughData, match=why),
        prepared(recipe, store, studio, project, Patience()),
    ):
        pass
    store.close()
