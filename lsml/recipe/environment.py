"""What the environment gives: a variable, or the file that the variable with `_FILE` behind its name points at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lsml.errors import RequestError

_MOST: Final = 1 << 16  # bytes of a file with a secret


class UnreadableVariable(RequestError):
    """A variable points at a file that cannot be read; the text is a sentence that shows nothing of it."""


def variable(environ: Mapping[str, str], name: str) -> str | None:
    """What `name` stands for: the variable itself, where it is set and not empty; else the content of the file that
    `name`_FILE names, without line breaks at its end, as secrets are mounted; None where there is neither.

    Raises UnreadableVariable.
    """
    value = environ.get(name)
    file = environ.get(f"{name}_FILE")
    if value or not file:
        return value
    try:
        with Path(file).open("rb") as opened:
            raw = opened.read(_MOST + 1)
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        why = "it is not text in UTF-8"
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a path"
    else:
        if len(raw) <= _MOST:
            return text.rstrip("\r\n")
        why = "it is larger than 64 KiB"
    raise UnreadableVariable(f"the file that {name}_FILE of the environment names cannot be read: {why}")
