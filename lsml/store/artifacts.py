"""The files of versions: the contract, and its implementation by folders of the data directory."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Set
from pathlib import Path

from lsml.files.disk import make_folder, sync
from lsml.store.database import needs

CARD = "card.json"  # in every folder of a version, which distinguishes it from other people's folders
_MAKING = ".making-"
_OURS = re.compile(r"(\d{8}-\d{6}-)?([0-9a-f]{32}\.\d+\.)?[a-z0-9_]{8}(-adopted)?")  # the names that `put` gives
ABANDONED_S = 24 * 3600  # a folder of this age without a version is a leftover


class Artifacts(ABC):
    """Folders of files, each kept complete under a name of its own.

    A folder is made on this machine (`new_folder`), filled, and `put`. From then on it is complete, never changes, and
    survives a power cut. Several processes may use the same artifacts. An `owner` is the maker of a folder; its name is
    part of the folder's, so that a killed owner's leftovers can be found. Methods raise OSError where the disk or the
    service refuses.
    """

    @abstractmethod
    def new_folder(self, owner: str = "") -> Path:
        """Return an empty folder on this machine, which only this user can read, for a version in the making."""

    @abstractmethod
    def put(self, making: Path, project: str) -> str:
        """Keep a folder from `new_folder`, with a CARD in it, for a project: completely, or not at all. Return its name."""

    @abstractmethod
    def copy(self, name: str, project: str) -> str:
        """Keep the same files for another project as well. Return the copy's name. Deleting one leaves the other."""

    @abstractmethod
    def open(self, name: str) -> Path:
        """Return the folder on this machine with the files of a kept folder, which may only be read. Files may be missing.

        Raises VersionError where they cannot be brought to this machine.
        """

    @abstractmethod
    def bring_again(self, name: str) -> bool:
        """Replace damaged files that `open` gave by those that are kept. Return False where there are no others.

        Raises VersionError where they cannot be brought to this machine.
        """

    @abstractmethod
    def share(self, name: str) -> None:
        """Keep a folder under the name that it has in this machine's data directory, and read it again to compare it."""

    @abstractmethod
    def lost(self, named: Set[str]) -> list[str]:
        """Return those of the `named` folders of which the service lost a file and this machine has a copy."""

    @abstractmethod
    def check(self) -> None:
        """Raise OSError where nothing can be kept."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a kept folder, as far as it exists. What cannot be removed is left to `sweep`."""

    @abstractmethod
    def sweep(self, named: Set[str]) -> None:
        """Remove leftovers of crashed processes that are a day old: unfinished folders, and those that are not `named`."""

    @abstractmethod
    def sweep_owner(self, owner: str, named: Set[str]) -> None:
        """Remove at once the folders of an owner that is gone, except the `named`."""


class LocalArtifacts(Artifacts):
    """Folders under `root`: `<project>/<folder>`, and folders in the making beside the projects, so that a rename puts them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def new_folder(self, owner: str = "") -> Path:
        """See Artifacts."""
        make_folder(self.root)
        return Path(tempfile.mkdtemp(prefix=f"{_MAKING}{owner}", dir=self.root))

    def put(self, making: Path, project: str) -> str:
        """See Artifacts."""
        return self._put(making, project, f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{_own_name(making)}")

    def copy(self, name: str, project: str) -> str:
        """See Artifacts. Files that never change are linked where the disk can."""
        making = self.new_folder()
        try:
            shutil.copytree(self.root / name, making, dirs_exist_ok=True, copy_function=_link_or_copy)
            return self._put(making, project, f"{_own_name(making)}-adopted")
        except OSError:
            shutil.rmtree(making, ignore_errors=True)
            raise

    def open(self, name: str) -> Path:
        """See Artifacts."""
        return self.root / name

    def bring_again(self, name: str) -> bool:
        """See Artifacts. The files are only here."""
        return False

    def share(self, name: str) -> None:
        """See Artifacts. It is there already."""

    def lost(self, named: Set[str]) -> list[str]:
        """See Artifacts. The files are only here."""
        return []

    def check(self) -> None:
        """See Artifacts."""
        shutil.rmtree(self.new_folder())

    def delete(self, name: str) -> None:
        """See Artifacts."""
        shutil.rmtree(self.root / name, ignore_errors=True)

    def sweep(self, named: Set[str]) -> None:
        """See Artifacts. Other people's files in the data directory are not removed."""
        for path in [*self.root.glob(f"{_MAKING}*"), *self.root.glob("[!.]*/*")]:
            ours = path.parent == self.root or (_OURS.fullmatch(path.name) and (path / CARD).is_file())
            if ours and self._name(path) not in named and time.time() - path.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(path, ignore_errors=True)

    def sweep_owner(self, owner: str, named: Set[str]) -> None:
        """See Artifacts."""
        for path in [*self.root.glob(f"{_MAKING}{owner}*"), *self.root.glob(f"*/*-{owner}*")]:
            if self._name(path) not in named:
                shutil.rmtree(path, ignore_errors=True)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _put(self, making: Path, project: str, folder: str) -> str:
        name = f"{_slug(project)}/{folder}"
        self._rename(making, name)
        return name

    def keep_as(self, making: Path, name: str) -> None:
        """Put a folder that was brought from elsewhere under its name, unless another process did so meanwhile."""
        try:
            self._rename(making, name)
        except OSError:
            shutil.rmtree(making, ignore_errors=True)
            if not (self.root / name).is_dir():
                raise

    def keep_newest(self, name: str, most: int) -> None:
        """Remove all but the newest folders of the project of a folder."""
        folders = [path for path in (self.root / name).parent.iterdir() if _OURS.fullmatch(path.name)]
        for path in sorted(folders, key=lambda path: path.stat().st_mtime)[:-most]:
            shutil.rmtree(path, ignore_errors=True)

    def _rename(self, making: Path, name: str) -> None:
        """Sync everything, rename, and sync the names on the way there."""
        for path in [making, *making.rglob("*")]:
            path.chmod(0o700 if path.is_dir() else 0o600)
            sync(path)
        final = self.root / name
        make_folder(final.parent)
        making.rename(final)
        sync(final.parent)
        sync(self.root)


def open_artifacts(directory: Path, url: str | None, name: str) -> Artifacts:
    """Return the artifacts at a URL, with copies in a directory; without a URL, those in the directory. `name`: the recipe's.

    Raises StoreError.
    """
    if url is None:
        return LocalArtifacts(directory)
    with needs("s3", "storage.artifacts"):
        from lsml.store.objects import ObjectArtifacts
    return ObjectArtifacts(f"{url.rstrip('/')}/{name}", directory)


def _own_name(making: Path) -> str:
    return making.name.removeprefix(_MAKING)


def _slug(project: str) -> str:
    """Return a project key as one safe folder name; different keys get different names."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.]{0,63}", project):
        return project
    return (
        re.sub(r"[^A-Za-z0-9]+", "-", project).strip("-")[:40] + "-" + hashlib.sha256(project.encode()).hexdigest()[:12]
    )


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
