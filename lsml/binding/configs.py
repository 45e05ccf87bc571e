"""The labeling config that counts, for the server, the worker and the offline commands alike."""

from __future__ import annotations

from lsml.recipe import Recipe


def known_config(recipe: Recipe, *, told: str | None = None, stored: str | None = None, of_project: bool) -> str | None:
    """Return the XML that counts, or None where there is none yet.

    The config that is `told` now, by a request or a person, comes first. For a project of Label Studio (`of_project`),
    its `stored` config comes next, and then the recipe's. Offline commands and requests without a project have no
    config of their own: `stored` is then only the one that they used last, so the recipe's, which a person may have
    edited since, comes first.
    """
    if told is not None:
        return told
    if of_project:
        return stored or recipe.labeling_config
    return recipe.labeling_config or stored
