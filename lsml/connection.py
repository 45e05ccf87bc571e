"""Which Label Studio a project lives in, what is read from it, and how a task's URLs are brought here."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from lsml.errors import StudioError
from lsml.media import fetch_text
from lsml.objects import Fetch
from lsml.recipe import Recipe
from lsml.store import AnnotationSeen, ProjectRow, Store
from lsml.studio import Studio

_log = logging.getLogger(__name__)


def studio_of(recipe: Recipe, project: ProjectRow | None) -> Studio | None:
    """The Label Studio to ask, or None where no URL and token belong together.

    What the recipe names comes first. What /setup told is used only as a pair and only for its own project: a token of
    the recipe never goes to a hostname that a request told, nor the other way round.
    """
    named = recipe.label_studio
    pair: tuple[str | None, str | None] = (None, None)
    if named.url or named.api_key:
        pair = named.url, named.api_key
    elif project is not None:
        pair = project.hostname, project.token
    if pair[0] and pair[1]:
        try:
            return _studio(*pair)
        except StudioError as error:
            _log.warning("project %s: %s", project.key if project else "local", error)
    return None


@lru_cache(maxsize=64)
def _studio(url: str, token: str) -> Studio:
    return Studio(url, token)


def fetcher(recipe: Recipe, project: ProjectRow | None, *, by_person: bool = False) -> Fetch:
    """How the texts behind a project's URLs are read.

    `by_person`: for offline commands, which may read the local paths and private addresses that their files name.
    """
    studio = studio_of(recipe, project)

    def fetch(url: str, _task: Mapping[str, Any]) -> str:
        return fetch_text(
            url,
            studio_fetch=studio.fetch if studio else None,
            studio_url=studio.url if studio else None,
            allow_private=by_person,
            folders=None if by_person else (),
        )

    return fetch


def read_annotations(store: Store, recipe: Recipe, project: ProjectRow) -> int:
    """Store what Label Studio holds of a project beyond what its webhooks told; the number of annotations that changed.

    Without a Label Studio to ask this does nothing: webhooks alone suffice to learn. A refusal is logged and noted on
    the project, never raised, for what is stored already can be learnt.
    """
    studio = studio_of(recipe, project)
    store.projects.begin_sync(project.key)
    if studio is None or project.studio_id is None:
        return 0
    changes = 0
    latest = project.synced_to
    whole = project.synced_to is None
    shown: set[str] = set()
    try:
        made = project.key.partition(".")[2]
        if made and studio.created(project.studio_id) != int(float(made)):
            raise StudioError(
                f"{studio.url}: its project {project.studio_id} is another one than {project.key}, made anew since; "
                "nothing of it is read for the old one"
            )
        for task in studio.annotated_tasks(project.studio_id, since=project.synced_to):
            seen = [annotation for one in task.annotations if (annotation := _seen(task, one)) is not None]
            changes += store.annotations.replace_task(project.key, str(task.id), seen)
            shown.add(str(task.id))
            latest = max(latest or "", task.updated_at)
    except StudioError as error:
        sentence = f"annotations made before could not be read, and lsml learns from webhooks alone: {error}"
        if sentence != project.sync_error:
            _log.warning("project %s: %s", project.key, sentence)
        store.projects.synced(project.key, None, sentence)
        return changes
    if whole:
        changes += store.annotations.delete_unseen(project.key, shown, project.change)
    store.projects.synced(project.key, latest, None)
    if changes:
        _log.info("project %s: read %d annotations from Label Studio", project.key, changes)
    return changes


def _seen(task: Any, annotation: Mapping[str, Any]) -> AnnotationSeen | None:
    result = annotation.get("result")
    if "id" not in annotation or not isinstance(result, list):
        return None
    return AnnotationSeen(
        id=str(annotation["id"]),
        task_id=str(task.id),
        result=result,
        updated_at=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
        cancelled=bool(annotation.get("was_cancelled")),
        ground_truth=bool(annotation.get("ground_truth")),
        task_data=task.data,
        task_updated_at=task.updated_at,
    )
