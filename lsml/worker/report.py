"""What every run needs: the binding of its project, and its progress in the ledger."""

from __future__ import annotations

import time

from lsml.binding import Binding, bind
from lsml.binding.configs import known_config
from lsml.labeling import parse_labeling_config
from lsml.recipe import Recipe
from lsml.store import LOCAL, ProjectRow, RunRow, Store


def binding_of(recipe: Recipe, project: ProjectRow | None) -> Binding:
    """The recipe bound to the labeling config that counts for a project."""
    stored = project.labeling_config if project else None
    xml = known_config(recipe, stored=stored, of_project=project is not None and project.key != LOCAL)
    return bind(recipe, parse_labeling_config(xml) if xml else None)


class Reporter:
    """Progress into the ledger, once a second at most."""

    def __init__(self, store: Store, run: RunRow) -> None:
        self._store = store
        self._run = run
        self._share = 0.0
        self._reported = 0.0

    def __call__(self, share: float, message: str) -> None:
        """Show a share in [0, 1], and a message."""
        self._share = share
        now = time.monotonic()
        if now - self._reported >= 1.0:
            self.say(message, now)

    def say(self, message: str, now: float | None = None) -> None:
        """Show a message at once, at the share that was last told."""
        self._reported = time.monotonic() if now is None else now
        self._store.runs.report(self._run.id, self._run.attempt, self._share, message)
