"""Versions on disk: a card and one folder for each model, written aside, hashed, synced, renamed; and what is swept."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

import msgspec

from lsml.errors import StoreError
from lsml.files.disk import make_folder, sync
from lsml.store import NOT_KEPT, RunRow, Store, VersionRow
from lsml.versions.card import Card

CARD = "card.json"
_OURS = re.compile(
    r"(\d{8}-\d{6}-)?([0-9a-f]{32}\.\d+\.)?[a-z0-9_]{8}(-adopted)?"
)  # what `publish` and `adopt` name a folder
_ABANDONED_S = 24 * 3600  # an unfinished folder this old belongs to nobody


def new_folder(root: Path, run: RunRow | None = None) -> Path:
    """An empty folder for a version in the making, beside the finished ones so that a rename suffices.

    Its name, and that of the finished folder, tells the run and the attempt that made it.

    Raises StoreError where it cannot be made."""
    try:
        make_folder(root)
        return Path(tempfile.mkdtemp(prefix=f".making-{_owner(run)}", dir=root))
    except OSError as error:
        raise StoreError(f"{root}: cannot make a folder for a version: {error.strerror}") from error


def publish(
    store: Store, project: str, making: Path, card: Card, *, promote: bool, keep: int, run: RunRow | None = None
) -> int:
    """Turn a folder in the making into the project's next version, and end its run; the version's number.

    Files are hashed and synced, then the folder is renamed, then one transaction adds the version, moves the pointer
    and ends the run. Raises Superseded, leaving nothing, where the run's claim is gone.
    """
    from lsml import __version__

    card.created_at = time.time()
    card.lsml = __version__
    card.files = {}
    try:
        _seal(making, card)
        folder = (
            f"{slug(project)}/{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{making.name.removeprefix('.making-')}"
        )
        final = store.versions_directory / folder
        _put(making, final)
    except OSError as error:
        shutil.rmtree(making, ignore_errors=True)
        raise StoreError(f"{making}: cannot save the version: {error.strerror}; the one before stays") from error
    try:
        number, forgotten = store.publish(
            project, folder, msgspec.to_builtins(card), promote=promote, keep=keep, run=run,
            message=card.verdict,
        )  # fmt: skip
    except BaseException:
        shutil.rmtree(final, ignore_errors=True)
        raise
    if number in {old.number for old in forgotten}:
        card.notes.append(NOT_KEPT)
    for old in forgotten:
        shutil.rmtree(store.versions_directory / old.folder, ignore_errors=True)
    return number


def adopt(store: Store, project: str, row: VersionRow) -> None:
    """Give a project a copy of another project's version, promoted, with the same number."""
    source = store.versions_directory / row.folder
    making = new_folder(store.versions_directory)
    folder = f"{slug(project)}/{making.name.removeprefix('.making-')}-adopted"
    final = store.versions_directory / folder
    try:
        shutil.copytree(source, making, dirs_exist_ok=True, copy_function=_link_or_copy)
        for path in [making, *making.rglob("*")]:
            sync(path)
        _put(making, final)
    except OSError as error:
        shutil.rmtree(making, ignore_errors=True)
        raise StoreError(f"{source}: cannot be copied for project {project}: {error.strerror}") from error
    store.versions.add(project, folder, row.card, promote=True, run=None, number=row.number)


def sweep_attempt(store: Store, run: RunRow) -> None:
    """Remove what one attempt of a run left when its process was killed: a folder in the making, or one that no version
    names. Only its worker may call this, once the process is gone."""
    root = store.versions_directory
    named = store.versions.folders()
    for path in [*root.glob(f".making-{_owner(run)}*"), *root.glob(f"*/*-{_owner(run)}*")]:
        if path.relative_to(root).as_posix() not in named:
            shutil.rmtree(path, ignore_errors=True)


def _owner(run: RunRow | None) -> str:
    return f"{run.id}.{run.attempt}." if run is not None else ""


def sweep_folders(store: Store) -> None:
    """Remove what crashed processes left: folders in the making, and finished ones that no version names, once old."""
    root = store.versions_directory
    if not root.is_dir():
        return
    named = store.versions.folders()
    found = [path for path in root.iterdir() if path.name.startswith(".making-")]
    for project in root.iterdir():
        if project.name.startswith(".") or not project.is_dir():
            continue
        for path in project.iterdir():
            # Whoever points --data-dir at a folder of theirs keeps what is in it.
            ours = _OURS.fullmatch(path.name) and (path / CARD).is_file()
            if ours and f"{project.name}/{path.name}" not in named:
                found.append(path)
    for path in found:
        if time.time() - path.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)


def slug(project: str) -> str:
    """A project key as one safe folder name; keys that look alike stay apart."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.]{0,63}", project):
        return project
    return (
        re.sub(r"[^A-Za-z0-9]+", "-", project).strip("-")[:40] + "-" + hashlib.sha256(project.encode()).hexdigest()[:12]
    )


def _seal(folder: Path, card: Card) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            path.chmod(0o600)
            card.files[path.relative_to(folder).as_posix()] = file_hash(path)
            sync(path)
        else:
            path.chmod(0o700)
            sync(path)
    target = folder / CARD
    target.write_text(json.dumps(msgspec.to_builtins(card), indent=1), encoding="utf-8")
    target.chmod(0o600)
    sync(target)
    sync(folder)


def _put(making: Path, final: Path) -> None:
    """Rename a folder, whose content is synced, to its place, and sync the names on the way there. Raises OSError."""
    make_folder(final.parent)
    making.rename(final)
    sync(final.parent)
    sync(making.parent)


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
