"""Fetched files on disk, bounded by bytes: the least recently used are evicted first, files in use never.

    files/ab/ab12...json            the record of one source: an Entry
    files/ab/ab12...-<hash>.jpg     its content, named by its hash, so that new content is a new file
    leases/<process>                since when that process uses files; locked while the process lives
    locks/, scratch/                one download at a time for a source; unfinished files

Files appear whole or not at all, by renaming. A file's modification time says when it was handed out last. A process
that uses files holds a lease, which is a moment: every file handed out since then stays, for any number of readers and
any budget. Handing out and deleting exclude each other by the lock on `gate`, so that no file is deleted between the
look at its time and its use.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

import msgspec
from filelock import FileLock

from lsml.media.entries import Entries, Entry, make_folder
from lsml.media.eviction import Eviction
from lsml.media.leases import Leases
from lsml.media.transfer import Received

_STRIPES = 4096  # lock files; sources that share one wait for each other, which is rare and only between processes


class MediaCache:
    """One folder of fetched files, which threads and processes share."""

    def __init__(self, directory: Path, budget: int) -> None:
        self._files = directory / "files"
        self._locks = directory / "locks"
        self._scratch = directory / "scratch"
        self._running: dict[str, Future[Entry]] = {}
        self._lock = threading.Lock()
        self._leases = Leases(directory, self._make_folders)
        self._entries = Entries(self._files, self.scratch)
        self._eviction = Eviction(directory, budget, self._entries, self._leases)

    def _make_folders(self) -> None:
        for folder in (self._files, self._locks, self._scratch):
            make_folder(folder)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep every file that is handed out while this is open."""
        try:
            with self._leases.hold():
                yield
        finally:
            if not self._leases.held:
                self._eviction.try_again()
            self._eviction.make_room()

    def use(self, key: str, name: str) -> Path:
        """Return the path of a source's file, to be used while `hold` is open. Raises FileNotFoundError where it is gone."""
        path = self._files / key[:2] / name
        self._leases.touch(path)
        return path

    def entry(self, key: str) -> Entry | None:
        """Return the entry of a source, if there is one."""
        return self._entries.of(key)

    def keep(self, key: str, entry: Entry) -> Entry:
        """Set the entry of a source, for every process. Return it."""
        self._eviction.took(self._entries.keep(key, entry))
        return entry

    def drop(self, key: str) -> None:
        """Forget a source; its files go with the next eviction."""
        self._entries.drop(key)

    def scratch(self) -> Path:
        """Return a path for a file in the making."""
        return self._scratch / f"{os.getpid()}-{uuid4().hex}"

    def add(self, key: str, temporary: Path, digest: str, suffix: str) -> str:
        """Move a finished file from scratch into its source's folder. Return its name there."""
        name = f"{key}-{digest[:16]}{suffix}"
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        temporary.replace(make_folder(self._files / key[:2]) / name)
        self._eviction.took(size)
        return name

    def received(self, key: str, temporary: Path, received: Received, suffix: str) -> Entry:
        """Move a received file into its source's folder, and return its entry."""
        name = self.add(key, temporary, received.sha256, suffix)
        validators = received.validators
        entry = Entry(
            checked_at=time.time(), file=name, bytes=received.size, sha256=received.sha256,
            content_type=received.content_type, etag=validators.etag, modified=validators.modified,
            fresh_s=received.fresh_s,
        )  # fmt: skip
        before = self._entries.read(key)
        if before is not None and before.sha256 == entry.sha256:
            entry = msgspec.structs.replace(
                entry, size=before.size, upright=before.upright, duration_s=before.duration_s
            )
        return self.keep(key, entry)

    def once(self, key: str, make: Callable[[], Entry]) -> Entry:
        """Return what `make` makes of a source. Other threads and processes that ask meanwhile wait for it."""
        with self._lock:
            future = self._running.get(key)
            mine = future is None
            if future is None:
                future = self._running[key] = Future()
        if not mine:
            return future.result()
        try:
            with FileLock(self._locks / f"{int(key[:3], 16) % _STRIPES:03x}", mode=0o600, poll_interval=0.01):
                self._entries.forget(key)  # another process may have changed it
                made = make()
        except BaseException as error:
            with self._lock:
                del self._running[key]
            future.set_exception(error)
            raise
        with self._lock:
            del self._running[key]
        future.set_result(made)
        return made

    def evict(self) -> None:
        """Delete what was used least recently and is not in use, until there is room again; one process at a time."""
        self._eviction.evict()


@lru_cache(maxsize=8)
def open_cache(directory: Path, budget: int) -> MediaCache:
    """Return the cache in a folder; there is one for each process, as it holds the process's lease."""
    return MediaCache(directory, budget)
