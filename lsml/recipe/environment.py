"""Variables of the environment. NAME can also be given by a file whose path NAME_FILE holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lsml.errors import RequestError

_MAX_BYTES: Final = 1 << 16  # the most bytes of a file with a secret


class UnreadableVariable(RequestError):
    """An error for a variable that names a file that cannot be read. Its text is a sentence without the file's content."""


def variable(environ: Mapping[str, str], name: str) -> str | None:
    """Return the value of a variable: its own if it is set and not empty, else the content of the file that `name`_FILE
    names.

    Line breaks at the end of the file are removed, as secrets are mounted with one. None where there is neither. Raises
    UnreadableVariable.
    """
    value = environ.get(name)
    file = environ.get(f"{name}_FILE")
    if value or not file:
        return value
    try:
        with Path(file).open("rb") as opened:
            raw = opened.read(_MAX_BYTES + 1)
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        why = "it is not UTF-8"
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a path"
    else:
        if len(raw) <= _MAX_BYTES:
            return text.rstrip("\r\n")
        why = "it is larger than 64 KiB"
    raise UnreadableVariable(f"the file in the environment variable {name}_FILE cannot be read: {why}")
