"""Which Label Studio a project lives in, what is read from it, and how a task's URLs are brought here."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

from lsml.errors import NoRoom, RequestError, StudioError
from lsml.files.cache import cache_directory
from lsml.labeling.objects import Fetch
from lsml.labeling.tasks import read_annotation
from lsml.logs import keep_told_secret
from lsml.media import Fetcher, Sources, open_cache
from lsml.media.transfer import shown_url
from lsml.recipe import Recipe
from lsml.store import AnnotationSeen, ProjectRow, Store
from lsml.studio.client import Studio, StudioProject
from lsml.studio.tasks import StudioTask

_log = logging.getLogger(__name__)


def project_address(recipe: Recipe, project: ProjectRow) -> str | None:
    """Where people find a project in Label Studio, as far as it is known."""
    url = recipe.label_studio.url or project.hostname
    return (
        f"{shown_url(url).rstrip('/')}/projects/{project.studio_id}" if url and project.studio_id is not None else None
    )


def studio_of(recipe: Recipe, project: ProjectRow | None) -> Studio | None:
    """The Label Studio to ask, or None where no URL and token belong together, or they can never work, which is logged.

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
        keep_told_secret(pair[1])  # also where another process was told, or lsml was restarted since
        try:
            return _studio(pair[0], pair[1], named.ca_file)
        except StudioError as error:
            _warn_once(f"project {project.key if project else 'local'}: {error}")
    return None


@lru_cache(maxsize=1000)
def _warn_once(sentence: str) -> None:
    """Log what each look at a project finds again, and a worker looks every second."""
    _log.warning("%s", sentence)


def backend_login(recipe: Recipe) -> dict[str, str]:
    """What Label Studio has to say to lsml, as it stores that of a model."""
    server = recipe.server
    if not (server.username and server.password):
        return {}
    return {"auth_method": "BASIC_AUTH", "basic_auth_user": server.username, "basic_auth_pass": server.password}


@lru_cache(maxsize=64)
def _studio(url: str, token: str, ca_file: str | None) -> Studio:
    return Studio(url, token, ca_file=ca_file)


def fetcher(
    recipe: Recipe, project: ProjectRow | None, *, by_person: bool = False, beside: Path | None = None
) -> Fetch:
    """How what is behind a project's URLs is read.

    `by_person`: for offline commands, which may read the local paths and private addresses that their files name;
    relative paths count from `beside`, the folder of such a file, and from the current folder.
    """
    studio = studio_of(recipe, project)
    folders = [recipe.path.parent / Path(folder).expanduser() for folder in recipe.media.folders]
    key = project.key if project is not None else "local"
    sources = Sources(
        recipe.media, studio=studio,
        studio_project=project.studio_id if project is not None else None,
        scope=f"{key} {studio.identity}" if studio is not None else key,
        folders=folders, anywhere=by_person, beside=beside,
    )  # fmt: skip
    return Fetcher(recipe.media, lambda: open_cache(cache_directory("media"), recipe.media.cache_bytes), sources)


def same_project(studio: Studio, project: ProjectRow) -> StudioProject:
    """What Label Studio has under a project's number. Raises StudioError where that is another project, made since."""
    assert project.studio_id is not None
    found = studio.project(project.studio_id)
    made = project.key.partition(".")[2]
    if made and made.partition(".")[0] != str(found.created):
        raise StudioError(
            f"{studio.url}: its project {project.studio_id} is another one than {project.key}, made anew since; nothing of it "
            "is read for the old one, and nothing of the old one is published to it"
        )
    return found


def read_annotations(store: Store, recipe: Recipe, project: ProjectRow) -> int:
    """Store what Label Studio holds of a project beyond what its webhooks told; the number of annotations that changed.

    Without a Label Studio to ask this does nothing: webhooks alone suffice to learn. A refusal is logged and noted on
    the project, never raised, for what is stored already can be learnt; so are tasks that the recipe's limits leave out.
    """
    limits = recipe.server.limits
    studio = studio_of(recipe, project)
    store.projects.begin_sync(project.key)
    if studio is None or project.studio_id is None:
        return 0
    changes = 0
    latest = project.synced_to
    whole = project.synced_to is None
    shown: set[str] = set()
    room, left_out = limits.annotations, 0
    try:
        store.check_room(limits.free_disk_bytes)
        found = same_project(studio, project)
        # Of a project without tasks Label Studio answers 500. It is read again when tasks come.
        for task in studio.annotated_tasks(project.studio_id, since=project.synced_to) if found.tasks else ():
            seen = _seen(project.key, task)
            shown.add(str(task.id))
            latest = max(latest or "", task.updated_at)
            if store.annotations.has_room(project.key, (annotation.id for annotation in seen), room):
                changes += store.annotations.replace_task(project.key, str(task.id), seen)
            else:
                room, left_out = 0, left_out + 1  # only what is known already passes from now on
    except (StudioError, NoRoom) as error:
        sentence = f"annotations made before could not be read, and lsml learns from webhooks alone: {error}"
        store.projects.synced(project.key, None, _noted(project, sentence))
        return changes
    if whole:
        changes += store.annotations.delete_unseen(project.key, shown, project.change)
    sentence = (
        f"{left_out:,} tasks of Label Studio are left out, for with their annotations there would be more than "
        f"{limits.annotations:,} (server.limits.annotations of the recipe); raise the limit and restart lsml"
    )
    store.projects.synced(project.key, latest, _noted(project, sentence) if left_out else None)
    if recipe.names_emails and (whole or store.people.has_strangers(project.key)):
        _read_emails(store, studio, project)
    if changes:
        _log.info("project %s: read %d annotations from Label Studio", project.key, changes)
    return changes


def _read_emails(store: Store, studio: Studio, project: ProjectRow) -> None:
    """Store whose e-mail address is whose. A refusal is logged: annotators are then known by number alone."""
    try:
        emails = studio.emails()
    except StudioError as error:
        _log.warning(
            "project %s: `learn_from` names e-mail addresses, and Label Studio does not tell whose they are; name users by "
            "their number: %s", project.key, error,
        )  # fmt: skip
        emails = {}
    store.people.tell(project.key, emails)


def _noted(project: ProjectRow, sentence: str) -> str:
    """A sentence, logged unless it is what the project's last reading ended with."""
    if sentence != project.sync_error:
        _log.warning("project %s: %s", project.key, sentence)
    return sentence


def _seen(project: str, task: StudioTask) -> list[AnnotationSeen]:
    """The annotations of a task; what is none is logged, and costs only itself."""
    seen = []
    for one in task.annotations:
        try:
            read = read_annotation(one, task.predictions)
        except RequestError as error:
            _log.warning("project %s: task %s: %s", project, task.id, error)
            continue
        if read.id is None:
            _log.warning("project %s: task %s: an annotation without an id is left out", project, task.id)
            continue
        seen.append(AnnotationSeen.of(read, str(task.id), task.data, task.updated_at))
    return seen
