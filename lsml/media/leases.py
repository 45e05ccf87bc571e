"""Leases, which say since when a process uses files of the cache, and the gate between handing out and deleting."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from lsml.files.cache import new_file
from lsml.media.entries import make_folder

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be deleted anyway
    fcntl = None  # type: ignore[assignment]  # Windows has none

_TICK_NS = 20_000_000  # a new file's time may lag behind the clock by some milliseconds
_COARSE_NS = 2_000_000_000  # some file systems keep times to two seconds only
_NEVER_NS = 2**62


class Leases:
    """The leases of a cache's folder. `make_folders` makes the cache's other folders again, where somebody deleted all of
    them.
    """

    def __init__(self, directory: Path, make_folders: Callable[[], None]) -> None:
        self._directory = directory
        self._leases = directory / "leases"
        self._make_others = make_folders
        self._lock = threading.Lock()
        self._gate_lock = threading.Lock()
        self._gate: int | None = None
        self._make_folders()
        self._holds: dict[int, int] = {}
        self._newest_ns = 0  # when the last hold began
        self._slack_ns = _COARSE_NS
        self._lease = self._leases / "none yet"
        self._alive: FileLock | None = None

    def _make_folders(self) -> None:
        self._make_others()
        make_folder(self._leases)
        with self._gate_lock:
            if self._gate is not None:
                os.close(self._gate)
            self._gate = os.open(self._directory / "gate", os.O_RDWR | os.O_CREAT, 0o600)

    @property
    def held(self) -> bool:
        """True if any thread of this process holds."""
        return bool(self._holds)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold a lease while this is open: files that are handed out meanwhile stay."""
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

    def _publish(self, since: int) -> None:
        try:
            os.utime(self._lease, ns=(since, since))
        except FileNotFoundError:  # the first time, or somebody deleted the folder, which is allowed
            self._make_folders()
            self._lease = self._leases / f"{os.getpid()}-{uuid4().hex[:8]}"
            # The process holds it, whichever of its threads took it.
            self._alive = FileLock(f"{self._lease}.lock", mode=0o600, thread_local=False)
            self._alive.acquire()
            new_file(self._lease).close()
            os.utime(self._lease, ns=(1, 1))
            self._slack_ns = _TICK_NS if self._lease.stat().st_mtime_ns == 1 else _COARSE_NS
            os.utime(self._lease, ns=(since, since))

    def touch(self, path: Path) -> None:
        """Mark a file as handed out now. Raises FileNotFoundError where it is gone."""
        # A clock that was set back must not make the file look unused.
        now = max(time.time_ns(), self._newest_ns)
        with self.closed(alone=False):
            os.utime(path, ns=(now, now))

    @contextmanager
    def closed(self, *, alone: bool) -> Iterator[None]:
        """Hold the gate: threads and processes hand out files together, and delete alone."""
        with self._gate_lock:
            if fcntl is None or self._gate is None:
                yield
                return
            fcntl.flock(self._gate, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            try:
                yield
            finally:
                fcntl.flock(self._gate, fcntl.LOCK_UN)

    def in_use_since(self) -> int:
        """Return the time of the oldest lease, in nanoseconds."""
        since = _NEVER_NS
        for lease in self._leases.iterdir():
            if lease.suffix != ".lock":
                with suppress(FileNotFoundError):
                    since = min(since, lease.stat().st_mtime_ns)
        return since - self._slack_ns if since < _NEVER_NS else _NEVER_NS

    def bury(self) -> None:
        """Delete the leases of processes that are gone."""
        for lease in self._leases.iterdir():
            if lease.suffix != ".lock" and lease != self._lease:
                with suppress(Timeout), FileLock(f"{lease}.lock", mode=0o600, timeout=0):
                    lease.unlink(missing_ok=True)
                    Path(f"{lease}.lock").unlink(missing_ok=True)
