"""Durable state: projects, annotations, training runs, versions, the promoted version; and the files of versions.

By default SQLite in WAL mode and folders under the data directory; or engines that several machines share, which
`storage` of the recipe names. Every public method is one transaction, which is safe on disk when it returns. Times are
seconds since the epoch, by the database's clock.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lsml.errors import NoRoom, StoreError
from lsml.files.disk import command_to_write, make_folder
from lsml.recipe import Storage
from lsml.store.actions import Action, Actions
from lsml.store.annotations import Annotations
from lsml.store.artifacts import open_artifacts
from lsml.store.beginnings import Beginnings
from lsml.store.changes import AnnotationSeen
from lsml.store.claims import Claims, Superseded
from lsml.store.copying import copy_database, copy_rows
from lsml.store.database import durable, open_database
from lsml.store.people import People
from lsml.store.projects import LOCAL, ProjectRow, Projects
from lsml.store.reviews import Reviews
from lsml.store.run_lines import RunLine, RunLines
from lsml.store.runs import RunRow, Runs
from lsml.store.sqlite import FILE as DATABASE_FILE
from lsml.store.sqlite import Sqlite
from lsml.store.submissions import Submission, Submissions
from lsml.store.version_rows import NOT_KEPT, VersionRow, VersionRows
from lsml.store.workers import Workers

_IN_DIRECTORY = Storage()


def make_data_directory(directory: Path) -> None:
    """Make a data directory, which only its owner can use, where it is missing. Raises StoreError where it cannot be made or
    written, with the command that lets this user do so.
    """
    try:
        make_folder(directory)
    except OSError as error:
        command = command_to_write(directory) if isinstance(error, PermissionError) else None
        raise StoreError(
            f"{directory}: cannot make the data directory: {error.strerror}; {_advice(command)}"
        ) from error
    for path in (directory, directory / DATABASE_FILE):
        if path.exists() and (command := command_to_write(path, directory)) is not None:
            raise StoreError(f"{path}: cannot be written by user {os.getuid()}; {_advice(command)}")


def _advice(command: str | None) -> str:
    """Return what to do about a data directory. `command`: what makes it writable, if anything does."""
    remedy = f"run `{command}` as root (of a container's volume, on its host), or " if command else ""
    return f"{remedy}name another with --data-dir"


class Store:
    """One data directory, or what takes its place. Thread-safe; several processes may open the same one.

    `storage`: the engines, and `name`: the recipe's, as several recipes share an engine. Raises StoreError, with a
    sentence, where one cannot be opened, written or understood.
    """

    def __init__(self, directory: Path, storage: Storage = _IN_DIRECTORY, name: str = "lsml") -> None:
        self.directory = directory
        make_data_directory(directory)
        self._database = open_database(directory, storage.database, name)
        self.projects = Projects(self._database)
        self.annotations = Annotations(self._database)
        self.runs = Runs(self._database)
        self.claims = Claims(self._database)
        self.versions = VersionRows(self._database)
        self.workers = Workers(self._database)
        self.submissions = Submissions(self._database)
        self.beginnings = Beginnings(self._database)
        self.people = People(self._database)
        self.actions = Actions(self._database)
        self.reviews = Reviews(self._database)
        self.run_lines = RunLines(self._database)
        self.artifacts = open_artifacts(directory / "versions", storage.artifacts, name)

    @durable
    def add_version(
        self,
        project: str,
        folder: str,
        card: dict[str, object],
        *,
        promote: bool,
        keep: int,
        run: RunRow | None,
        message: str,
    ) -> tuple[int, list[VersionRow]]:
        """Add a version, end its run with its number and `message`, move the pointer, and delete versions beyond `keep`.

        Return the number, and the deleted versions.
        """
        number = self.versions.add(project, folder, card, promote=promote, run=run.id if run else None)
        forgotten = self.versions.prune(project, keep)
        if run is not None:
            if number in {version.number for version in forgotten}:
                message = f"{message}; {NOT_KEPT}"
            self.claims.finish(run.id, run.attempt, "done", f"v{number}: {message}", number)
        return number, forgotten

    @durable
    def delete_old_runs(self, age_s: float) -> int:
        """Delete some of the runs that ended `age_s` seconds ago or earlier, with their logs. Return how many; 0 at last."""
        ended = self.runs.delete_ended(age_s)
        for run in ended:
            self.run_lines.delete(run)
        return len(ended)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Store everything within as one transaction, which waits for the disk once. Raises StoreError."""
        with self._database.write_transaction():
            yield

    def copy_database(self, target: Path) -> list[VersionRow]:
        """Copy the database as `lsml.store.copying.copy_database` does."""
        return copy_database(self._database, target)

    def move_to(self, other: Store, address: str, share: Callable[[], None]) -> None:
        """Copy every row of a data directory into a store that has none; from then on every process refuses to write here.

        Writers wait meanwhile, so nothing that was acknowledged is lost. `share` is called while they wait, and brings the
        files of versions there. Raises StoreError.
        """
        assert isinstance(self._database, Sqlite), "only a data directory is moved"
        with self._database.write_transaction():
            share()
            copy_rows(self._database, other._database)
            self._database.seal(f"was moved to {address}")

    def check_room(self, least_free: int) -> None:
        """Raise NoRoom where the data directory's disk has fewer free bytes than `least_free`."""
        free = shutil.disk_usage(self.directory).free
        if free < least_free:
            raise NoRoom(
                f"{self.directory}: {free / 1e6:,.0f} MB are free on its disk; expected at least "
                f"{least_free / 1e6:,.0f} MB (server.limits.free_disk of the recipe); make room"
            )

    def close(self) -> None:
        """Close this thread's connection."""
        self._database.close()


__all__ = [
    "LOCAL",
    "NOT_KEPT",
    "Action",
    "AnnotationSeen",
    "ProjectRow",
    "RunLine",
    "RunRow",
    "Store",
    "Submission",
    "Superseded",
    "VersionRow",
    "make_data_directory",
]
