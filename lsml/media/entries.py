"""The records of fetched files, on disk and in memory: one Entry for each source."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
from cachetools import LRUCache

from lsml.files.cache import new_file
from lsml.media.transfer import Validators

_REMEMBERED = 100_000  # entries kept in memory


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """The record of one source's content. `file` and `upright` are names in its folder; without `file` it lies elsewhere on
    this machine. `size` is (width, height) in pixels, upright. `upright` is the copy to use instead, where the file
    needs one.
    """

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
        """The validators for asking whether the file changed."""
        return Validators(self.etag, self.modified)


class Entries:
    """The entries in a folder of files, which threads and processes share. `scratch` gives a path for a file in the making."""

    def __init__(self, files: Path, scratch: Callable[[], Path]) -> None:
        self._files = files
        self._scratch = scratch
        self._known: LRUCache[str, Entry] = LRUCache(_REMEMBERED)
        self._lock = threading.Lock()

    def of(self, key: str) -> Entry | None:
        """Return the entry of a source, if there is one."""
        with self._lock:
            known = self._known.get(key)
        return known if known is not None else self.read(key)

    def read(self, key: str) -> Entry | None:
        """Return the entry of a source from the disk, if there is one."""
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

    def forget(self, key: str) -> None:
        """Forget the entry of a source in memory, so that it is read from the disk again."""
        with self._lock:
            self._known.pop(key, None)

    def keep(self, key: str, entry: Entry) -> int:
        """Set the entry of a source, for every process. Return the bytes that it takes."""
        path = self._path(key)
        temporary = self._scratch()
        with new_file(temporary) as file:
            size = file.write(msgspec.json.encode(entry))
        temporary.replace(path)
        self._remember(key, entry)
        return size

    def drop(self, key: str) -> None:
        """Forget a source; its files go with the next eviction."""
        self.forget(key)
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return make_folder(self._files / key[:2]) / f"{key}.json"


def make_folder(path: Path) -> Path:
    """Make a folder that only this user can read, if it is missing. Return its path."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
