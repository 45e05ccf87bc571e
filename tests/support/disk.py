"""A folder as a disk that loses power: what was synced is there afterwards, what was not may be there, or not."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_SOURCE = Path(__file__).parent / "faults" / "synced.c"
_BLOCK = 4096
_HERE = -100  # AT_FDCWD: names are paths


class Disk:
    """`folder` is the disk. Processes whose environment has `environment` tell its mirror what they sync."""

    def __init__(self, directory: Path) -> None:
        compiler = shutil.which("cc")
        if sys.platform != "linux" or compiler is None:
            pytest.skip("needs Linux and a C compiler to see what is synced")
        self.folder = directory / "disk"
        self.folder.mkdir(parents=True)
        self._mirror = directory / "synced"
        library = directory / "synced.so"
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, _SOURCE, "-ldl"], check=True)
        self.environment = {
            "LD_PRELOAD": str(library), "LSML_TEST_DISK": str(self.folder), "LSML_TEST_SYNCED": str(self._mirror),
        }  # fmt: skip
        self._library = ctypes.CDLL(str(library))
        self.sync()

    def sync(self) -> None:
        """Make everything durable that is there now."""
        shutil.rmtree(self._mirror, ignore_errors=True)
        self._mirror.mkdir()
        for path in [self.folder, *self.folder.rglob("*")]:
            which = self._identity(path)
            if path.is_dir():
                lines = [f"{self._identity(below)} {below.name}\n" for below in path.iterdir()]
                (self._mirror / f"{which}.folder").write_text("".join(lines))
            else:
                shutil.copyfile(path, self._mirror / f"{which}.file")

    def lose_power(self, draw: random.Random | None = None, let_go: Callable[[], object] = lambda: None) -> None:
        """Leave what was synced; of the rest nothing, or what `draw` says: any entry, any block of any file.

        Nothing may write to the disk meanwhile. `let_go` closes what this process has open there, while nothing is there:
        SQLite would otherwise move its log into the database as it closes, and nobody would tell the mirror what that synced.
        """
        paths = {self._identity(path): path for path in self.folder.rglob("*")}
        after = self.folder.with_name("after")
        self._folder(self._identity(self.folder), self.folder, after, paths, draw)
        shutil.rmtree(self.folder)
        let_go()
        after.rename(self.folder)
        self.sync()

    def _identity(self, path: Path) -> str:
        """What tells a file from all that were or will be there; its inode's number does not."""
        found = ctypes.create_string_buffer(512)
        if self._library.identity(_HERE, os.fsencode(path), 0, found, ctypes.c_size_t(len(found))):
            raise FileNotFoundError(path)
        return found.value.decode()

    def _folder(
        self, which: str, now: Path | None, target: Path, paths: dict[str, Path], draw: random.Random | None
    ) -> None:
        target.mkdir(mode=0o700)
        listing = self._mirror / f"{which}.folder"
        lines = listing.read_text().splitlines() if listing.exists() else []
        synced = {name: of for of, _, name in (line.partition(" ") for line in lines)}
        there = {below.name: self._identity(below) for below in now.iterdir()} if now is not None else {}
        for name in sorted(synced.keys() | there.keys()):
            found = [synced.get(name), there.get(name)]
            entry = draw.choice(found) if draw is not None else found[0]
            if entry is None:
                continue
            path = paths.get(entry)
            if (path is not None and path.is_dir()) or (self._mirror / f"{entry}.folder").exists():
                self._folder(entry, path, target / name, paths, draw)
            else:
                (target / name).write_bytes(self._content(entry, path, draw))
                (target / name).chmod(0o600)

    def _content(self, which: str, now: Path | None, draw: random.Random | None) -> bytes:
        kept = self._mirror / f"{which}.file"
        synced = kept.read_bytes() if kept.exists() else b""
        there = now.read_bytes() if now is not None else synced
        if draw is None or there == synced:
            return synced
        length = draw.choice([len(synced), len(there)])
        mixed = bytearray(length)
        for at in range(0, length, _BLOCK):
            block = draw.choice([synced, there])[at : min(at + _BLOCK, length)]
            mixed[at : at + len(block)] = block
        return bytes(mixed)
