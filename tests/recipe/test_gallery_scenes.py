"""The predictions that the gallery's pictures show are ones that lsml would send."""

from __future__ import annotations

import pytest

from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.recipe import load_recipe
from lsml.recipe.gallery import gallery_recipes
from tests.support.scenes import SCENES, predicted

RECIPES = gallery_recipes()
IN_TUTORIALS = {"entities", "keywords", "sentiment", "smart-segmentation"}  # answered by running backends


def test_every_recipe_has_a_scene():
    assert sorted([*SCENES, *IN_TUTORIALS]) == sorted(RECIPES)


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_shows_an_answer_of_each_tag_that_the_recipe_answers(name, tmp_path):
    recipe = load_recipe(RECIPES[name])
    binding = bind(recipe, parse_labeling_config(recipe.labeling_config))
    data, regions = predicted(name, tmp_path, lambda file: f"/files/{file}")
    shown = [control for model in binding.models if model.spec.show for control in model.controls]
    for control in shown:
        own = [region for region in regions if region.get("from_name", "relations") == control.config_name]
        assert own and [control.problem(region, data) for region in own] == [None] * len(own)
