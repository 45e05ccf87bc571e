"""A whole data directory as one zip file: projects, annotations, runs and versions, each with its hash.

`manifest.json` names every other member with its SHA-256. `lsml.db` is a copy of the database, which may be made while lsml
serves. `versions/` holds the folders that this copy names. Tokens from Label Studio are left out.
"""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
from filelock import FileLock, Timeout

from lsml.errors import NoRoom, RequestError, StoreError, VersionError
from lsml.files.digests import file_digest, write_digested
from lsml.files.disk import make_folder, sync
from lsml.store import Store, VersionRow
from lsml.store.sqlite import close_journal
from lsml.versions.card import card_of
from lsml.versions.loading import check_files

FORMAT: Final = 1
_MANIFEST, _DATABASE, _VERSIONS = "manifest.json", "lsml.db", "versions"
_EXPORTING: Final = ".exporting-"
_IMPORTING: Final = ".importing-"
_LARGEST_MANIFEST = 64 * 2**20
_HELD: Final = (_DATABASE, f"{_DATABASE}-wal", f"{_DATABASE}-shm", _VERSIONS)  # the data of a directory
_TRIES = 3  # a version may be deleted while its files are read
_CHUNK = 2**20
_UNUSUAL: Final = 0x61  # flags of members that are encrypted or patched, which no export has


class Manifest(msgspec.Struct, frozen=True):
    """The list of an export's members: `files` holds the SHA-256 of each."""

    recipe: str
    lsml: str
    made_at: float
    files: dict[str, str]
    format: int = FORMAT


def export_to(store: Store, recipe: str, file: Path) -> tuple[Manifest, list[str]]:
    """Write a data directory into `file`, completely or not at all; lsml may be serving.

    Return the manifest, and a sentence for each version whose files are missing or were changed, and so are left out.
    Raises StoreError, also where another export of the directory is at work.
    """
    for attempt in range(1, _TRIES + 1):
        try:
            with _alone(store.directory, "export", _EXPORTING):
                for path in file.parent.glob(f".{glob.escape(file.name)}.{'[a-z0-9_]' * 8}"):
                    path.unlink(missing_ok=True)  # of a killed export
                return _export(store, recipe, file)
        except FileNotFoundError as error:
            if attempt == _TRIES:
                raise StoreError(f"{error.filename}: was deleted with its version; try again") from None
        except OSError as error:
            raise StoreError(f"{file}: cannot be written: {error.strerror}") from error
    raise AssertionError("the last try returns or raises")


