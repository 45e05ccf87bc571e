"""A folder as a disk that loses power: what was synced is there afterwards, what was not may be there, or not."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SOURCE = Path(__file__).parent / "faults" / "synced.c"
_BLOCK = 4096


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
        self.sync()

    def sync(self) -> None:
        """Make everything durable that is there now."""
        shutil.rmtree(self._mirror, ignore_errors=True)
        self._mirror.mkdir()
        for path in [self.folder, *self.folder.rglob("*")]:
            inode = path.stat().st_ino
            if path.is_dir():
                lines = [f"{entry.inode()} {entry.name}\n" for entry in os.scandir(path)]
                (self._mirror / f"{inode}.folder").write_text("".join(lines))
            else:
                shutil.copyfile(path, self._mirror / f"{inode}.file")

    def lose_power(self, draw: random.Random | None = None) -> None:
        """Leave what was synced; of the rest nothing, or what `draw` says: any entry, any block of any file.

        Nothing may use the disk meanwhile.
        """
        paths = {path.stat().st_ino: path for path in self.folder.rglob("*")}
        after = self.folder.with_name("after")
        self._folder(self.folder.stat().st_ino, self.folder, after, paths, draw)
        shutil.rmtree(self.folder)
        after.rename(self.folder)
        self.sync()

    def _folder(
        self, inode: int, now: Path | None, target: Path, paths: dict[int, Path], draw: random.Random | None
    ) -> None:
        target.mkdir(mode=0o700)
        listing = self._mirror / f"{inode}.folder"
        lines = listing.read_text().splitlines() if listing.exists() else []
        synced = {name: int(of) for of, _, name in (line.partition(" ") for line in lines)}
        there = {entry.name: entry.inode() for entry in os.scandir(now)} if now is not None else {}
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

    def _content(self, inode: int, now: Path | None, draw: random.Random | None) -> bytes:
        kept = self._mirror / f"{inode}.file"
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
