"""The recipe: a YAML file -> Recipe, every problem at once, each with file, line and column.

nodes      text -> nodes with line and column        scalars    nodes -> plain data, `${NAME}` filled in
structs    the keys of a recipe, described once      schema     structs -> JSON Schema
sentences  violations of the schema in words         draft      plain data, and the problems found so far
check      a draft checked against the schema        models     the entries under `tags` -> models
labels     a model's `labels`
settings   every other key                           load       all of it: load_recipe
learn_from the annotations that teach                needs      models that need the regions of others
holdout    the validation set                        override   a second file, for one machine
environment variables of the environment            quantities durations and sizes
promotion  the version that is served       time_of_day the time at which trainings run
publishing predictions that reach Label Studio automatically
"""

from __future__ import annotations

from lsml.recipe.holdout import Holdout, share_of
from lsml.recipe.learn_from import LearnFrom
from lsml.recipe.load import hold_recipe, load_recipe
from lsml.recipe.needs import stages
from lsml.recipe.promotion import Promote
from lsml.recipe.publishing import Publish, Submit
from lsml.recipe.schema import recipe_schema
from lsml.recipe.score import Score
from lsml.recipe.selector import Selector
from lsml.recipe.server import Server
from lsml.recipe.storage import Storage, shown_address
from lsml.recipe.structs import (
    AUTO,
    LabelStudio,
    Media,
    Model,
    News,
    Notify,
    Recipe,
    Training,
    Use,
)

__all__ = [
    "AUTO",
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
    "Use",
    "hold_recipe",
    "load_recipe",
    "recipe_schema",
    "share_of",
    "shown_address",
    "stages",
]
