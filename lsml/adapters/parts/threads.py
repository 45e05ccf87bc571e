"""Threads of linear algebra. They wait in busy loops, so many small fits are faster with one thread."""

from __future__ import annotations

from contextlib import AbstractContextManager


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which linear algebra and OpenMP compute with one thread."""
    import sklearn.utils  # noqa: F401  # loads the libraries: a limit has no effect on those that are loaded later
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits
