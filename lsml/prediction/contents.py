"""The identity of what a model reads, and the memory that its values take."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from lsml.adapters.base import Data, PageRegion, Prompted
from lsml.files.digests import file_digest
from lsml.labeling.items import Items
from lsml.labeling.series import Series
from lsml.values import Scored

_BYTES: Final = 16  # of a digest: no two contents of one server are expected to share one
_NUMBER_BYTES: Final = 32  # of a Python float or int in a list, with its place there


def content_of(data: Data) -> bytes | None:
    """Return a digest of the content that a model reads: of a file its bytes and its suffix, whatever its path and times.

    None for data of an unknown kind, and for a file that cannot be read.
    """
    try:
        plain = _plain(data)
    except (OSError, TypeError, ValueError):
        return None
    return None if plain is None else _digest(type(data).__name__.encode(), plain)


def reads_files(data: Data) -> bool:
    """Return True if a model reads the data from a file, which may change while it does."""
    if isinstance(data, Prompted):
        return reads_files(data.data)
    return not isinstance(data, (str, Mapping, PageRegion))


def held_bytes(values: object) -> int:
    """Return about how many bytes of memory values take, with everything that belongs to them alone."""
    if isinstance(values, Scored):
        return 100 + _NUMBER_BYTES * len(values.scores)  # the labels are shared by all
    size = sys.getsizeof(values)
    if isinstance(values, msgspec.Struct):
        return size + sum(held_bytes(getattr(values, name)) for name in values.__struct_fields__)
    if isinstance(values, Mapping):
        return size + sum(held_bytes(one) for pair in values.items() for one in pair)
    if isinstance(values, (list, tuple)):
        if values and isinstance(values[0], (int, float)):
            return size + _NUMBER_BYTES * len(values)
        more = held_bytes(extra) if (extra := _beside(values)) is not None else 0
        return size + more + sum(map(held_bytes, values))
    return size


def _beside(values: object) -> object:
    """Return what a list of values holds beside them: decisions, or the values by control."""
    return getattr(values, "decisions", None) or getattr(values, "by_control", None)


def _plain(data: Data) -> bytes | None:
    """Return what a digest covers. Raises OSError for a file that cannot be read, and TypeError for what is not plain data."""
    if isinstance(data, str):
        return data.encode("utf-8", "surrogatepass")
    if isinstance(data, Path):
        return _of_file(str(data)).encode()
    if isinstance(data, Prompted):
        prompted = content_of(data.data)
        return None if prompted is None else prompted + msgspec.json.encode(data.prompts)
    if isinstance(data, Items):
        return msgspec.json.encode([data.names, data.texts, [_of_file(path) for path in data.paths]])
    if isinstance(data, Series):
        file = None if data.path is None else _of_file(data.path)
        return msgspec.json.encode(msgspec.structs.replace(data, path=file), order="sorted")
    if isinstance(data, (Mapping, PageRegion)):
        return msgspec.json.encode(data, order="sorted")
    return None


def _of_file(path: str) -> str:
    return file_digest(Path(path)) + Path(path).suffix


def _digest(kind: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_BYTES, person=kind[:16]).digest()
