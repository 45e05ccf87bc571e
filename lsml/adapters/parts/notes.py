"""Notes on what an adapter did not learn."""

from __future__ import annotations

from collections import Counter
from typing import Final

from lsml.errors import AdapterError

_REASONS: Final = 3  # reasons in a note, the most frequent first


def reason_of(error: AdapterError) -> str:
    """Return the reason in an error about one file, without the file's name."""
    return str(error).partition(": ")[2]


def unlearnt(reasons: Counter[str], what: str) -> tuple[str, ...]:
    """Return a note for each of the most frequent reasons why training examples could not be read. `what` they are."""
    return tuple(f"{count} {what} not used for training: {why}" for why, count in reasons.most_common(_REASONS))
