"""The search for pickles, which can run code when they are loaded."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Final

_NAMES: Final = (".pkl", ".pickle", ".joblib")
_NEWEST: Final = 5  # the protocol of pickle
_HEAD: Final = 9  # bytes that tell


def pickle_in(folder: Path) -> str | None:
    """Return the name of the first file in a folder that is a pickle, or a zip with one as PyTorch's are; or None.

    A file is known by its name, and by how it begins. Raises OSError.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return next((path.relative_to(folder).as_posix() for path in files if _is_pickle(path)), None)


def _is_pickle(path: Path) -> bool:
    names = [path.name]
    if zipfile.is_zipfile(path):
        # Weights may have bytes in them that look like the end of a zip.
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            names += archive.namelist()
    if any(name.lower().endswith(_NAMES) for name in names):
        return True
    with path.open("rb") as file:
        head = file.read(_HEAD)
    # Files of safetensors begin with the length of their header, 384 for example, and then say "{". No pickle has such zeros.
    safetensors = head[_HEAD - 1 :] == b"{" and int.from_bytes(head[: _HEAD - 1], "little") < path.stat().st_size
    return len(head) >= 2 and head[0] == 0x80 and head[1] <= _NEWEST and not safetensors
