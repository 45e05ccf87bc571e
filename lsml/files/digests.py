"""The SHA-256 of a file, or of all files of a folder; computed once, until a file changes."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path


def content_digest(path: Path) -> str:
    """Return the SHA-256 as 64 hexadecimal digits. Raises OSError where something cannot be read."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    stats = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    return _digest(str(path), stats)


@lru_cache(maxsize=256)
def _digest(root: str, stats: tuple[tuple[str, int, int], ...]) -> str:
    if len(stats) == 1 and stats[0][0] == root:
        return _of_file(root)
    folder = hashlib.sha256()
    for name, _, _ in stats:
        folder.update(f"{Path(name).relative_to(root).as_posix()}\0{_of_file(name)}\n".encode())
    return folder.hexdigest()


def _of_file(name: str) -> str:
    with Path(name).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
