"""Where this process and its children keep what can be made again: fetched media, exported models, embeddings."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

VARIABLE = "LSML_CACHE_DIR"


def cache_directory(name: str) -> Path:
    """A folder for one kind of thing, for its owner alone.

    It is below LSML_CACHE_DIR, which commands set to `<data directory>/cache`; without one, in the system's temporary
    folder.
    """
    root = os.environ.get(VARIABLE)
    directory = (Path(root) if root else Path(tempfile.gettempdir()) / f"lsml-cache-{_owner()}") / name
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return directory


def _owner() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"
