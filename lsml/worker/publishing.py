"""A publishing run: it puts the promoted version's predictions into the project's Label Studio."""

from __future__ import annotations

from itertools import islice
from typing import Final

from lsml.adapters import get_adapter
from lsml.errors import Cancelled, NotEnoughData
from lsml.publishing import Patience, begin, prepared, publish, submit, submitting
from lsml.recipe import Recipe
from lsml.store import LOCAL, RunRow, Store
from lsml.studio.connection import studio_of
from lsml.worker.report import Reporter

_AT_ONCE: Final = 50  # publishings that are asked for in a sweep; a sweeper that takes long does not say that it lives


def want_publishing(recipe: Recipe, store: Store) -> None:
    """Ask for a publishing of projects that want one and whose Label Studio is known, of so many that it takes a moment."""
    if recipe.publish is None:
        return
    starts = _starts_able(recipe, store)
    able = (
        project.key
        for project in store.projects.to_publish()
        if (starts or project.promoted is not None)
        and project.studio_id is not None
        and studio_of(recipe, project) is not None
    )
    for key in islice(able, _AT_ONCE):
        # A moment later, as Label Studio sends the event before the new tasks are visible.
        store.runs.request(key, "publishing", kind="publishing", quiet_s=1.0)


def _starts_able(recipe: Recipe, store: Store) -> bool:
    """Return True if there is something to publish for a project that learnt nothing; else a process would start for nothing.

    It may start from what was learnt from a file, predict without learning, or put tasks in order.
    """
    orders = recipe.publish is not None and recipe.publish.orders_beginning
    return (
        orders
        or any(get_adapter(name).starts_ready for name in recipe.adapters)
        or store.versions.promoted(LOCAL) is not None
    )


def publish_promoted(recipe: Recipe, store: Store, run: RunRow, report: Reporter) -> str:
    """Publish predictions of the version that the project serves now. Return a sentence about the result.

    Raises StudioError where Label Studio refuses, VersionError where the version cannot be loaded, and Cancelled where
    another version was promoted or the labeling config changed meanwhile.
    """
    project = store.projects.get(run.project)
    studio = studio_of(recipe, project)
    if project is None or project.studio_id is None or studio is None or recipe.publish is None:
        return "nothing to publish: the address of Label Studio is not known, or the recipe says `publish: false`"
    begun = project

    def check() -> None:
        now = store.projects.get(begun.key)
        if now is None or now.promoted != begun.promoted:
            raise Cancelled("cancelled: another version was promoted")
        if now.labeling_config != begun.labeling_config:
            raise Cancelled("cancelled: the labeling config changed")

    try:
        patience = Patience(tell=report.say, check=check)
        with prepared(recipe, store, studio, project, patience, report, untrained=True) as inputs:
            if not inputs.ready:
                return begin(inputs)
            done = str(publish(inputs))
            if recipe.submit is not None:
                done += f"; {submit(submitting(recipe, store, studio, project, inputs, recipe.submit))}"
            return done
    except NotEnoughData as error:
        return f"nothing to publish: {error}"
