"""Fetched files on disk: bounded by bytes, the least recently used out first, and none that somebody uses.

    files/ab/ab12...json            what is known of one place: an Entry
    files/ab/ab12...-<hash>.jpg     its content, named by it, so that another content is another file
    leases/<process>                since when that process may use what it was given; locked while the process lives
    locks/, scratch/                one download at a time for a place; what is not whole yet

Files appear whole or not at all, by renaming. A file's modification time says when it was handed out last. A process
that uses files holds a lease, which is a moment: whatever was handed out since then stays, to however many readers and
whatever the budget. Handing out and deleting exclude each other by the lock on `gate`, so that no file goes between the
look at its time and its end.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

import msgspec
from filelock import FileLock, Timeout

from lsml.files.cache import new_file
from lsml.media.transfer import Received, Validators

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be deleted in the first place
    fcntl = None  # type: ignore[assignment]

_log = logging.getLogger(__name__)
_REMEMBERED = 100_000  # entries kept in memory
_ROOM = 0.9  # of the budget is left in use after an eviction, so that it is not needed for every file
_TICK_NS = 20_000_000  # the clock of new files' times lags behind by some milliseconds
_COARSE_NS = 2_000_000_000  # some file systems keep times to two seconds only
_ABANDONED_S = 3600.0  # what lies in scratch/ for so long is of a process that was killed
_NEVER_NS = 2**62
_PAUSE_S = 5.0
_STRIPES = 4096  # lock files; two places that share one wait for each other, seldom and between processes alone


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of the content of one place. `file` and `upright` are names in its folder; no `file`: it lies
    elsewhere, on this machine. `size` in pixels, upright; `upright`: the copy to use in its stead, where it needs one."""

    checked_at: float  # seconds since the epoch
    file: str | None = None
    bytes: int = 0
    sha256: str = ""
    content_type: str = ""
    etag: str = ""
    modified: str = ""
    fresh_s: float | None = None
    size: tuple[int, int] | None = None
    upright: str | None = None
    duration_s: float | None = None

    @property
    def validators(self) -> Validators:
        """How to ask whether it changed."""
        return Validators(self.etag, self.modified)


@dataclass
class _Place:
    """The files of one place, as an eviction finds them: (path, bytes, nanoseconds)."""

    files: list[tuple[Path, int, int]] = field(default_factory=list)

    @property
    def used_ns(self) -> int:
        return max(used for _, _, used in self.files)


