"""Room for fetched files: the least recently used are deleted first, files in use never."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from lsml.media.entries import Entries
from lsml.media.leases import Leases

_log = logging.getLogger(__name__)
_ROOM = 0.9  # the share of the budget in use after an eviction, so that not every new file needs one
_ABANDONED_S = 3600.0  # a file in scratch/ of that age was left by a process that was killed
_PAUSE_S = 5.0


@dataclass
class _SourceFiles:
    """The files of one source, as an eviction finds them: (path, bytes, nanoseconds)."""

    files: list[tuple[Path, int, int]] = field(default_factory=list)

    @property
    def used_ns(self) -> int:
        return max(used for _, _, used in self.files)


class Eviction:
    """The eviction that keeps a cache's folder within a budget of bytes."""

    def __init__(self, directory: Path, budget: int, entries: Entries, leases: Leases) -> None:
        self._files = directory / "files"
        self._locks = directory / "locks"
        self._scratch = directory / "scratch"
        self._budget = budget
        self._entries = entries
        self._leases = leases
        self._lock = threading.Lock()
        self._taken: int | None = None  # bytes at the last count and those added since; None: never counted
        self._pause_until = 0.0

    def try_again(self) -> None:
        """End the pause after an eviction that found everything in use."""
        self._pause_until = 0.0

    def took(self, size: int) -> None:
        """Count added bytes, and make room where the budget is exceeded."""
        with self._lock:
            if self._taken is None:
                self._taken = sum(size for source in self._sources().values() for _, size, _ in source.files)
            else:
                self._taken += size
        self.make_room()

    def make_room(self) -> None:
        """Evict where the budget is exceeded; after an eviction that found everything in use, only after a pause."""
        if self._taken is not None and self._taken > self._budget and time.monotonic() >= self._pause_until:
            self.evict()
            self._pause_until = time.monotonic() + (_PAUSE_S if self._taken > self._budget else 0.0)

    def evict(self) -> None:
        """Delete the least recently used files that are not in use, until there is room; one process at a time."""
        try:
            with FileLock(self._locks / "evicting", mode=0o600, timeout=0):
                self._evict()
        except Timeout:
            return

    def _evict(self) -> None:
        sources = self._sources()
        total = sum(size for source in sources.values() for _, size, _ in source.files)
        self._sweep_scratch()
        self._leases.bury()
        if total > self._budget:
            before = total
            total -= self._delete([one for key, source in sources.items() for one in self._superseded(key, source)], 0)
            for source in sorted(sources.values(), key=lambda source: source.used_ns):
                if total <= self._budget * _ROOM:
                    break
                total -= self._delete([one for one in source.files if one[0].exists()], source.used_ns)
            _log.debug("media cache: from %d to %d of %d bytes", before, total, self._budget)
        self._taken = total

    def _superseded(self, key: str, source: _SourceFiles) -> list[tuple[Path, int, int]]:
        """Return the files of a source's earlier content."""
        if len(source.files) <= 2:
            return []
        entry = self._entries.read(key)
        kept = {f"{key}.json", entry.file, entry.upright} if entry is not None else set()
        return [one for one in source.files if one[0].name not in kept]

    def _delete(self, files: list[tuple[Path, int, int]], used_ns: int) -> int:
        """Delete the files of a source, all or none, unless one came into use meanwhile. Return the bytes that this freed."""
        freed = 0
        with self._leases.closed(alone=True):
            in_use = self._leases.in_use_since()
            if used_ns >= in_use:
                return 0
            for path, size, _ in files:
                try:
                    if path.stat().st_mtime_ns < in_use:
                        path.unlink()
                        freed += size
                except FileNotFoundError:
                    freed += size
        return freed

    def _sources(self) -> dict[str, _SourceFiles]:
        sources: dict[str, _SourceFiles] = {}
        for folder in self._files.iterdir():
            for found in os.scandir(folder):
                try:
                    status = found.stat()
                except FileNotFoundError:
                    continue
                key = found.name.partition(".")[0].partition("-")[0]
                sources.setdefault(key, _SourceFiles()).files.append(
                    (Path(found.path), status.st_size, status.st_mtime_ns)
                )
        return sources

    def _sweep_scratch(self) -> None:
        for path in self._scratch.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()
