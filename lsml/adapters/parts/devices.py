"""Precision and batch sizes on a GPU: half precision where it is wanted, and batches that fit into the memory."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

from msgspec import Meta

from lsml.adapters.base import MACHINE
from lsml.errors import AdapterError

if TYPE_CHECKING:
    from torch import device, dtype

T = TypeVar("T")
R = TypeVar("R")
_log = logging.getLogger(__name__)

Half = Annotated[
    bool,
    Meta(
        description="`true` computes with half precision on a GPU; a processor always computes with full precision.",
        extra=MACHINE,
    ),
]


def precision_of(on: device, *, half: bool) -> dtype | None:
    """Return the number format that a model computes with instead of its own: float16 on an NVIDIA GPU, where `half` is
    wanted; else None.

    float16 and not bfloat16: the latter's places of boxes are off by up to a 256th of the image.
    """
    import torch

    return torch.float16 if half and on.type == "cuda" else None


def computing_with(on: device, precision: dtype | None) -> contextlib.AbstractContextManager[object]:
    """Return the context in which a model on a device computes with a precision; with its own where that is None."""
    import torch

    return contextlib.nullcontext() if precision is None else torch.autocast(on.type, dtype=precision)


class FittingBatch:
    """The batch size that fits into a device's memory: half as large after each time that the memory was too small.

    `what`: the adapter, for messages; `option`: its option for the batch size, if it has one; `thing`: what a batch holds.
    """

    def __init__(self, what: str, option: str | None = "batch", thing: str = "image") -> None:
        self._what, self._option, self._thing = what, option, thing
        self._most: int | None = None

    def results(
        self,
        items: Sequence[T],
        compute: Callable[[Sequence[T]], Sequence[R]],
        before: Callable[[], object] = lambda: None,
    ) -> list[R]:
        """Return the results of `compute` for all items, in order, which gets as many at once as fit.

        After the device ran out of memory, all items are computed again in batches of half the size; `before` is called before
        each attempt. Raises AdapterError where a single item does not fit.
        """
        while True:
            before()
            size = len(items) if self._most is None else min(self._most, len(items))
            try:
                return [one for at in range(0, len(items), size) for one in compute(items[at : at + size])]
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            # Here the error is gone, and with it the tensors that its traceback held.
            self._halve(size)

    def _halve(self, size: int) -> None:
        free_memory()
        if size == 1:
            raise AdapterError(
                f"{self._what}: the device has too little memory for one {self._thing}; choose a smaller model or image size, "
                "or `device: cpu`"
            )
        self._most = -(-size // 2)
        hint = f"; set `{self._option}: {self._most}` to begin with it" if self._option else ""
        _log.warning(
            "%s: the device has too little memory for a batch of %d; from now on a batch has at most %d%s",
            self._what, size, self._most, hint,
        )  # fmt: skip


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return True for the error of a device whose memory is full."""
    import torch

    # That of Apple's GPUs has no class of its own.
    return isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in str(error)


def free_memory() -> None:
    """Give memory that torch keeps for later back to the GPU."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
