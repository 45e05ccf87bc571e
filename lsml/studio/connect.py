"""Connecting: a project of Label Studio that asks this lsml, tells it of annotations, and shows what it predicts.

What is there already stays as it is, so connecting twice changes nothing the second time.

addresses  where each finds the other      project    a project's fields, models and webhooks
hooks      whom Label Studio tells         importing  files that become tasks
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
from lsml.studio.changes import Changes
from lsml.studio.client import Studio
from lsml.studio.connection import backend_login
from lsml.studio.hooks import Hooks, basic_authorization, mend_webhooks, same_url, webhook_url
from lsml.studio.importing import TasksToImport, import_tasks, read_tasks
from lsml.studio.project import Backend, ProjectFields, StudioSettings

T = TypeVar("T")
SAMPLING: Final = "Uncertainty sampling"
_TO_BE_MADE: Final = 0  # the number of a project that is not there yet


@dataclass(frozen=True)
class Asked:
    """What a person asks for. `url`: where Label Studio finds lsml, with the secret path where there is one.

    One of `project`, a number, and `create`, a title, says which project. `tasks`: what to import. `dry`: change nothing.
    """

    url: str
    project: int | None = None
    create: str | None = None
    tasks: Path | None = None
    dry: bool = False


@dataclass(frozen=True)
class Connected:
    """A project that is connected: its number (None where a dry run would make it), title and address, and what was changed."""

    project: int | None
    title: str
    address: str
    changes: tuple[str, ...]
    notes: tuple[str, ...]


def connect(
    studio: Studio, recipe: Recipe, ours: re.Pattern[str], asked: Asked, tell: Callable[[str], None]
) -> Connected:
    """Connect a project to this lsml; `tell` gets a sentence for each change as it is made.

    `ours` matches every version of the recipe. Raises StudioError where Label Studio refuses, and RequestError where
    something must be done first; what was changed before stays so.
    """
    if refuses(asked.url, studio.url):
        raise RequestError(
            f"nothing listens at {shown_url(asked.url)}, and Label Studio takes no model that does not answer: start "
            "`lsml run` first, or do both at once with `lsml run --connect`"
        )
    changes = Changes(tell, asked.dry)
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


def _project(studio: Studio, recipe: Recipe, asked: Asked) -> ProjectFields:
    """The project that is asked for; or what it is to be, with the number _TO_BE_MADE."""
    if asked.project is not None:
        return studio.settings(asked.project).fields()
    title = (asked.create or "").strip()
    if not 3 <= len(title) <= 50:
        raise RequestError(f"--create {title}: Label Studio wants a title of 3 to 50 characters")
    known = studio.find_project(title)
    if known is not None:
        return known
    if recipe.labeling_config is None:
        raise RequestError(
            f"{recipe.path}: names no labeling config to make a project from; add `labeling_config:` to it, or name a "
            "project that is there with --project"
        )
    return ProjectFields(_TO_BE_MADE, title, recipe.labeling_config)


def _made(studio: Studio, project: ProjectFields, changes: Changes) -> ProjectFields:
    """A project as Label Studio made it; as it was given where a dry run does not."""
    made = project

    def make() -> None:
        nonlocal made
        made = studio.create_project(project.title, project.label_config)

    changes.make("make", f'project "{project.title}"', make)
    return made


def _tell_of_new(changes: Changes, url: str, tasks: TasksToImport | None) -> None:
    """What a dry run says of a project that would be made."""
    changes.make("set", f'task sampling to "{SAMPLING}"', lambda: None)
    changes.make("add", f"the model at {shown_url(url)}", lambda: None)
    changes.make("add", f"the webhook {shown_url(webhook_url(url))}", lambda: None)
    if tasks is not None:
        changes.make("import", str(tasks), lambda: None)


class _Connecting:
    """One connecting at work."""

    def __init__(
        self,
        settings: StudioSettings,
        studio_url: str,
        recipe: Recipe,
        ours: re.Pattern[str],
        url: str,
        changes: Changes,
    ) -> None:
        self._settings = settings
        self._studio_url = studio_url
        self._recipe = recipe
        self._ours = ours
        self._url = url
        self._changes = changes
        # A username in the URL is a login already, and one that webhooks have, too.
        self._login = {} if urlsplit(url).username else backend_login(recipe)

    def mend_fields(self, project: ProjectFields) -> None:
        """Have Label Studio hand out the least sure tasks first, and show predictions."""
        change = self._settings.change_fields
        if project.sampling != SAMPLING:
            self._changes.make("set", f'task sampling to "{SAMPLING}"', lambda: change(sampling=SAMPLING))
        if not project.show_collab_predictions:
            self._changes.make("set", "predictions to be shown", lambda: change(show_collab_predictions=True))

    def mend_model(self, *, interactive: bool) -> Backend | None:
        """One model at the URL, and its webhook; the model, unless a dry run would add it."""
        backends = self._settings.backends()
        mine = [one for one in backends if self._is_mine(one)]
        before = next((one for one in mine if same_url(one.url, self._url)), next(iter(mine), None))
        others = [one for one in backends if one is not before]
        after = self._put_model(before, interactive)
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
            self._changes.note(f"Label Studio asks only a project's first model, and that is model {first.id}, "
                               f'"{first.title}" at {shown_url(first.url)}; delete it in Settings > Model')  # fmt: skip
        return after

    def mend_title(self, backend: Backend, held: Mapping[str, int]) -> None:
        """Title the model as the version that it serves: of that one Label Studio shows predictions and scores.

        Where the version shown has predictions and the served one has none yet, publishing will see to it.
        """
        served = backend.model_version
        if not served or backend.title == served or (held.get(backend.title or "") and not held.get(served)):
            return
        self._changes.make("set", f"the model's title to {served}, whose scores are shown then",
                           lambda: self._settings.show(served, backend, self._login))  # fmt: skip

    def _is_mine(self, backend: Backend) -> bool:
        """True of a model that is this lsml, or was at another address."""
        return same_url(backend.url, self._url) or backend.is_of(self._ours)

    def _put_model(self, before: Backend | None, interactive: bool) -> Backend | None:
        """Add or change the model where it is not as it should be; the model as it is then."""
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
        elif lacks := self._lacks(before, interactive):
            self._changes.make("change", f"model {before.id}: {', '.join(lacks)}", put)
        return after

    def _lacks(self, backend: Backend, interactive: bool) -> list[str]:
        """What of a model is not as it should be."""
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
        """What a deed returns. Raises StudioRefused with what to do."""
        try:
            return deed()
        except StudioRefused as error:
            raise StudioRefused(explanation(str(error), self._url)) from error


def explanation(refusal: str, url: str) -> str:
    """What to do about a refusal of Label Studio to take a model or a webhook at `url`; else the refusal itself."""
    parts = urlsplit(url)
    shown = shown_url(url)
    where = re.split(r" \([45]\d\d\)", refusal)[0]
    if "URL resolves to" in refusal or "reserved network" in refusal:
        return (
            f"{where}: {shown} is a private address, which it asks only when started with ML_BLOCK_LOCAL_IP=false and "
            "SSRF_PROTECTION_ENABLED=false in its environment"
        )
    if "Can't resolve hostname" in refusal:
        return f"{where}: it knows no host {parts.hostname}; say with --backend-url under which name it finds lsml"
    if "authentication parameters" in refusal or "401 Client Error" in refusal:
        return f"{where}: what answers at {shown} wants another username and password; is it the lsml of this recipe?"
    if "403 Client Error" in refusal:
        return f"{where}: lsml does not know itself as {parts.hostname}: add that name to server.hosts of the recipe"
    if "look like a valid ML backend" in refusal:
        return f"{where}: what answers at {shown} is not this lsml, or its log says why it refused /setup"
    if "Enter a valid URL" in refusal:
        return (
            f"{where}: it tells nothing of annotations to {shown}, for a name without a dot is no address to it; give lsml's "
            f"container an alias with a dot and say --backend-url http://lsml.internal:{parts.port or 80} (with neither a "
            "password nor a secret path, add that name to server.hosts, too)"
        )
    if "health check failed" in refusal:
        inside = (
            "; if it runs in a container, localhost is that container: start lsml with --host 0.0.0.0 and connect with "
            f"--backend-url http://{HOST_OF_CONTAINERS}:{parts.port or 80}"
            if is_loopback(parts.hostname or "")
            else ""
        )
        return (
            f"{where}: it cannot reach {shown}; check that `lsml run` listens there and no firewall is between{inside}"
        )
    return refusal
