"""Saving versions: a card and one folder for each model, hashed, put into the artifact store, and added to the store."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from lsml.errors import StoreError, Unreachable
from lsml.files.digests import file_digest
from lsml.store import NOT_KEPT, RunRow, Store, Superseded, VersionRow
from lsml.store.artifacts import CARD
from lsml.versions.card import Card

_log = logging.getLogger(__name__)
_PATIENCE_S: Final = 60.0  # for a database that does not answer


def new_folder(store: Store, run: RunRow | None = None) -> Path:
    """Return an empty folder for a version in the making. Raises StoreError where it cannot be made.

    Its name, like that of the finished folder, holds the run and the attempt that made it.
    """
    try:
        return store.artifacts.new_folder(_owner(run))
    except OSError as error:
        where = error.filename or store.directory
        raise StoreError(f"{where}: cannot make a folder for a version: {error.strerror}") from error


def save_version(
    store: Store, project: str, making: Path, card: Card, *, promote: bool, keep: int, run: RunRow | None = None
) -> int:
    """Turn a folder in the making into the project's next version, and end its run. Return the version's number.

    Files are hashed, then the folder is put into the artifact store. Then one transaction adds the version, moves the
    pointer and ends the run. Raises Superseded, leaving nothing, where the run's claim is gone.
    """
    from lsml import __version__

    card.created_at = time.time()
    card.lsml = __version__
    card.files = {}
    try:
        _seal(making, card)
        folder = store.artifacts.put(making, project)
    except OSError as error:
        shutil.rmtree(making, ignore_errors=True)
        raise StoreError(f"{making}: cannot save the version: {error.strerror}; the old version stays") from error

    def add() -> tuple[int, list[VersionRow]]:
        return store.add_version(
            project, folder, msgspec.to_builtins(card), promote=promote, keep=keep, run=run, message=card.verdict
        )

    try:
        number, forgotten = _added(store, project, folder, add)
    except Unreachable:
        raise  # it may have been added: the files stay, and are swept where no version names them
    except BaseException:
        store.artifacts.delete(folder)
        raise
    if number in {old.number for old in forgotten}:
        card.notes.append(NOT_KEPT)
    for old in forgotten:
        store.artifacts.delete(old.folder)
    return number


def _added(
    store: Store, project: str, folder: str, add: Callable[[], tuple[int, list[VersionRow]]]
) -> tuple[int, list[VersionRow]]:
    """Add a version, again and again while the database does not answer, so that a restart of it costs no training."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return add()
        except Unreachable as error:
            if time.monotonic() > until:
                raise
            _log.warning("%s", error)
        except Superseded:
            # Its end may have been stored by a try whose answer was lost.
            known = store.versions.number_of(project, folder)
            if known is None:
                raise
            return known, []
        time.sleep(1)


def adopt(store: Store, project: str, row: VersionRow) -> None:
    """Give a project a copy of another project's version, promoted, with the same number. Raises StoreError."""
    try:
        folder = store.artifacts.copy(row.folder, project)
    except OSError as error:
        raise StoreError(f"{row.folder}: cannot be copied for project {project}: {error.strerror}") from error
    store.versions.add(project, folder, row.card, promote=True, run=None, number=row.number)


def sweep_attempt(store: Store, run: RunRow) -> None:
    """Remove leftovers of one attempt of a run whose process was killed: a folder in the making, or one that no version
    names.

    Only its worker may call this, once the process is gone.
    """
    store.artifacts.sweep_owner(_owner(run), store.versions.folders())


def sweep_folders(store: Store) -> None:
    """Remove leftovers of crashed processes, once old: folders in the making, and finished ones that no version names."""
    store.artifacts.sweep(store.versions.folders())


def _owner(run: RunRow | None) -> str:
    return f"{run.id}.{run.attempt}." if run is not None else ""


def _seal(folder: Path, card: Card) -> None:
    """Add the hash of every file to the card, and write the card beside them."""
    card.files = {
        path.relative_to(folder).as_posix(): file_digest(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    (folder / CARD).write_text(json.dumps(msgspec.to_builtins(card), indent=1), encoding="utf-8")
