"""Connecting: a project of Label Studio asks this lsml, sends it annotations, and shows its predictions.

Correct settings are not changed, so connecting a second time changes nothing.

addresses  URLs of both for each other     project    a project's fields, models and webhooks
hooks      Label Studio's webhooks         importing  files that become tasks
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from lsml.binding import bind
from lsml.errors import RequestError, StudioRefused
from lsml.labeling import parse_labeling_config
from lsml.media.transfer import shown_url
from lsml.recipe import Recipe
from lsml.studio.addresses import HOST_OF_CONTAINERS, is_loopback, refuses
from lsml.studio.changes import ChangeLog
from lsml.studio.client import Studio
from lsml.studio.connection import backend_login
from lsml.studio.hooks import Hooks, basic_authorization, mend_webhooks, same_url, webhook_url
from lsml.studio.importing import TasksToImport, import_tasks, read_tasks
from lsml.studio.project import Backend, ProjectFields, StudioSettings

T = TypeVar("T")
SAMPLING: Final = "Uncertainty sampling"
_TO_BE_MADE: Final = 0  # the id of a project that does not exist yet


@dataclass(frozen=True)
class ConnectRequest:
    """A request to connect. `url`: the address of lsml for Label Studio, with the secret path where there is one.

    Either `project`, a number, or `create`, a title, names the project. `tasks`: the tasks to import. `dry`: change
    nothing.
    """

    url: str
    project: int | None = None
    create: str | None = None
    tasks: Path | None = None
    dry: bool = False


@dataclass(frozen=True)
class Connected:
    """A connected project: its number (None where a dry run would create it), title and address, and the changes."""

    project: int | None
    title: str
    address: str
    changes: tuple[str, ...]
    notes: tuple[str, ...]


def connect(
    studio: Studio, recipe: Recipe, ours: re.Pattern[str], asked: ConnectRequest, tell: Callable[[str], None]
) -> Connected:
    """Connect a project to this lsml; `tell` gets a sentence for each change as it is made.

    `ours` matches every version of the recipe. Raises StudioError where Label Studio refuses, and RequestError where
    something else must be done first; earlier changes are not undone.
    """
    if refuses(asked.url, studio.url):
        raise RequestError(
            f"nothing listens at {shown_url(asked.url)}, and Label Studio only accepts a model that answers: start "
            "`lsml run` first, or use `lsml run --connect`"
        )
    changes = ChangeLog(tell, asked.dry)
    project = _project(studio, recipe, asked)
    binding = bind(recipe, parse_labeling_config(project.label_config))
    if not binding.models:
        raise RequestError(f'project "{project.title}": {binding.state()}')
    tasks = read_tasks(asked.tasks, binding.config) if asked.tasks is not None and binding.config else None
    if project.id == _TO_BE_MADE:
        project = _made(studio, project, changes)
    if project.id == _TO_BE_MADE:
        _tell_of_new(changes, asked.url, tasks)
        return Connected(None, project.title, studio.url, tuple(changes.made), tuple(changes.notes))
    settings = studio.settings(project.id)
    connecting = _Connecting(settings, studio.url, recipe, ours, asked.url, changes)
    connecting.mend_fields(project)
    backend = connecting.mend_model(interactive=bool(binding.asking))
    if backend is not None:
        connecting.mend_title(backend, studio.predictions(project.id).versions())
    if tasks is not None:
        import_tasks(changes, settings, tasks)
    address = f"{studio.url}/projects/{project.id}"
    return Connected(project.id, project.title, address, tuple(changes.made), tuple(changes.notes))


def _project(studio: Studio, recipe: Recipe, asked: ConnectRequest) -> ProjectFields:
    """Return the project that is asked for; a project to be created has the number _TO_BE_MADE."""
    if asked.project is not None:
        return studio.settings(asked.project).fields()
    title = (asked.create or "").strip()
    if not 3 <= len(title) <= 50:
        raise RequestError(f"--create {title}: Label Studio needs a title of 3 to 50 characters")
    known = studio.find_project(title)
    if known is not None:
        return known
    if recipe.labeling_config is None:
        raise RequestError(
            f"{recipe.path}: has no labeling config for a new project; add `labeling_config:` to it, or give an "
            "existing project with --project"
        )
    return ProjectFields(_TO_BE_MADE, title, recipe.labeling_config)


def _made(studio: Studio, project: ProjectFields, changes: ChangeLog) -> ProjectFields:
    """Create a project and return it as Label Studio has it; in a dry run return it unchanged."""
    made = project

    def make() -> None:
        nonlocal made
        made = studio.create_project(project.title, project.label_config)

    changes.make("make", f'project "{project.title}"', make)
    return made


def _tell_of_new(changes: ChangeLog, url: str, tasks: TasksToImport | None) -> None:
    """Report the changes of a dry run for a project that would be created."""
    changes.make("set", f'task sampling to "{SAMPLING}"', lambda: None)
    changes.make("add", f"the model at {shown_url(url)}", lambda: None)
    changes.make("add", f"the webhook {shown_url(webhook_url(url))}", lambda: None)
    if tasks is not None:
        changes.make("import", str(tasks), lambda: None)


class _Connecting:
    """The connecting of one project."""

    def __init__(
        self,
        settings: StudioSettings,
        studio_url: str,
        recipe: Recipe,
        ours: re.Pattern[str],
        url: str,
        changes: ChangeLog,
    ) -> None:
        self._settings = settings
        self._studio_url = studio_url
        self._recipe = recipe
        self._ours = ours
        self._url = url
        self._changes = changes
        # A username in the URL is a login already, which webhooks use, too.
        self._login = {} if urlsplit(url).username else backend_login(recipe)

    def mend_fields(self, project: ProjectFields) -> None:
        """Set the project to hand out the least sure tasks first, and to show predictions."""
        change = self._settings.change_fields
        if project.sampling != SAMPLING:
            self._changes.make("set", f'task sampling to "{SAMPLING}"', lambda: change(sampling=SAMPLING))
        if not project.show_collab_predictions:
            self._changes.make("set", "predictions to be shown", lambda: change(show_collab_predictions=True))

    def mend_model(self, *, interactive: bool) -> Backend | None:
        """Correct the project's models and webhooks: one model at the URL, and its webhook.

        Return the model; None where a dry run would add it.
        """
        backends = self._settings.backends()
        mine = [one for one in backends if self._is_mine(one)]
        before = next((one for one in mine if same_url(one.url, self._url)), next(iter(mine), None))
        others = [one for one in backends if one is not before]
        after = self._put_model(before, interactive=interactive)
        former = before.url if before is not None and not same_url(before.url, self._url) else None
        header = basic_authorization(self._recipe) if self._login and not self._recipe.server.secret_path else None
        hooks = Hooks(
            url=self._url, authorization=header, former=former, others=[one.url for one in others],
            secret_path=self._recipe.server.secret_path, studio_url=self._studio_url,
        )  # fmt: skip
        self._explained(lambda: mend_webhooks(self._changes, self._settings, hooks))
        for one in others:
            if one in mine:
                self._changes.note(f"model {one.id} ({shown_url(one.url)}) is an older connection of this recipe; delete it "
                                   "in Settings > Model")  # fmt: skip
        if others and (before is None or others[0].id < before.id):
            first = others[0]
            self._changes.note(f"Label Studio asks only a project's first model, which is model {first.id}, "
                               f'"{first.title}" at {shown_url(first.url)}; delete it in Settings > Model')  # fmt: skip
        return after

    def mend_title(self, backend: Backend, held: Mapping[str, int]) -> None:
        """Set the model's title to the version that it serves, whose predictions and scores Label Studio then shows.

        Where the shown version has predictions and the served one has none yet, publishing does this later.
        """
        served = backend.model_version
        if not served or backend.title == served or (held.get(backend.title or "") and not held.get(served)):
            return
        self._changes.make("set", f"the model's title to {served}, so that its scores are shown",
                           lambda: self._settings.show(served, backend, self._login))  # fmt: skip

    def _is_mine(self, backend: Backend) -> bool:
        """Return True for a model that is this lsml, also at a former address."""
        return same_url(backend.url, self._url) or backend.is_of(self._ours)

    def _put_model(self, before: Backend | None, *, interactive: bool) -> Backend | None:
        """Add or correct the model, and return it."""
        fields: dict[str, object] = {"url": self._url, **self._login}
        if interactive:
            fields["is_interactive"] = True
        after = before

        def put() -> None:
            nonlocal after
            after = self._explained(lambda: self._settings.put_backend(before.id if before else None, fields))

        if before is None:
            fields["title"] = self._recipe.name
            asking = " with interactive preannotations" if interactive else ""
            self._changes.make("add", f"the model at {shown_url(self._url)}{asking}", put)
        elif lacks := self._lacks(before, interactive=interactive):
            self._changes.make("change", f"model {before.id}: {', '.join(lacks)}", put)
        return after

    def _lacks(self, backend: Backend, *, interactive: bool) -> list[str]:
        """Return the settings of a model that must be corrected."""
        lacks = []
        if not same_url(backend.url, self._url):
            lacks.append(f"its address from {shown_url(backend.url)} to {shown_url(self._url)}")
        if interactive and not backend.is_interactive:
            lacks.append("interactive preannotations on")
        if self._login and (backend.auth_method, backend.basic_auth_user) != (
            self._login["auth_method"], self._login["basic_auth_user"],
        ):  # fmt: skip
            lacks.append("its username and password")
        if not lacks and not backend.is_reached:
            lacks.append("connected again")
        return lacks

    def _explained(self, deed: Callable[[], T]) -> T:
        """Return the result of a deed. Raises StudioRefused with what to do."""
        try:
            return deed()
        except StudioRefused as error:
            raise StudioRefused(explanation(str(error), self._url)) from error


def explanation(refusal: str, url: str) -> str:
    """Return what to do about Label Studio's refusal of a model or a webhook at `url`; else the refusal itself."""
    parts = urlsplit(url)
    shown = shown_url(url)
    where = re.split(r" \([45]\d\d\)", refusal)[0]
    if "URL resolves to" in refusal or "reserved network" in refusal:
        return (
            f"{where}: {shown} is a private address, which Label Studio only asks if it was started with "
            "ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false in its environment"
        )
    if "Can't resolve hostname" in refusal:
        return (
            f"{where}: it cannot find the host {parts.hostname}; give an address that it can reach with --backend-url"
        )
    if "authentication parameters" in refusal or "401 Client Error" in refusal:
        return f"{where}: the program at {shown} expects another username and password; is it the lsml of this recipe?"
    if "403 Client Error" in refusal:
        return f"{where}: lsml does not accept the host {parts.hostname}; add that name to server.hosts of the recipe"
    if "look like a valid ML backend" in refusal:
        return f"{where}: the program at {shown} is not this lsml, or refused /setup, for a reason in its log"
    if "Enter a valid URL" in refusal:
        return (
            f"{where}: it sends no webhook to {shown}, as it needs a host name with a dot; give lsml's "
            f"container an alias with a dot and set --backend-url http://lsml.internal:{parts.port or 80} (without a "
            "password and a secret path, add that name to server.hosts, too)"
        )
    if "health check failed" in refusal:
        inside = (
            "; if it runs in a container, localhost is that container: start lsml with --host 0.0.0.0 and connect with "
            f"--backend-url http://{HOST_OF_CONTAINERS}:{parts.port or 80}"
            if is_loopback(parts.hostname or "")
            else ""
        )
        return (
            f"{where}: it cannot reach {shown}; check that `lsml run` listens there and that no firewall blocks "
            f"it{inside}"
        )
    return refusal
