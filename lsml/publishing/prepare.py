"""The inputs of a publishing of a project: its Label Studio, its binding, and the version that it serves."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from lsml.adapters.base import Adapter, Progress, silent
from lsml.errors import NotEnoughData
from lsml.prediction import Predictor
from lsml.publishing.patience import Patience
from lsml.publishing.publish import PublishInputs
from lsml.publishing.submit import Submitting
from lsml.recipe import Publish, Recipe, Submit
from lsml.store import LOCAL, ProjectRow, Store
from lsml.studio.client import Studio
from lsml.studio.connection import backend_login, fetcher, read_annotations, same_project
from lsml.versions import Loaded, binding_of, card_of, learnt_hashes, load_promoted, model_version, names_of


@contextmanager
def prepared(
    recipe: Recipe,
    store: Store,
    studio: Studio,
    project: ProjectRow,
    patience: Patience,
    progress: Progress = silent,
    *,
    untrained: bool = False,
) -> Iterator[PublishInputs]:
    """Yield the inputs of a publishing of the version that a project serves, by default that of `local`.

    The files of its tasks stay here meanwhile. `untrained`: also if no model can answer yet, where the recipe wants tasks
    in order from the beginning. Else raises NotEnoughData then; StudioError where the
    project was replaced by another, and VersionError where the version cannot be loaded.
    """
    assert project.studio_id is not None
    same_project(studio, project)
    loaded, predictor = published_model(recipe, store, project)
    binding, version = predictor.binding, predictor.model_version
    settings = recipe.publish or Publish()
    with predictor.fetch.hold() as fetch:
        inputs = PublishInputs(
            predictions=studio.predictions(project.studio_id), binding=binding, adapters=loaded.adapters,
            model_version=version, fetch=fetch, patience=patience,
            ours=names_of(recipe.name), batch=settings.batch, order=settings.order, keep=settings.keep,
            score_field=settings.field, backend_login=backend_login(recipe), progress=progress, skip=binding.hides,
            count=lambda stored: store.projects.add_published(project.key, version, stored),
        )  # fmt: skip
        if not inputs.ready and not (untrained and settings.orders_beginning):
            raise NotEnoughData("; ".join(loaded.warnings) or _why_silent(loaded.adapters.values()))
        yield inputs


def published_model(recipe: Recipe, store: Store, project: ProjectRow) -> tuple[Loaded, Predictor]:
    """Return the version that is published for a project, in memory and ready to predict. Raises VersionError."""
    binding = binding_of(recipe, project)
    loaded = load_promoted(store, _learnt_by(project), binding)
    version = model_version(binding, loaded.number, loaded.card, loaded.project)
    return loaded, Predictor(binding, loaded.adapters, fetcher(recipe, project), version)


def _why_silent(adapters: Collection[Adapter]) -> str:
    """Return the reason why none of the adapters predicts tasks."""
    if adapters and all(adapter.only_interactive for adapter in adapters):
        return "the recipe only answers what annotators mark"
    return "no model is trained yet"


def submitting(
    recipe: Recipe,
    store: Store,
    studio: Studio,
    project: ProjectRow,
    inputs: PublishInputs,
    settings: Submit,
    *,
    dry: bool = False,
) -> Submitting:
    """Return the inputs of a submitting that uses a publishing's inputs."""
    served = store.versions.served(_learnt_by(project))
    learnt: set[bytes] = set()
    if served is not None:
        folder = store.artifacts.open(served.folder)
        learnt = set().union(*(learnt_hashes(folder, model) for model in card_of(served).models.values()))
    return Submitting(
        inputs=inputs, store=store, project=project.key, settings=settings, annotator=studio.annotator(),
        learnt=frozenset(learnt), refresh=lambda: read_annotations(store, recipe, project), dry=dry,
    )  # fmt: skip


def _learnt_by(project: ProjectRow) -> str:
    """Return the key of the project whose version is published: `local` for one that has learnt nothing itself."""
    return project.key if project.promoted is not None else LOCAL
