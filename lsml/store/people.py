"""The e-mail addresses of annotators, for whom webhooks only send a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lsml.store.database import Table, durable

# The annotator of annotation `a`: number and, where it is known, e-mail address; and the join that it needs.
ANNOTATOR: Final = "a.annotator || coalesce(nullif(' ' || p.email, ' '), '')"
PERSON: Final = "LEFT JOIN person p ON p.project = a.project AND p.id = a.annotator"


class People(Table):
    """The annotators of every project. Users without annotations are not stored."""

    @durable
    def tell(self, project: str, emails: Mapping[str, str]) -> None:
        """Store the e-mail addresses of a project's annotators, by number; the others are marked as unknown."""
        for (annotator,) in self._rows("SELECT DISTINCT annotator FROM annotation WHERE project = ?", project):
            if annotator.isascii() and annotator.isdigit():
                self._run(
                    "INSERT INTO person (project, id, email) VALUES (?, ?, ?)"
                    " ON CONFLICT (project, id) DO UPDATE SET email = excluded.email",
                    project, annotator, "".join(emails.get(annotator, "").split()),
                )  # fmt: skip

    def has_strangers(self, project: str) -> bool:
        """Return True if the e-mail address of one of a project's annotators was never asked for."""
        row = self._row(
            f"SELECT 1 FROM annotation a {PERSON} WHERE a.project = ? AND a.annotator != ''"  # noqa: S608 (ours)
            " AND trim(a.annotator, '0123456789') = '' AND p.id IS NULL LIMIT 1",
            project,
        )
        return row is not None
