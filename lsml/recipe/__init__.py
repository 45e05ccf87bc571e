"""The recipe: a YAML file -> Recipe, every problem at once, each with file, line and column.

nodes      text -> nodes that know their line        scalars    nodes -> plain data, `${NAME}` filled in
structs    what a recipe says, described once        schema     structs -> JSON Schema
sentences  a violation of the schema in words        draft      plain data, and the problems found so far
check      a draft held to the schema                models     the entries under `tags` -> models
labels     what a model's `labels` say
settings   every other key                           load       all of it: load_recipe
learn_from whose annotations teach
holdout    which tasks are kept to judge models     override   a second file, of one machine
environment what the environment gives
promotion  which version is served          time_of_day when trainings run
publishing what reaches Label Studio unasked
"""

from __future__ import annotations

from lsml.recipe.holdout import Holdout, share_of
from lsml.recipe.learn_from import LearnFrom
from lsml.recipe.load import hold_recipe, load_recipe
from lsml.recipe.promotion import Promote
from lsml.recipe.publishing import Publish, Submit
from lsml.recipe.schema import recipe_schema
from lsml.recipe.score import Score
from lsml.recipe.structs import (
    LabelStudio,
    Media,
    Model,
    News,
    Notify,
    Recipe,
    Selector,
    Server,
    Storage,
    Training,
)

__all__ = [
    "Holdout",
    "LabelStudio",
    "LearnFrom",
    "Media",
    "Model",
    "News",
    "Notify",
    "Promote",
    "Publish",
    "Recipe",
    "Score",
    "Selector",
    "Server",
    "Storage",
    "Submit",
    "Training",
    "hold_recipe",
    "load_recipe",
    "recipe_schema",
    "share_of",
]
