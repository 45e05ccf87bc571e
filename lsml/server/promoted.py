"""The version that each project serves: the promoted one or, if its files are broken, the newest sound one."""

from __future__ import annotations

import logging
import time

from lsml.binding import Binding
from lsml.errors import LsmlError
from lsml.server.recent import Recent
from lsml.store import Store, VersionRow
from lsml.versions import Card, card_of, model_version

_log = logging.getLogger(__name__)
_LOOK_AGAIN_S = 30.0  # the time before a version that could not be loaded is tried again


class Promoted:
    """The versions of every project in the store: the promoted one, the cards, the names, and the broken ones."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cards: Recent[Card] = Recent()
        self._names: Recent[str] = Recent()
        self._broken: Recent[tuple[str, float]] = Recent()

    def name(self, project: str, binding: Binding, number: int, card: Card | None) -> str:
        """Return the `model_version` of a version under a binding, cached: with many labels it takes milliseconds."""
        key = (project, number, binding.config.digest if binding.config else None, *binding.elsewhere)
        return self._names.get(key) or self._names.put(key, model_version(binding, number, card, project))

    def of(self, project: str) -> tuple[int, Card | None]:
        """Return (number, card) of the promoted version or, if its files are broken, of the newest sound one.

        (0, None) stands for the starting point.
        """
        number = self._store.versions.promoted(project)
        if number is None:
            return 0, None
        if self.why_broken(project, number) is None:
            card = self._cards.get((project, number))
            if card is not None:
                return number, card
        for known in sorted(self._store.versions.numbers(project), key=lambda one: (one != number, -one)):
            row = None if self.why_broken(project, known) is not None else self._store.versions.get(project, known)
            if row is None or (card := self.card(row)) is None:
                continue
            # Only a version that was served before may replace it.
            if row.number == number or card.promoted:
                return row.number, card
        return 0, None

    def names(self, project: str, binding: Binding) -> dict[str, int]:
        """Return the number of every readable version of a project by `model_version`, the served one first."""
        number, card = self.of(project)
        names = {self.name(project, binding, number, card): number}
        for row in self._store.versions.of_project(project):
            if (found := self.card(row)) is not None:
                names.setdefault(self.name(project, binding, row.number, found), row.number)
        return names

    def card(self, row: VersionRow) -> Card | None:
        """Return a version's card; None, logged once, if it cannot be read."""
        card = self._cards.get((row.project, row.number))
        if card is None and self.why_broken(row.project, row.number) is None:
            try:
                card = self._cards.put((row.project, row.number), card_of(row))
            except LsmlError as error:
                self.note_broken(row.project, row.number, error)
                _log.error("project %s: %s", row.project, error)
        return card

    def note_broken(self, project: str, number: int, error: Exception) -> None:
        """Remember for a while that a version cannot be served."""
        self._broken.replace((project, number), (str(error), time.monotonic()))

    def why_broken(self, project: str, number: int) -> str | None:
        """Return why a version cannot be served; None if it can, or if it is time to try again, because files may be
        restored.
        """
        found = self._broken.get((project, number))
        return found[0] if found is not None and time.monotonic() - found[1] < _LOOK_AGAIN_S else None
