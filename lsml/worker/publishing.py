"""A publishing run: the promoted version's predictions into the project's Label Studio."""

from __future__ import annotations

from lsml.errors import Cancelled, StudioError
from lsml.publishing import Inputs, Patience, publish
from lsml.recipe import Recipe
from lsml.store import ProjectRow, RunRow, Store
from lsml.studio.client import Studio
from lsml.studio.connection import fetcher, studio_of
from lsml.versions import load_promoted, model_version, names_of
from lsml.worker.report import Reporter, binding_of


def want_publishing(recipe: Recipe, store: Store, project: ProjectRow) -> bool:
    """Ask for a publishing where the project wants one and it is known how to reach its Label Studio; True if asked."""
    if not project.publish_wanted or project.studio_id is None or recipe.publish is None:
        return False
    if studio_of(recipe, project) is None:
        return False
    # A moment, for Label Studio tells of new tasks before others can see them.
    store.runs.request(project.key, "publishing", kind="publishing", quiet_s=1.0)
    return True


def publish_promoted(recipe: Recipe, store: Store, run: RunRow, report: Reporter) -> str:
    """Publish what the project serves now; a sentence that says what was done.

    Raises StudioError where Label Studio refuses, VersionError where the version cannot be loaded, and Cancelled where
    another version was promoted or the labeling config changed meanwhile.
    """
    project = store.projects.get(run.project)
    studio = studio_of(recipe, project)
    settings = recipe.publish
    if project is None or project.studio_id is None or studio is None or settings is None:
        return "nothing to publish: no Label Studio is known, or `publish: false`"
    check_same_project(studio, project)
    binding = binding_of(recipe, project)
    loaded = load_promoted(store, project.key, binding)
    if not any(adapter.ready and not adapter.only_interactive for adapter in loaded.adapters.values()):
        return "nothing to publish: nothing was learnt yet"
    name = model_version(binding, loaded.number, loaded.card)

    def check() -> None:
        now = store.projects.get(project.key)
        if now is None or (now.promoted or 0) != (project.promoted or 0):
            raise Cancelled("cancelled: another version was promoted meanwhile")
        if now.labeling_config != project.labeling_config:
            raise Cancelled("cancelled: the labeling config changed meanwhile")

    with fetcher(recipe, project).hold() as fetch:
        published = publish(
            Inputs(
                predictions=studio.predictions(project.studio_id), binding=binding, adapters=loaded.adapters,
                model_version=name, fetch=fetch, patience=Patience(tell=report.say, check=check),
                ours=names_of(recipe.name), batch=settings.batch, order=settings.order, keep=settings.keep,
                backend_login=backend_login(recipe), progress=report,
            )
        )  # fmt: skip
    return str(published)


def check_same_project(studio: Studio, project: ProjectRow) -> None:
    """Raise StudioError where Label Studio's project of that number is another one, made since."""
    assert project.studio_id is not None
    made = project.key.partition(".")[2]
    if made and studio.project(project.studio_id).created != int(float(made)):
        raise StudioError(
            f"{studio.url}: its project {project.studio_id} is another one than {project.key}, made anew since; "
            "nothing is published to it"
        )


def backend_login(recipe: Recipe) -> dict[str, str]:
    """What Label Studio has to say to lsml, as it stores that of a model."""
    server = recipe.server
    if not (server.username and server.password):
        return {}
    return {"auth_method": "BASIC_AUTH", "basic_auth_user": server.username, "basic_auth_pass": server.password}
