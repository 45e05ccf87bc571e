"""The files of versions in an object store, such as S3, which machines share. Each machine keeps copies in its data directory.

A kept folder is one object for each file, and at last its manifest, `<folder>.json`, with their hashes: a folder without
one is not complete. The copies are put in place by a rename, once every hash was checked.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import fsspec
import msgspec

from lsml.errors import StoreError, VersionError
from lsml.files.digests import file_digest
from lsml.files.pickles import pickle_in
from lsml.store.artifacts import ABANDONED_S, Artifacts, LocalArtifacts

_MANIFEST: Final = ".json"
_PROBE: Final = "probe"
_MOST_COPIES: Final = 10  # of each project on a machine, as another one deletes versions
_PAUSES_S: Final = (1.0, 5.0, 20.0)  # before the next try of a service that refuses to keep a folder
_log = logging.getLogger(__name__)


class ObjectArtifacts(Artifacts):
    """The folders of one recipe under an address of fsspec. `copies`: those on this machine."""

    def __init__(self, url: str, copies: Path) -> None:
        self.copies = LocalArtifacts(copies)
        self._url = url
        options: dict[str, bool] = {"auto_mkdir": True} if url.startswith("file:") else {}
        try:
            # No listing is remembered, as other machines put and delete. Nor is the service: the environment has its address.
            self._files, self._root = fsspec.core.url_to_fs(
                url, use_listings_cache=False, skip_instance_cache=True, **options
            )
        except (ImportError, ValueError) as error:
            raise StoreError(f"{url}: {error}; see storage.artifacts of the recipe") from None

    def new_folder(self, owner: str = "") -> Path:
        """See Artifacts."""
        return self.copies.new_folder(owner)

    def put(self, making: Path, project: str) -> str:
        """See Artifacts. The folder becomes this machine's copy."""
        _refuse_pickles(making)
        name = self.copies.put(making, project)
        self.copies.keep_newest(name, _MOST_COPIES)
        try:
            self._put(name)
        except BaseException:
            self.delete(name)
            raise
        return name

    def _put(self, name: str) -> None:
        """Send this machine's copy, and try again where the service refuses for a moment."""
        for pause_s in (*_PAUSES_S, None):
            try:
                with self._refusals():
                    self._complete(name, self._upload(name))
                return
            except OSError as error:
                if pause_s is None:
                    raise
                _log.warning("%s/%s: cannot be written: %s; trying again", self._url, name, error.strerror or error)
                time.sleep(pause_s)

    def share(self, name: str) -> None:
        """See Artifacts."""
        _refuse_pickles(self.copies.open(name))
        with self._refusals():
            hashes = self._upload(name)
            for file, expected in hashes.items():
                with self._files.open(self._at(name, file), "rb") as kept:
                    if hashlib.file_digest(kept, "sha256").hexdigest() != expected:
                        raise OSError(5, "has other content than the file that was sent", f"{self._url}/{name}/{file}")
            self._complete(name, hashes)

    def copy(self, name: str, project: str) -> str:
        """See Artifacts."""
        try:
            self.open(name)
        except VersionError as error:
            raise OSError(5, str(error), name) from error
        making = self.copies.copy(name, project)
        with self._refusals():
            hashes = self._manifest(name)
            for file in hashes:
                self._files.cp_file(self._at(name, file), self._at(making, file))
            self._complete(making, hashes)
        return making

    def open(self, name: str) -> Path:
        """See Artifacts."""
        folder = self.copies.open(name)
        if not folder.is_dir():
            self._bring(name)
        return folder

    def bring_again(self, name: str) -> bool:
        """See Artifacts."""
        self.copies.delete(name)
        self._bring(name)
        return True

    def lost(self, named: Set[str]) -> list[str]:
        """See Artifacts."""
        kept = {name: set(paths) for name, paths in self._kept().items()}
        found = []
        for name in sorted(named):
            folder = self.copies.open(name)
            if not folder.is_dir():
                continue
            files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
            if not kept.get(name, set()) >= {self._at(name) + _MANIFEST, *(self._at(name, file) for file in files)}:
                found.append(name)
        return found

    def check(self) -> None:
        """See Artifacts."""
        with self._refusals():
            self._files.pipe_file(self._at(_PROBE), b"")
            self._files.rm_file(self._at(_PROBE))

    def delete(self, name: str) -> None:
        """See Artifacts. The manifest goes first, so that nobody opens half a folder."""
        with suppress(OSError), self._refusals():
            kept = self._files.find(self._at(name))
            for path in [self._at(name) + _MANIFEST, *kept]:
                with suppress(FileNotFoundError):
                    self._files.rm_file(path)
        self.copies.delete(name)

    def sweep(self, named: Set[str]) -> None:
        """See Artifacts."""
        self.copies.sweep(named)
        for name, paths in self._kept().items():
            if name not in named and all(self._age_s(path) > ABANDONED_S for path in paths):
                self.delete(name)

    def sweep_owner(self, owner: str, named: Set[str]) -> None:
        """See Artifacts."""
        self.copies.sweep_owner(owner, named)
        for name in self._kept():
            if f"-{owner}" in name.rpartition("/")[2] and name not in named:
                self.delete(name)

    def _bring(self, name: str) -> None:
        """Copy a kept folder to this machine, once its hashes are right."""
        try:
            making = self.new_folder()
            with self._refusals(), _gone_after_an_error(making):
                hashes = self._manifest(name)
                for file, expected in hashes.items():
                    target = making / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self._files.get_file(self._at(name, file), str(target))
                    if file_digest(target) != expected:
                        raise OSError(5, "was changed after it was saved", file)
                self.copies.keep_as(making, name)
            self.copies.keep_newest(name, _MOST_COPIES)
        except FileNotFoundError:
            raise VersionError(
                f"{self._url}/{name}: is not there, or not complete; a machine that has a copy gives it back, else restore it, "
                "or promote another version"
            ) from None
        except OSError as error:
            raise VersionError(
                f"{self._url}/{name}: cannot be read: {error.strerror or error}; lsml tries again"
            ) from error

    def _manifest(self, name: str) -> dict[str, str]:
        """Return the hash of each file of a kept folder. Raises FileNotFoundError where it is not complete."""
        written = self._files.cat_file(self._at(name) + _MANIFEST)
        try:
            hashes = msgspec.json.decode(written, type=dict[str, str])
        except (ValueError, msgspec.ValidationError):
            raise FileNotFoundError(2, "Not a manifest", name) from None
        if any(".." in Path(file).parts or Path(file).is_absolute() for file in hashes):
            raise OSError(5, "its manifest names files elsewhere", name)
        return hashes

    def _upload(self, name: str) -> dict[str, str]:
        """Send the files of this machine's copy. Return their hashes."""
        folder = self.copies.open(name)
        hashes = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file = path.relative_to(folder).as_posix()
                self._files.put_file(str(path), self._at(name, file))
                hashes[file] = file_digest(path)
        return hashes

    def _complete(self, name: str, hashes: dict[str, str]) -> None:
        self._files.pipe_file(self._at(name) + _MANIFEST, msgspec.json.encode(hashes))

    def _kept(self) -> dict[str, list[str]]:
        """Return every folder of the store, complete or not, with its objects."""
        found: dict[str, list[str]] = {}
        with self._refusals():
            for path in self._files.find(self._root):
                if name := _folder_of(path.removeprefix(self._root)):
                    found.setdefault(name, []).append(path)
        return found

    def _age_s(self, path: str) -> float:
        with suppress(FileNotFoundError), self._refusals():
            return time.time() - float(self._files.modified(path).timestamp())
        return 0.0

    def _at(self, *names: str) -> str:
        return "/".join((self._root.rstrip("/"), *names))

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Raise every refusal of the service as OSError: their libraries have errors of their own."""
        try:
            yield
        except (OSError, StoreError):
            raise
        except Exception as error:
            raise OSError(5, f"{type(error).__name__}: {error}", self._url) from error


def _folder_of(path: str) -> str | None:
    """Return the name of the kept folder that an object is of, by its path in the store; None for other objects."""
    parts = path.strip("/").split("/")
    if len(parts) < 2:
        return None
    return f"{parts[0]}/{parts[1].removesuffix(_MANIFEST) if len(parts) == 2 else parts[1]}"


def _refuse_pickles(folder: Path) -> None:
    """Raise OSError where a folder holds a pickle: whoever can write to the service could run code on other machines."""
    if found := pickle_in(folder):
        said = f"{found} is a pickle, which can run code on the machines that load it; save skops, safetensors or ONNX"
        raise OSError(1, said, str(folder / found))


@contextmanager
def _gone_after_an_error(making: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
