"""The Label Studio of a project: its address and token, annotations read from it, and the fetching of a task's URLs."""

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
    """Return the address of a project in Label Studio for people, as far as it is known."""
    url = recipe.label_studio.url or project.hostname
    return (
        f"{shown_url(url).rstrip('/')}/projects/{project.studio_id}" if url and project.studio_id is not None else None
    )


def studio_of(recipe: Recipe, project: ProjectRow | None) -> Studio | None:
    """Return the Label Studio of a project; None where no URL and token belong together or they can never work, which is
    logged.

    The recipe's URL and token come first. Those from /setup are used only as a pair and only for their own project: a
    token of the recipe is never sent to a hostname from a request, nor the reverse.
    """
    named = recipe.label_studio
    pair: tuple[str | None, str | None] = (None, None)
    if named.url or named.api_key:
        pair = named.url, named.api_key
    elif project is not None:
        pair = project.hostname, project.token
    if pair[0] and pair[1]:
        keep_told_secret(pair[1])  # also if another process got it, or lsml was restarted
        try:
            return _studio(pair[0], pair[1], named.ca_file)
        except StudioError as error:
            _warn_once(f"project {project.key if project else 'local'}: {error}")
    return None


@lru_cache(maxsize=1000)
def _warn_once(sentence: str) -> None:
    """Log a warning once, though a worker meets its cause every second."""
    _log.warning("%s", sentence)


def backend_login(recipe: Recipe) -> dict[str, str]:
    """Return the login that Label Studio must send to lsml, as it stores that of a model."""
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
    """Return the fetcher of a project's URLs.

    `by_person`: for offline commands, which may read the local paths and private addresses that their files name;
    relative paths start at `beside`, the folder of such a file, and at the current folder.
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
    """Return the project that has a project's number in Label Studio. Raises StudioError where it is another one, made
    since.
    """
    assert project.studio_id is not None
    found = studio.project(project.studio_id)
    made = project.key.partition(".")[2]
    if made and made.partition(".")[0] != str(found.created):
        raise StudioError(
            f"{studio.url}: its project {project.studio_id} is not {project.key} but a newer project; lsml neither "
            "reads its annotations nor publishes predictions to it for the old one"
        )
    return found


def read_annotations(store: Store, recipe: Recipe, project: ProjectRow) -> int:
    """Store annotations of a project that webhooks did not send. Return the number of annotations that changed.

    Without a known Label Studio this does nothing: webhooks alone suffice to learn. A refusal is logged and noted on
    the project, never raised, for the stored annotations can be learnt; so are tasks that the recipe's limits leave
    out.
    """
    limits = recipe.server.limits
    studio = studio_of(recipe, project)
    store.projects.begin_sync(project.key)
    since = (store.projects.get(project.key) or project).synced_to  # which a request may have set back
    if studio is None or project.studio_id is None:
        return 0
    changes = 0
    latest = since
    first_time = since is None
    task_ids: set[str] = set()
    room, left_out = limits.annotations, 0
    try:
        store.check_room(limits.free_disk_bytes)
        found = same_project(studio, project)
        # For a project without tasks Label Studio answers 500. It is read again when tasks come.
        for task in studio.annotated_tasks(project.studio_id, since=since) if found.tasks else ():
            seen = _seen(project.key, task)
            task_ids.add(str(task.id))
            latest = max(latest or "", task.updated_at)
            if store.annotations.has_room(project.key, (annotation.id for annotation in seen), room):
                changes += store.annotations.replace_task(project.key, str(task.id), seen)
            else:
                room, left_out = 0, left_out + 1  # from now on only known annotations pass
    except (StudioError, NoRoom) as error:
        sentence = f"earlier annotations could not be read, so lsml only gets new ones from webhooks: {error}"
        store.projects.synced(project.key, since, since, _noted(project, sentence))
        return changes
    if first_time:
        changes += store.annotations.delete_unseen(project.key, task_ids, project.change)
    sentence = (
        f"{left_out:,} tasks of Label Studio are left out, because their annotations exceed the limit of "
        f"{limits.annotations:,} (server.limits.annotations of the recipe); raise the limit and restart lsml"
    )
    store.projects.synced(project.key, since, latest, _noted(project, sentence) if left_out else None)
    if recipe.names_emails and (first_time or store.people.has_strangers(project.key)):
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
            "project %s: `learn_from` has e-mail addresses, and Label Studio does not say whose they are; use the "
            "users' ids: %s", project.key, error,
        )  # fmt: skip
        emails = {}
    store.people.tell(project.key, emails)


def _noted(project: ProjectRow, sentence: str) -> str:
    """Return a sentence, logged unless the project's last reading ended with it."""
    if sentence != project.sync_error:
        _log.warning("project %s: %s", project.key, sentence)
    return sentence


def _seen(project: str, task: StudioTask) -> list[AnnotationSeen]:
    """Return the annotations of a task; an invalid one is logged, and only that one is left out."""
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
