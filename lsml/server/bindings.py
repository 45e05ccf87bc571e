"""The recipe bound to the labeling config of each project, and the fetcher of its files."""

from __future__ import annotations

import logging

from lsml.binding import Binding, bind
from lsml.binding.configs import known_config
from lsml.errors import LabelingConfigError
from lsml.labeling import LabelingConfig, parse_labeling_config
from lsml.labeling.objects import Fetch
from lsml.recipe import Recipe
from lsml.server.recent import Recent
from lsml.store import LOCAL, Store
from lsml.studio.connection import fetcher

_log = logging.getLogger(__name__)


class Bindings:
    """The bindings of every project, each made once."""

    def __init__(self, recipe: Recipe, store: Store) -> None:
        self._recipe = recipe
        self._store = store
        self._bindings: Recent[Binding] = Recent()
        self._fetchers: Recent[Fetch] = Recent()

    def of(self, project: str, labeling_config: str | None) -> Binding:
        """Return the recipe bound to the request's config, else to the one of `known_config`.

        Raises LabelingConfigError if that config cannot be read.
        """
        xml = labeling_config
        if xml is None:
            row = self._store.projects.get(project)
            stored = row.labeling_config if row else None
            xml = known_config(self._recipe, stored=stored, of_project=project != LOCAL)
        found = self._bindings.get(xml)
        if found is None:
            found = self._bindings.put(xml, bind(self._recipe, self._parse(xml) if xml else None))
            if not found.models:
                _log.warning("project %s: %s", project, found.state())
            for warning in found.warnings:
                _log.warning("project %s: %s", project, warning)
        return found

    def _parse(self, xml: str) -> LabelingConfig:
        """Parse a labeling config. Raises LabelingConfigError if it cannot be read or has too many labels."""
        config = parse_labeling_config(xml)
        labels = sum(len(control.labels) for control in config.controls)
        limit = self._recipe.server.limits.labels
        if labels > limit:
            raise LabelingConfigError(
                f"{labels:,} labels; expected at most {limit:,} (server.limits.labels of the recipe): "
                'keep long lists of labels in the tasks and write value="$field"'
            )
        return config

    def fetch(self, project: str, binding: Binding) -> Fetch:
        """Return the function that reads the files behind the project's URLs, which not every binding needs."""
        row = self._store.projects.get(project) if binding.needs_fetch else None
        key = (project, row.hostname, row.token) if row else (project,)
        return self._fetchers.get(key) or self._fetchers.put(key, fetcher(self._recipe, row))
