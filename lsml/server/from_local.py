"""The start of new projects from the served version of the project `local`, which was trained offline."""

from __future__ import annotations

import logging

from lsml.binding import Binding
from lsml.errors import LabelingConfigError
from lsml.server.bindings import Bindings
from lsml.server.promoted import Promoted
from lsml.store import LOCAL, Store
from lsml.versions import adopt, unlike

_log = logging.getLogger(__name__)


class FromLocal:
    """The starting point of new projects."""

    def __init__(self, store: Store, bindings: Bindings, promoted: Promoted) -> None:
        self._store = store
        self._bindings = bindings
        self._promoted = promoted

    def start(self, project: str, labeling_config: str | None) -> None:
        """Give a new project the version that `local` serves, if it fits; else log the reason."""
        row = self._store.versions.served(LOCAL)
        try:
            binding = self._bindings.of(project, labeling_config)
        except LabelingConfigError:
            return
        if row is None or self._promoted.card(row) is None or not any(model.learns for model in binding.models):
            return
        why = self.unlike(binding)
        if why is None:
            adopt(self._store, project, row)
            _log.info("project %s: starts from v%d of project %s", project, row.number, LOCAL)
        else:
            _log.info("project %s: %s", project, why)

    def unlike(self, binding: Binding) -> str | None:
        """Return why a project of this binding does not start from the version that `local` serves; None if it does, or if
        `local` serves none."""
        row = self._store.versions.served(LOCAL)
        card = self._promoted.card(row) if row else None
        why = unlike(binding, self._bindings.of(LOCAL, None), row.number, card) if row and card else None
        return f"does not start from v{row.number} of project {LOCAL}: {why}" if row and why else None
