"""The memory of a process, which holds secrets: a crash must not write it to a disk."""

from __future__ import annotations

from typing import Final

_NONE: Final = (
    1  # byte: too few for a file; where a program takes core files, Linux gives it none at exactly this limit
)


def leave_no_core() -> None:
    """Let this process and its children leave no core file when they crash, as it would hold the secrets in their memory."""
    try:
        import resource
    except ImportError:
        return  # Windows has no core files
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most != 0:
        resource.setrlimit(resource.RLIMIT_CORE, (_NONE, most))
