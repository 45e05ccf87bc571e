"""The SHA-256 of files: of one as it is, of one while it is written, and of a file or folder that is read often."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_digested(file: BinaryIO, blocks: Iterable[bytes]) -> str:
    """Write the blocks to a file. Return their SHA-256 as 64 hexadecimal digits. Raises OSError, and what `blocks` raises."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
        file.write(block)
    return digest.hexdigest()


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files of a folder, as 64 hexadecimal digits.

    It is computed once, until a file changes. Raises OSError where something cannot be read.
    """
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    stats = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    return _digest(str(path), stats)


@lru_cache(maxsize=256)
def _digest(root: str, stats: tuple[tuple[str, int, int], ...]) -> str:
    if len(stats) == 1 and stats[0][0] == root:
        return file_digest(Path(root))
    folder = hashlib.sha256()
    for name, *stat in stats:
        folder.update(f"{Path(name).relative_to(root).as_posix()}\0{_digest(name, ((name, *stat),))}\n".encode())
    return folder.hexdigest()
