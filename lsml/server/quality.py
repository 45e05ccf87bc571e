"""The live quality of each project: the corrections of predictions by annotators, computed again only after a change."""

from __future__ import annotations

from lsml.learning.corrections import MOST, Corrections, corrections
from lsml.server.serving import Serving
from lsml.store import ProjectRow, Store


class Quality:
    """The corrections of predictions of every project."""

    def __init__(self, store: Store, serving: Serving) -> None:
        self._store = store
        self._serving = serving
        self._known: dict[str, tuple[object, Corrections]] = {}

    def of(self, project: ProjectRow) -> Corrections:
        """Return the corrections of predictions in the latest annotations of a project.

        Raises LabelingConfigError where the project's labeling config cannot be read.
        """
        state = (project.change, project.synced_to, project.labeling_config)
        known = self._known.get(project.key)
        if known is not None and known[0] == state:
            return known[1]
        binding = self._serving.bindings.of(project.key, None)
        found = corrections(binding, self._store.beginnings.latest(project.key, MOST))
        self._known[project.key] = state, found
        return found