class MediaCache:
    """One folder of fetched files, which threads and processes share."""

    def __init__(self, directory: Path, budget: int) -> None:
        self.directory = directory
        self.budget = budget
        self._files = directory / "files"
        self._locks = directory / "locks"
        self._leases = directory / "leases"
        self._scratch = directory / "scratch"
        self._known: OrderedDict[str, Entry] = OrderedDict()
        self._running: dict[str, Future[Entry]] = {}
        self._lock = threading.Lock()
        self._gate_lock = threading.Lock()
        self._gate: int | None = None
        self._make_folders()
        self._holds: dict[int, int] = {}
        self._newest_ns = 0  # when the last hold began
        self._slack_ns = _COARSE_NS
        self._lease = self._leases / "none yet"
        self._alive: FileLock | None = None
        self._taken: int | None = None  # bytes at the last look and what was added since; None: never looked
        self._pause_until = 0.0

    def _make_folders(self) -> None:
        for folder in (self._files, self._locks, self._leases, self._scratch):
            _folder(folder)
        with self._gate_lock:
            if self._gate is not None:
                os.close(self._gate)
            self._gate = os.open(self.directory / "gate", os.O_RDWR | os.O_CREAT, 0o600)

    # Using

    @contextmanager
    def hold(self) -> Iterator[None]:
        """While it is open, what is handed out stays."""
        since = time.time_ns()
        with self._lock:
            number = max(self._holds, default=0) + 1
            if not self._holds:
                self._publish(since)
            self._holds[number] = since
            self._newest_ns = max(self._newest_ns, since)
        try:
            yield
        finally:
            with self._lock:
                del self._holds[number]
                self._publish(min(self._holds.values(), default=_NEVER_NS))
                if not self._holds:
                    self._pause_until = 0.0
            self._make_room()

    def _publish(self, since: int) -> None:
        try:
            os.utime(self._lease, ns=(since, since))
        except FileNotFoundError:  # the first time; or somebody deleted the folder, for all of it can be made again
            self._make_folders()
            self._lease = self._leases / f"{os.getpid()}-{uuid4().hex[:8]}"
            # Held by the process, whichever of its threads took it.
            self._alive = FileLock(f"{self._lease}.lock", mode=0o600, thread_local=False)
            self._alive.acquire()
            new_file(self._lease).close()
            os.utime(self._lease, ns=(1, 1))
            self._slack_ns = _TICK_NS if self._lease.stat().st_mtime_ns == 1 else _COARSE_NS
            os.utime(self._lease, ns=(since, since))

    def use(self, key: str, name: str) -> Path:
        """The path of a file of a place, to be used while `hold` is open. Raises FileNotFoundError where it is gone."""
        path = self._files / key[:2] / name
        # A clock that was set back must not make it look unused.
        now = max(time.time_ns(), self._newest_ns)
        with self._closed(fcntl.LOCK_SH if fcntl else 0):
            os.utime(path, ns=(now, now))
        return path

    @contextmanager
    def _closed(self, how: int) -> Iterator[None]:
        with self._gate_lock:
            if fcntl is None or self._gate is None:
                yield
                return
            fcntl.flock(self._gate, how)
            try:
                yield
            finally:
                fcntl.flock(self._gate, fcntl.LOCK_UN)

    # Entries

    def entry(self, key: str) -> Entry | None:
        """What is known of a place, if anything."""
        known = self._known.get(key)
        return known if known is not None else self._read(key)

    def _read(self, key: str) -> Entry | None:
        try:
            entry = msgspec.json.decode(self._path(key).read_bytes(), type=Entry)
            for name in (entry.file, entry.upright):
                if name is not None and Path(name).name != name:
                    raise ValueError(name)
            if entry.file is not None and (self._files / key[:2] / entry.file).stat().st_size != entry.bytes:
                raise ValueError(entry.file)
        except (OSError, ValueError):
            return None
        self._remember(key, entry)
        return entry

    def _remember(self, key: str, entry: Entry) -> None:
        with self._lock:
            self._known[key] = entry
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def forget(self, key: str) -> None:
        """Know no more of a place than the disk does."""
        with self._lock:
            self._known.pop(key, None)

    def keep(self, key: str, entry: Entry) -> Entry:
        """Know this of a place from now on, in every process."""
        path = self._path(key)
        temporary = self.scratch()
        with new_file(temporary) as file:
            size = file.write(msgspec.json.encode(entry))
        temporary.replace(path)
        self._remember(key, entry)
        self._took(size)
        return entry

    def drop(self, key: str) -> None:
        """Forget a place; its files go with the next eviction."""
        self.forget(key)
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return _folder(self._files / key[:2]) / f"{key}.json"

    # Files

    def scratch(self) -> Path:
        """A path for a file that is being made."""
        return self._scratch / f"{os.getpid()}-{uuid4().hex}"

    def add(self, key: str, temporary: Path, digest: str, suffix: str) -> str:
        """Take a finished file from scratch; its name in its place's folder."""
        name = f"{key}-{digest[:16]}{suffix}"
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        temporary.replace(_folder(self._files / key[:2]) / name)
        self._took(size)
        return name

    def received(self, key: str, temporary: Path, received: Received, suffix: str) -> Entry:
        """Take a file that came, and know of it."""
        name = self.add(key, temporary, received.sha256, suffix)
        validators = received.validators
        entry = Entry(
            checked_at=time.time(), file=name, bytes=received.size, sha256=received.sha256,
            content_type=received.content_type, etag=validators.etag, modified=validators.modified,
            fresh_s=received.fresh_s,
        )  # fmt: skip
        before = self._read(key)
        if before is not None and before.sha256 == entry.sha256:
            entry = msgspec.structs.replace(
                entry, size=before.size, upright=before.upright, duration_s=before.duration_s
            )
        return self.keep(key, entry)

    def once(self, key: str, make: Callable[[], Entry]) -> Entry:
        """What `make` makes of a place; whoever asks meanwhile, here or in another process, waits for it."""
        with self._lock:
            future = self._running.get(key)
            mine = future is None
            if future is None:
                future = self._running[key] = Future()
        if not mine:
            return future.result()
        try:
            with FileLock(self._locks / f"{int(key[:3], 16) % _STRIPES:03x}", mode=0o600, poll_interval=0.01):
                self.forget(key)  # another process may know better by now
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

    # Eviction

    def _took(self, size: int) -> None:
        with self._lock:
            if self._taken is None:
                self._taken = sum(size for place in self._places().values() for _, size, _ in place.files)
            else:
                self._taken += size
        self._make_room()

    def _make_room(self) -> None:
        """Evict where there is too much; where all that is in use, not at once again."""
        if self._taken is not None and self._taken > self.budget and time.monotonic() >= self._pause_until:
            self.evict()
            self._pause_until = time.monotonic() + (_PAUSE_S if self._taken > self.budget else 0.0)

    def evict(self) -> None:
        """Delete what was used least recently and is not in use, until there is room again; one process at a time."""
        try:
            with FileLock(self._locks / "evicting", mode=0o600, timeout=0):
                self._evict()
        except Timeout:
            return

    def _evict(self) -> None:
        places = self._places()
        total = sum(size for place in places.values() for _, size, _ in place.files)
        self._sweep_scratch()
        self._bury()
        if total > self.budget:
            before = total
            total -= self._delete([one for key, place in places.items() for one in self._superseded(key, place)], 0)
            for place in sorted(places.values(), key=lambda place: place.used_ns):
                if total <= self.budget * _ROOM:
                    break
                total -= self._delete([one for one in place.files if one[0].exists()], place.used_ns)
            _log.debug("media cache: from %d to %d of %d bytes", before, total, self.budget)
        self._taken = total

    def _superseded(self, key: str, place: _Place) -> list[tuple[Path, int, int]]:
        """Files of a place that hold what it held before it changed."""
        if len(place.files) <= 2:
            return []
        entry = self._read(key)
        kept = {f"{key}.json", entry.file, entry.upright} if entry is not None else set()
        return [one for one in place.files if one[0].name not in kept]

    def _delete(self, files: list[tuple[Path, int, int]], used_ns: int) -> int:
        """Delete the files of a place, all or none unless one came into use meanwhile; the bytes that this gave back."""
        freed = 0
        with self._closed(fcntl.LOCK_EX if fcntl else 0):
            in_use = self._in_use_since()
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

    def _in_use_since(self) -> int:
        """The moment of the oldest lease, in nanoseconds."""
        since = _NEVER_NS
        for lease in self._leases.iterdir():
            if lease.suffix != ".lock":
                with suppress(FileNotFoundError):
                    since = min(since, lease.stat().st_mtime_ns)
        return since - self._slack_ns if since < _NEVER_NS else _NEVER_NS

    def _bury(self) -> None:
        """Delete the leases of processes that are gone."""
        for lease in self._leases.iterdir():
            if lease.suffix != ".lock" and lease != self._lease:
                with suppress(Timeout), FileLock(f"{lease}.lock", mode=0o600, timeout=0):
                    lease.unlink(missing_ok=True)
                    Path(f"{lease}.lock").unlink(missing_ok=True)

    def _places(self) -> dict[str, _Place]:
        places: dict[str, _Place] = {}
        for folder in self._files.iterdir():
            for found in os.scandir(folder):
                try:
                    facts = found.stat()
                except FileNotFoundError:
                    continue
                key = found.name.partition(".")[0].partition("-")[0]
                places.setdefault(key, _Place()).files.append((Path(found.path), facts.st_size, facts.st_mtime_ns))
        return places

    def _sweep_scratch(self) -> None:
        for path in self._scratch.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()


@lru_cache(maxsize=8)
def open_cache(directory: Path, budget: int) -> MediaCache:
    """The cache in a folder; one for each process, as its lease is."""
    return MediaCache(directory, budget)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
