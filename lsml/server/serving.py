"""The served binding and version of each project, swapped when the pointer moves."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass

from lsml.adapters import get_adapter
from lsml.binding import Binding
from lsml.errors import LsmlError, NotFound
from lsml.logs import keep_told_secret, project_id
from lsml.prediction import Speed
from lsml.recipe import Recipe
from lsml.server.bindings import Bindings
from lsml.server.from_local import FromLocal
from lsml.server.promoted import Promoted
from lsml.server.recent import Recent
from lsml.store import LOCAL, Store
from lsml.versions import Loaded, Shared, load_version, misfits, start
from lsml.wording import listed

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """A version in memory, the `model_version` that its predictions carry, and how fast it predicts."""

    loaded: Loaded
    model_version: str
    speed: Speed


class Serving:
    """The bindings and versions of every project that this process serves."""

    def __init__(self, recipe: Recipe, store: Store) -> None:
        self.recipe = recipe
        self._store = store
        self.bindings = Bindings(recipe, store)
        self.promoted = Promoted(store)
        self._local = FromLocal(store, self.bindings, self.promoted)
        self._loads: Recent[Future[Served]] = Recent()
        self._current: Recent[Served] = Recent()
        self._shared = Shared()
        self._loaded: dict[str, int] = {}  # project -> the promoted version that was last loaded

    def remember(
        self,
        project: str,
        *,
        studio_id: int | None = None,
        labeling_config: str | None = None,
        hostname: str | None = None,
        token: str | None = None,
        title: str | None = None,
        config_at: float | None = None,
    ) -> None:
        """Store what a request tells of a project; a new project starts from `local`'s promoted version if that fits."""
        project_id.set(project)
        if token:
            keep_told_secret(token)
        new = self._store.projects.touch(
            project, studio_id=studio_id, labeling_config=labeling_config, hostname=hostname, token=token, title=title,
            config_at=config_at,
        )  # fmt: skip
        if new and project != LOCAL:
            _log.info("project %s: connected", project)
            try:
                self._local.start(project, labeling_config)
            except LsmlError as error:
                _log.warning("project %s: starts untrained: %s", project, error)

    def served(self, project: str, binding: Binding, wait_s: float) -> Served:
        """Return the version that `/predict` uses.

        If the pointer moved, the new version is loaded beside the old one, which serves on if that takes longer than
        `wait_s` seconds.
        """
        number, card = self.promoted.of(project)
        name = self.promoted.name(project, binding, number, card)
        load = self._start_load(project, binding, number, name)
        key = (project, binding.config.digest if binding.config else None)
        before = self._current.get(key)
        try:
            served = load.result(timeout=wait_s if before else None)
        except NotYet:
            assert before is not None
            return before
        except LsmlError as error:
            self._loads.drop((project, name))
            assert number, "the untrained version always loads"
            self.promoted.note_broken(project, number, error)
            _log.error("project %s: v%d cannot be served: %s", project, number, error)
            return self.served(project, binding, wait_s)
        if served is not before:
            self._current.replace(key, served)
            if before is not None and before.loaded.number != served.loaded.number:
                self._loads.drop((project, before.model_version))
        return served

    def served_as(self, project: str, binding: Binding, name: str) -> Served:
        """Return the version of a project whose `model_version` is `name`. Raises NotFound, and LsmlError where it cannot
        be loaded.

        A version that is not promoted is loaded for this request only, so that memory holds only served versions.
        """
        names = self.promoted.names(project, binding)
        if name not in names:
            raise NotFound(
                f"model_version: project {project} has no version {name[:100]!r}; expected one of {listed(names)}, "
                "or none"
            )
        number = names[name]
        try:
            return self._start_load(project, binding, number, name).result()
        finally:
            if number != self.promoted.of(project)[0]:
                self._loads.drop((project, name))

    def version(self, project: str, binding: Binding, number: int) -> Loaded:
        """Return a version of a project by its number, loaded only for this call. Raises NotFound, VersionError."""
        stored = self._store.versions.get(project, number)
        if stored is None:
            raise NotFound(f"project {project} has no version {number}")
        return load_version(binding, stored, self._store.artifacts, self._shared)

    def version_at_setup(self, project: str, binding: Binding) -> str:
        """Return the `model_version` of the next `/predict`, without waiting for a model: it is loaded meanwhile."""
        number, card = self.promoted.of(project)
        name = self.promoted.name(project, binding, number, card)
        self._start_load(project, binding, number, name)
        return name

    def state(self, project: str) -> dict[str, object]:
        """Return the served version and the binding, for people: names, sentences and warnings, without loading anything."""
        binding = self.bindings.of(project, None)
        number, card = self.promoted.of(project)
        broken = [f"v{one}: {why}" for one in self._store.versions.numbers(project)
                  if (why := self.promoted.why_broken(project, one))]  # fmt: skip
        untrained = misfits(binding, number, card) if card else tuple(filter(None, [self._local.unlike(binding)]))
        return {
            "model_version": self.promoted.name(project, binding, number, card),
            "state": binding.state(),
            "unbound": [unbound.reason for unbound in binding.unbound],
            "warnings": [*binding.warnings, *binding.paused, *untrained, *broken],
        }

    def unready(self) -> list[str]:
        """Return a sentence for each project whose promoted version this process has not loaded; the loading is started."""
        sentences = []
        for project in self._store.projects.all():
            if project.promoted is None or self._loaded.get(project.key) == project.promoted:
                continue
            where = f"project {project.key}: v{project.promoted}"
            number, card = self.promoted.of(project.key)
            if number != project.promoted:
                sentences.append(f"{where} cannot be served; see the log, or serve another version with `lsml promote`")
                continue
            try:
                binding = self.bindings.of(project.key, None)
            except LsmlError as error:
                sentences.append(f"{where} cannot be loaded: {error}")
                continue
            self._start_load(project.key, binding, number, self.promoted.name(project.key, binding, number, card))
            sentences.append(f"{where} is not loaded yet; try again in a moment")
        return sentences

    def warm_up(self) -> None:
        """Load promoted versions, so that the first request after a restart need not wait."""

        def load_all() -> None:
            for adapter in map(get_adapter, self.recipe.adapters):
                with suppress(ImportError, LsmlError):  # the first loading reports what to install
                    adapter.import_library()
            try:
                rows = self._store.projects.all()
            except LsmlError as error:
                _log.warning("no version is loaded ahead, so the first request of each project waits: %s", error)
                return
            for row in rows:
                if row.promoted is not None:
                    try:
                        self.served(row.key, self.bindings.of(row.key, None), 0)
                    except LsmlError as error:
                        _log.warning("project %s: not loaded yet: %s", row.key, error)

        threading.Thread(target=load_all, name="warm-up", daemon=True).start()

    def _start_load(self, project: str, binding: Binding, number: int, name: str) -> Future[Served]:
        """Return the loading of a version, which is started once for all requests."""
        load = self._loads.get((project, name))
        if load is None:
            fresh: Future[Served] = Future()
            load = self._loads.put((project, name), fresh)
            if load is fresh:
                # A daemon, as a model that takes minutes to load must not delay a stopping server.
                arguments = (project, binding, number, name, fresh)
                threading.Thread(
                    target=copy_context().run, args=(self._load, *arguments), name="load", daemon=True
                ).start()
        return load

    def _load(self, project: str, binding: Binding, number: int, name: str, result: Future[Served]) -> None:
        try:
            if not number:
                loaded = start(binding, self._shared)
            else:
                stored = self._store.versions.get(project, number)
                if stored is None:
                    raise LsmlError(f"v{number} is gone")
                loaded = load_version(binding, stored, self._store.artifacts, self._shared)
                for warning in loaded.warnings:
                    _log.warning("project %s: %s", project, warning)
                if number == self._store.versions.promoted(project):
                    self._loaded[project] = number
            _log.info("project %s: serving %s", project, name)
            result.set_result(Served(loaded, name, Speed(self.recipe.server.limits.time_s)))
        except LsmlError as error:
            if number:
                self.promoted.note_broken(project, number, error)
            result.set_exception(error)
        except Exception as error:
            _log.exception("project %s: %s cannot be loaded", project, name)
            if number:
                self.promoted.note_broken(project, number, error)
            result.set_exception(LsmlError(f"{type(error).__name__} while loading; see the log"))
