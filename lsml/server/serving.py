"""What is served to each project now: its binding, and the version in memory, swapped when the pointer moves."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

from lsml.adapters import get_adapter
from lsml.binding import Binding, bind
from lsml.binding.configs import known_config
from lsml.errors import LabelingConfigError, LsmlError, NotFound
from lsml.labeling import LabelingConfig, parse_labeling_config
from lsml.labeling.objects import Fetch
from lsml.logs import keep_told_secret
from lsml.recipe import Recipe
from lsml.store import LOCAL, Store, VersionRow
from lsml.studio.connection import fetcher
from lsml.versions import Card, Loaded, Shared, adopt, card_of, load_version, misfits, model_version, start, unlike
from lsml.wording import listed

_log = logging.getLogger(__name__)
V = TypeVar("V")
_LOOK_AGAIN_S = 30.0  # a version that could not be loaded is tried again after so long
_KEPT = 256  # bindings and loaded versions in memory


class Recent(Generic[V]):
    """The most recently used values by key, the same object for everybody; thread-safe."""

    def __init__(self, size: int = _KEPT) -> None:
        self._size = size
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        """The value, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: V) -> V:
        """Keep `value`, unless another thread came first; what is kept."""
        with self._lock:
            kept = self._values.setdefault(key, value)
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
            return kept

    def replace(self, key: Hashable, value: V) -> None:
        """Keep `value`, whatever was there."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)

    def drop(self, key: Hashable) -> None:
        """Forget a key, known or not."""
        with self._lock:
            self._values.pop(key, None)


@dataclass(frozen=True)
class Served:
    """A version in memory and the `model_version` that its predictions carry."""

    loaded: Loaded
    model_version: str


class Serving:
    """Bindings and versions of every project that this process answers for."""

    def __init__(self, recipe: Recipe, store: Store) -> None:
        self.recipe = recipe
        self._store = store
        self._bindings: Recent[Binding] = Recent()
        self._cards: Recent[Card] = Recent()
        self._names: Recent[str] = Recent()
        self._loads: Recent[Future[Served]] = Recent()
        self._current: Recent[Served] = Recent()
        self._broken: Recent[tuple[str, float]] = Recent()
        self._fetchers: Recent[Fetch] = Recent()
        self._shared = Shared()
        self._loaded: dict[str, int] = {}  # the promoted version of each project that was last loaded

    def binding(self, project: str, labeling_config: str | None) -> Binding:
        """The recipe bound to the config of the request at hand, else to the one that `known_config` says.

        Raises LabelingConfigError where that one cannot be read.
        """
        xml = labeling_config
        if xml is None:
            row = self._store.projects.get(project)
            stored = row.labeling_config if row else None
            xml = known_config(self.recipe, stored=stored, of_project=project != LOCAL)
        found = self._bindings.get(xml)
        if found is None:
            found = self._bindings.put(xml, bind(self.recipe, self._parse(xml) if xml else None))
            if not found.models:
                _log.warning("project %s: %s", project, found.state())
            for warning in found.warnings:
                _log.warning("project %s: %s", project, warning)
        return found

    def _parse(self, xml: str) -> LabelingConfig:
        """A labeling config. Raises LabelingConfigError where it cannot be read or has too many labels."""
        config = parse_labeling_config(xml)
        labels = sum(len(control.labels) for control in config.controls)
        limit = self.recipe.server.limits.labels
        if labels > limit:
            raise LabelingConfigError(
                f"{labels:,} labels; expected at most {limit:,} (server.limits.labels of the recipe): "
                'keep long lists of labels in the tasks and write value="$field"'
            )
        return config

    def fetch(self, project: str) -> Fetch:
        """How the texts behind the project's URLs are read."""
        row = self._store.projects.get(project)
        key = (project, row.hostname, row.token) if row else (project,)
        return self._fetchers.get(key) or self._fetchers.put(key, fetcher(self.recipe, row))

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
        """Store what a request told of a project; a new one starts from `local`'s promoted version where that fits."""
        if token:
            keep_told_secret(token)
        new = self._store.projects.touch(
            project, studio_id=studio_id, labeling_config=labeling_config, hostname=hostname, token=token, title=title,
            config_at=config_at,
        )  # fmt: skip
        if new and project != LOCAL:
            _log.info("project %s: connected", project)
            try:
                self._start_from_local(project, labeling_config)
            except LsmlError as error:
                _log.warning("project %s: starts untrained: %s", project, error)

    def served(self, project: str, binding: Binding, wait_s: float) -> Served:
        """What `/predict` answers with. Where the pointer moved, the new version is loaded beside the old one, which
        serves on if that takes longer than `wait_s` seconds."""
        number, card = self._pointed(project)
        name = self._name(project, binding, number, card)
        load = self._start_load(project, binding, number, name)
        place = (project, binding.config.digest if binding.config else None)
        before = self._current.get(place)
        try:
            served = load.result(timeout=wait_s if before else None)
        except NotYet:
            assert before is not None
            return before
        except LsmlError as error:
            self._loads.drop((project, name))
            assert number, "the starting point always loads"
            self._broken_now(project, number, error)
            _log.error("project %s: v%d cannot be served: %s", project, number, error)
            return self.served(project, binding, wait_s)
        if served is not before:
            self._current.replace(place, served)
            if before is not None and before.loaded.number != served.loaded.number:
                self._loads.drop((project, before.model_version))
        return served

    def served_as(self, project: str, binding: Binding, name: str) -> Served:
        """The version of a project whose `model_version` is `name`. Raises NotFound, and LsmlError where it cannot be loaded.

        One that is not promoted is loaded for this request alone: memory holds what is served.
        """
        names = self.names(project, binding)
        if name not in names:
            raise NotFound(
                f"model_version: project {project} has no {name[:100]!r} now; expected one of {listed(names)}, or none"
            )
        number = names[name]
        try:
            return self._start_load(project, binding, number, name).result()
        finally:
            if number != self._pointed(project)[0]:
                self._loads.drop((project, name))

    def version(self, project: str, binding: Binding, number: int) -> Loaded:
        """A version of a project by its number, loaded for this once. Raises NotFound, VersionError."""
        stored = self._store.versions.get(project, number)
        if stored is None:
            raise NotFound(f"project {project} has no version {number}")
        return load_version(binding, stored, self._store.artifacts, self._shared)

    def names(self, project: str, binding: Binding) -> dict[str, int]:
        """The `model_version` of every version of a project that can be read, the one that is served first; its number."""
        number, card = self._pointed(project)
        names = {self._name(project, binding, number, card): number}
        for row in self._store.versions.of_project(project):
            if (found := self.card(row)) is not None:
                names.setdefault(self._name(project, binding, row.number, found), row.number)
        return names

    def version_at_setup(self, project: str, binding: Binding) -> str:
        """The `model_version` that the next `/predict` carries, without waiting for a model: it is loaded meanwhile."""
        number, card = self._pointed(project)
        name = self._name(project, binding, number, card)
        self._start_load(project, binding, number, name)
        return name

    def state(self, project: str) -> dict[str, object]:
        """What is served and bound, for people: names, sentences and warnings, without loading anything."""
        binding = self.binding(project, None)
        number, card = self._pointed(project)
        broken = [f"v{version.number}: {why}" for version in self._store.versions.of_project(project)
                  if (why := self._why_broken(project, version.number))]  # fmt: skip
        untrained = misfits(binding, number, card) if card else tuple(filter(None, [self._unlike_local(binding)]))
        return {
            "model_version": self._name(project, binding, number, card),
            "state": binding.state(),
            "unbound": [unbound.reason for unbound in binding.unbound],
            "warnings": [*binding.warnings, *untrained, *broken],
        }

    def _broken_now(self, project: str, number: int, error: Exception) -> None:
        self._broken.replace((project, number), (str(error), time.monotonic()))

    def _why_broken(self, project: str, number: int) -> str | None:
        """Why a version cannot be served; None where it can, or where it is time to look again: files get restored."""
        found = self._broken.get((project, number))
        return found[0] if found is not None and time.monotonic() - found[1] < _LOOK_AGAIN_S else None

    def unready(self) -> list[str]:
        """A sentence for each project whose promoted version this process has not loaded; its load is begun."""
        sentences = []
        for project in self._store.projects.all():
            if project.promoted is None or self._loaded.get(project.key) == project.promoted:
                continue
            where = f"project {project.key}: v{project.promoted}"
            number, card = self._pointed(project.key)
            if number != project.promoted:
                sentences.append(f"{where} cannot be served; the log says why, and `lsml promote` serves another")
                continue
            try:
                binding = self.binding(project.key, None)
            except LsmlError as error:
                sentences.append(f"{where} cannot be loaded: {error}")
                continue
            self._start_load(project.key, binding, number, self._name(project.key, binding, number, card))
            sentences.append(f"{where} is not loaded yet; ask again in a moment")
        return sentences

    def card(self, row: VersionRow) -> Card | None:
        """A version's card, or None where it cannot be read; that is logged once."""
        card = self._cards.get((row.project, row.number))
        if card is None and self._why_broken(row.project, row.number) is None:
            try:
                card = self._cards.put((row.project, row.number), card_of(row))
            except LsmlError as error:
                self._broken_now(row.project, row.number, error)
                _log.error("project %s: %s", row.project, error)
        return card

    def warm_up(self) -> None:
        """Load what is promoted, so that the first request after a restart need not wait."""

        def load_all() -> None:
            for adapter in map(get_adapter, self.recipe.adapters):
                with suppress(ImportError, LsmlError):  # the first load says what to install
                    adapter.import_library()
            for row in self._store.projects.all():
                if row.promoted is not None:
                    try:
                        self.served(row.key, self.binding(row.key, None), 0)
                    except LsmlError as error:
                        _log.warning("project %s: not loaded yet: %s", row.key, error)

        threading.Thread(target=load_all, name="warm-up", daemon=True).start()

    def _name(self, project: str, binding: Binding, number: int, card: Card | None) -> str:
        """The `model_version` of a version under a binding, worked out once: with many labels it takes milliseconds."""
        key = (project, number, binding.config.digest if binding.config else None)
        return self._names.get(key) or self._names.put(key, model_version(binding, number, card, project))

    def _pointed(self, project: str) -> tuple[int, Card | None]:
        """The number and card of the promoted version; where its files are broken, of the newest one that is not.

        0 and None: the starting point.
        """
        number = self._store.versions.promoted(project)
        if number is None:
            return 0, None
        if self._why_broken(project, number) is None:
            card = self._cards.get((project, number))
            if card is not None:
                return number, card
        rows = self._store.versions.of_project(project)
        rows.sort(key=lambda row: (row.number != number, -row.number))
        for row in rows:
            if self._why_broken(project, row.number) is not None or (card := self.card(row)) is None:
                continue
            # In its place only a version that was good enough to be served once.
            if row.number == number or card.promoted:
                return row.number, card
        return 0, None

    def _start_load(self, project: str, binding: Binding, number: int, name: str) -> Future[Served]:
        """The load of a version, begun once whoever asks."""
        load = self._loads.get((project, name))
        if load is None:
            fresh: Future[Served] = Future()
            load = self._loads.put((project, name), fresh)
            if load is fresh:
                # A daemon: a model that takes minutes to load must not keep a stopping server alive.
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
            result.set_result(Served(loaded, name))
        except LsmlError as error:
            if number:
                self._broken_now(project, number, error)
            result.set_exception(error)
        except Exception as error:
            _log.exception("project %s: %s cannot be loaded", project, name)
            if number:
                self._broken_now(project, number, error)
            result.set_exception(LsmlError(f"{type(error).__name__} while loading; see the log"))

    def _start_from_local(self, project: str, labeling_config: str | None) -> None:
        row = self._store.versions.served(LOCAL)
        try:
            binding = self.binding(project, labeling_config)
        except LabelingConfigError:
            return
        if row is None or self.card(row) is None or not any(model.learns for model in binding.models):
            return
        why = self._unlike_local(binding)
        if why is None:
            adopt(self._store, project, row)
            _log.info("project %s: starts from v%d of project %s", project, row.number, LOCAL)
        else:
            _log.info("project %s: %s", project, why)

    def _unlike_local(self, binding: Binding) -> str | None:
        """Why a project of this binding does not start from what project `local` serves; None where it does, or nothing is."""
        row = self._store.versions.served(LOCAL)
        card = self.card(row) if row else None
        why = unlike(binding, self.binding(LOCAL, None), row.number, card) if row and card else None
        return f"does not start from v{row.number} of project {LOCAL}: {why}" if row and why else None