@contextmanager
def _alone(directory: Path, command: str, making: str) -> Iterator[None]:
    """Hold the directory's lock for a command, and remove the folders in the making that killed ones left."""
    lock = FileLock(directory / f"{command}.lock", mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(f"{directory}: another `lsml {command}` is at work; wait until it has ended") from None
    try:
        for folder in directory.glob(f"{making}*"):
            shutil.rmtree(folder, ignore_errors=True)
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            Path(lock.lock_file).unlink()  # while it is held, so that nobody else holds a file that is gone
        lock.release()


def _export(store: Store, recipe: str, file: Path) -> tuple[Manifest, list[str]]:
    from lsml import __version__

    files: dict[str, str] = {}
    broken = []
    with tempfile.TemporaryDirectory(prefix=_EXPORTING, dir=store.directory) as folder:
        database = Path(folder) / _DATABASE
        members = {_DATABASE: database}
        for version in store.copy_database(database):
            try:
                root, known = _sound(store, version)
            except VersionError as error:
                if store.versions.number_of(version.project, version.folder) is None:
                    raise FileNotFoundError(2, "deleted meanwhile", version.folder) from None
                broken.append(f"v{version.number} of project {version.project}: {error}")
                continue
            inside = f"{_VERSIONS}/{version.folder}"
            files |= {f"{inside}/{name}": digest for name, digest in known.items()}
            members |= {
                f"{inside}/{path.relative_to(root).as_posix()}": path
                for path in sorted(root.rglob("*")) if path.is_file()
            }  # fmt: skip
        files = {name: files.get(name) or file_digest(path) for name, path in members.items()}
        manifest = Manifest(recipe, __version__, time.time(), files)
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # which only its owner can read
        os.close(descriptor)
        made = Path(name)
        try:
            with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(_MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
                for name, path in members.items():
                    archive.write(path, name)
            sync(made)
            made.replace(file)
        finally:
            made.unlink(missing_ok=True)
    return manifest, broken


def _sound(store: Store, version: VersionRow) -> tuple[Path, dict[str, str]]:
    """Return the folder of a version, and the hashes of its files, which were compared. Raises VersionError."""
    root, card = store.artifacts.open(version.folder), card_of(version)
    check_files(root, card)
    return root, card.files


def import_from(file: Path, directory: Path, *, force: bool = False) -> tuple[Manifest, Path | None]:
    """Make a data directory from an export. Everything is checked before it is put in place; after an error nothing is
    left.

    With `force`, data that the directory holds is moved into a folder within it. Return the manifest, and that folder
    if there is one. Raises RequestError where the file is no export or was changed, or the directory holds data
    already, and StoreError where it cannot be written or another process uses it.
    """
    held = [path for path in map(directory.joinpath, _HELD) if path.exists()]
    if held and not force:
        raise RequestError(
            f"{directory}: already holds data; give another directory with --data-dir, or add --force to move the data "
            "aside"
        )
    try:
        make_folder(directory)
        with (
            zipfile.ZipFile(file) as archive,
            _alone(directory, "import", _IMPORTING),
            tempfile.TemporaryDirectory(prefix=_IMPORTING, dir=directory) as folder,
        ):
            manifest = _manifest(archive, file)
            _unpack(archive, manifest, file, Path(folder))
            _check_database(Path(folder), file)
            aside = _move_aside(held, directory) if held else None
            _put_in_place(Path(folder), directory)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise RequestError(f"{file}: is not a file of `lsml export`, or is damaged or truncated: {error}") from None
    except OSError as error:
        if error.filename is not None and Path(os.fsdecode(error.filename)) == file:
            raise RequestError(f"{file}: cannot be read: {error.strerror}") from None
        raise StoreError(f"{directory}: cannot be written: {error.strerror}") from error
    return manifest, aside


def _manifest(archive: zipfile.ZipFile, file: Path) -> Manifest:
    """Return the manifest, once it is checked that it names every member and that none would be written outside the folder."""
    try:
        info = archive.getinfo(_MANIFEST)
        if info.file_size > _LARGEST_MANIFEST or not all(map(_is_usual, archive.infolist())):
            raise ValueError
        manifest = msgspec.json.decode(archive.read(info), type=Manifest)
    except (KeyError, ValueError, msgspec.ValidationError):
        raise RequestError(f"{file}: is not a file of `lsml export`") from None
    if manifest.format != FORMAT:
        raise RequestError(
            f"{file}: has format {manifest.format}, and this lsml reads {FORMAT}; use the lsml that wrote it"
        )
    names = [info.filename for info in archive.infolist() if info.filename != _MANIFEST]
    if sorted(names) != sorted(manifest.files) or _DATABASE not in names or not all(map(_is_ours, names)):
        raise RequestError(f"{file}: has other files than its manifest; it was changed after the export")
    return manifest


def _is_usual(info: zipfile.ZipInfo) -> bool:
    return info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and not info.flag_bits & _UNUSUAL


def _is_ours(name: str) -> bool:
    parts = PurePosixPath(name).parts
    inside = not any(part in ("..", "/") or "\\" in part or ":" in part for part in parts)
    return inside and (name == _DATABASE or (len(parts) > 2 and parts[0] == _VERSIONS))


def _unpack(archive: zipfile.ZipFile, manifest: Manifest, file: Path, folder: Path) -> None:
    infos = [archive.getinfo(name) for name in manifest.files]
    needed, free = sum(info.file_size for info in infos), shutil.disk_usage(folder).free
    if needed > free:
        raise NoRoom(
            f"{folder.parent}: {free / 1e6:,.0f} MB are free, and {needed / 1e6:,.0f} MB are needed; make room"
        )
    for info in infos:
        target = folder / info.filename
        make_folder(target.parent)
        with archive.open(info) as source, target.open("xb") as out:
            digest = write_digested(out, _chunks(source.read, info.file_size))
        target.chmod(0o600)
        sync(target)
        if digest != manifest.files[info.filename]:
            raise RequestError(f"{file}: {info.filename} was changed or damaged; export again, or copy the file again")


def _chunks(read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    while size > 0:
        chunk = read(min(_CHUNK, size))
        if not chunk:
            return
        size -= len(chunk)
        yield chunk


def _check_database(folder: Path, file: Path) -> None:
    """Bring the tables up to date. Raises RequestError where a newer lsml made them, or they cannot be read."""
    try:
        Store(folder).close()
    except StoreError as error:
        raise RequestError(f"{file}: {str(error).removeprefix(f'{folder}{os.sep}')}") from None


def _move_aside(held: list[Path], directory: Path) -> Path:
    """Move the data of a directory into a new folder within it, as the directory may be a disk of its own. Return the folder.

    Raises StoreError where a process uses the data.
    """
    database = directory / _DATABASE
    if database in held:
        close_journal(database)
    aside = directory / time.strftime("replaced-%Y%m%d-%H%M%S", time.gmtime())
    aside.mkdir(mode=0o700)
    for path in held:
        if path.exists():
            path.rename(aside / path.name)
    sync(aside)
    return aside


def _put_in_place(folder: Path, directory: Path) -> None:
    """Move versions and then the database into place, so that a database never names versions that are missing."""
    versions = directory / _VERSIONS
    if (folder / _VERSIONS).is_dir():
        (folder / _VERSIONS).rename(versions)
    (folder / _DATABASE).rename(directory / _DATABASE)
    sync(directory)
