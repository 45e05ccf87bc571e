"""The known projects: their labeling config, their Label Studio, their promoted version."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lsml.store.database import Table, durable

LOCAL = "local"  # offline commands, and requests that name no project


@dataclass(frozen=True)
class ProjectRow:
    """One project. `key` is Label Studio's `"<id>.<created>"`, or `local`; hostname and token came with /setup.

    `published`: the number of posted predictions, of all versions; `published_version`: the version of the last.
    """

    key: str
    studio_id: int | None = None
    title: str = ""
    labeling_config: str | None = None
    hostname: str | None = None
    token: str | None = field(default=None, repr=False)
    created_at: float = 0.0
    change: int = 0
    covered: int = 0
    usable: int = 0
    promoted: int | None = None
    synced_to: str | None = None
    sync_wanted: bool = False
    sync_error: str | None = None
    publish_wanted: bool = False
    published: int = 0
    published_version: str | None = None


_COLUMNS = (
    "key, studio_id, title, labeling_config, hostname, token, created_at, change, covered, usable, promoted, synced_to, "
    "sync_wanted, sync_error, publish_wanted, published, published_version"
)


class Projects(Table):
    """Every project of a data directory."""

    def get(self, key: str) -> ProjectRow | None:
        """Return a project, or None."""
        row = self._row(f"SELECT {_COLUMNS} FROM project WHERE key = ?", key)  # noqa: S608 (columns are ours)
        return ProjectRow(*row) if row else None

    def all(self) -> list[ProjectRow]:
        """Return all projects, oldest first."""
        return self._where("1 = 1")

    def to_read(self) -> list[ProjectRow]:
        """Return the projects whose annotations somebody asks to read, oldest first."""
        return self._where("sync_wanted = 1")

    def to_publish(self) -> list[ProjectRow]:
        """Return the projects for which somebody asks for a publishing, oldest first."""
        return self._where("publish_wanted = 1")

    def changed(self) -> list[ProjectRow]:
        """Return the projects with changes that no training covers, oldest first."""
        return self._where("change > covered")

    def _where(self, condition: str) -> list[ProjectRow]:
        rows = self._rows(f"SELECT {_COLUMNS} FROM project WHERE {condition} ORDER BY created_at, key")  # noqa: S608 (ours)
        return [ProjectRow(*row) for row in rows]

    def find(self, key: str) -> ProjectRow | None:
        """Return a project by its key, or by its number in Label Studio or its title where only one has it; else None."""
        found = self.get(key)
        if found is None and key.isascii() and key.isdigit() and len(key) < 18:
            found = self._only("SELECT key FROM project WHERE studio_id = ?", int(key))
        return found or self._only("SELECT key FROM project WHERE title = ? AND title != ''", key)

    def _only(self, sql: str, value: str | int) -> ProjectRow | None:
        rows = self._rows(sql, value)
        return self.get(rows[0][0]) if len(rows) == 1 else None

    @durable
    def touch(
        self,
        key: str,
        *,
        studio_id: int | None = None,
        title: str | None = None,
        labeling_config: str | None = None,
        config_at: float | None = None,
        hostname: str | None = None,
        token: str | None = None,
    ) -> bool:
        """Store the given fields of a project, and keep the others. Return True if it is new.

        A labeling config that is older (`config_at`, seconds) than the stored one does not replace it. Hostname and
        token are kept as a pair.
        """
        now = self._database.now()
        known = self._row("SELECT studio_id, title, labeling_config, config_at FROM project WHERE key = ?", key)
        if known is None:
            self._later("INSERT INTO project (key, created_at) VALUES (?, ?)", key, now)
        known_id, known_title, *known_config = known or (None, "", None, 0.0)
        told = (known_id if studio_id is None else studio_id, known_title if title is None else title)
        if told != (known_id, known_title):
            self._later("UPDATE project SET studio_id = ?, title = ? WHERE key = ?", *told, key)
        at = now if config_at is None else config_at
        # Every webhook brings the config, which rarely changes.
        if labeling_config is not None and [labeling_config, at] != known_config:
            # Another config needs other predictions.
            self._later(
                "UPDATE project SET publish_wanted = CASE WHEN labeling_config = ? THEN publish_wanted ELSE 1 END,"
                " labeling_config = ?, config_at = ? WHERE key = ? AND config_at <= ?",
                labeling_config, labeling_config, at, key, at,
            )  # fmt: skip
        if hostname and token:
            changed = self._run(
                "UPDATE project SET hostname = ?, token = ? WHERE key = ?"
                " AND (coalesce(hostname, '') != ? OR coalesce(token, '') != ?)",
                hostname, token, key, hostname, token,
            )  # fmt: skip
            if changed:
                self._later("UPDATE project SET sync_wanted = 1 WHERE key = ?", key)
        return known is None

    @durable
    def want_sync(self, key: str) -> None:
        """Ask the worker to read the annotations that changed in Label Studio."""
        self._run("UPDATE project SET sync_wanted = 1 WHERE key = ?", key)

    @durable
    def want_syncs_from_start(self, keys: Iterable[str]) -> None:
        """Ask the worker to read all of Label Studio's annotations of some projects."""
        for key in keys:
            self._later("UPDATE project SET sync_wanted = 1, synced_to = NULL WHERE key = ?", key)

    @durable
    def want_publishing(self, key: str) -> None:
        """Ask the worker to publish the promoted version's predictions for tasks without one."""
        self._run("UPDATE project SET publish_wanted = 1 WHERE key = ? AND publish_wanted = 0", key)

    @durable
    def want_publishings(self) -> None:
        """Ask the worker for a publishing of every project."""
        self._run("UPDATE project SET publish_wanted = 1 WHERE publish_wanted = 0")

    @durable
    def add_published(self, key: str, version: str, count: int) -> None:
        """Count predictions of a version that Label Studio stored."""
        self._run(
            "UPDATE project SET published = published + ?, published_version = ? WHERE key = ?", count, version, key
        )

    @durable
    def begin_sync(self, key: str) -> bool:
        """Note that a reading begins; later requests ask for another. Return True if one was asked for."""
        return self._run("UPDATE project SET sync_wanted = 0 WHERE key = ? AND sync_wanted = 1", key) == 1

    @durable
    def synced(self, key: str, since: str | None, to: str | None, error: str | None) -> None:
        """Note that annotations were read, from Label Studio's time `since` to its time `to`; or the error that prevented it.

        Where somebody asked meanwhile for a reading from the start, that is still to come.
        """
        self._run("UPDATE project SET sync_error = ? WHERE key = ?", error, key)
        self._run(
            "UPDATE project SET synced_to = ? WHERE key = ? AND coalesce(synced_to, '') = ?", to, key, since or ""
        )
