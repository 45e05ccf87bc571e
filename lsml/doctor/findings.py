"""One finding."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["pass", "warn", "fail", "skip"]


class Finding(msgspec.Struct, frozen=True):
    """The result of one check, in a sentence, and what to do about it. `skip`: something else must be corrected first."""

    check: str
    state: State
    found: str
    fix: str = ""


def passed(check: str, found: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(check, "pass", found)


def warned(check: str, found: str, fix: str) -> Finding:
    """Return the finding that it works, but not as well as it could."""
    return Finding(check, "warn", found, fix)


def failed(check: str, found: str, fix: str) -> Finding:
    """Return the finding that it does not work."""
    return Finding(check, "fail", found, fix)


def skipped(check: str, why: str) -> Finding:
    """Return the finding that it was not checked."""
    return Finding(check, "skip", f"not checked: {why}")
