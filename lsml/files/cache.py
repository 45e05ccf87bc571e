"""The cache folder: fetched media, exported models and embeddings, all of which lsml can make again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import BinaryIO

VARIABLE = "LSML_CACHE_DIR"


def cache_directory(name: str) -> Path:
    """Return a folder for one kind of cached file, which only its owner can read; it is made where missing.

    It is below LSML_CACHE_DIR, which commands set to `<data directory>/cache`; without that variable, in the system's
    temporary folder.
    """
    root = os.environ.get(VARIABLE)
    directory = (Path(root) if root else Path(tempfile.gettempdir()) / f"lsml-cache-{_owner()}") / name
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return directory


def keep_cache_in(directory: Path) -> None:
    """Let `cache_directory` be in a data directory, here and in child processes, unless LSML_CACHE_DIR is set."""
    os.environ.setdefault(VARIABLE, str(directory.resolve() / "cache"))


def new_file(path: Path) -> BinaryIO:
    """Create a file that only its owner can read, and return it open for writing. Raises FileExistsError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600), "wb")


def _owner() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"
