"""The threads of linear algebra. They wait in busy loops, so small fits are faster with one thread."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lsml.arrays import Rows

_MANY: Final = 1_000_000  # numbers in dense features from which threads are faster


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which linear algebra and OpenMP compute with one thread."""
    import sklearn.utils  # noqa: F401  # loads the libraries: a limit has no effect on those that are loaded later
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def fitting_threads(rows: Rows) -> AbstractContextManager[object]:
    """Return a context for fitting linear models to rows (examples, features): one thread, unless they are dense and many."""
    # Products of sparse matrices have one thread anyway.
    return one_thread() if hasattr(rows, "nnz") or rows.size < _MANY else nullcontext()
