"""Which labeling config counts, wherever one is asked for: by the server, the worker and the offline commands alike."""

from __future__ import annotations

from lsml.recipe import Recipe


def known_config(recipe: Recipe, *, told: str | None = None, stored: str | None = None, of_project: bool) -> str | None:
    """The XML that counts, or None where there is none yet.

    What is `told` now, by a request or a person, comes first. Then, for a project of Label Studio (`of_project`), the
    config that is `stored` of it, which is the project's own, and after that the recipe's. Offline commands and requests
    that name no project have no config of their own: what is stored is the one that they used last, and the recipe's, which
    a person may have edited since, comes before it.
    """
    if told is not None:
        return told
    if of_project:
        return stored or recipe.labeling_config
    return recipe.labeling_config or stored
