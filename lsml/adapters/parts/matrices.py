"""Linear layers by the faster of the two matrix libraries that torch contains, in full precision."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel

_log = logging.getLogger(__name__)
_ROWS: Final = 128  # of the matrix that is measured ...
_WIDTH: Final = 512  # ... and its columns
_ROUNDS: Final = 7  # measurements of each, of which the fastest counts
_WORTH: Final = 1.2  # how much faster oneDNN has to be
_FEWEST: Final = 4  # rows; with fewer, oneDNN takes longer to prepare itself than it saves


def fast(model: PreTrainedModel) -> PreTrainedModel:
    """Return a model that predicts the same, faster where that is possible here.

    torch multiplies matrices of floats by MKL. On many processors, such as AMD's, its oneDNN takes half the time. The result
    shares the weights of `model`, so that it also predicts what that learns later; it is `model` itself where oneDNN is not
    faster, or the model is not on the processor in full precision.
    """
    import torch

    weights = [*model.parameters(), *model.buffers()]
    if any(one.device.type != "cpu" for one in weights) or not _onednn_is_faster():
        return model
    made = deepcopy(model, {id(one): one for one in weights})
    for module in made.modules():
        if type(module) is torch.nn.Linear and module.weight.dtype is torch.float32:
            module.__class__ = _layer()
    return made


@functools.cache
def _layer() -> type[Module]:
    """Return the class of a linear layer by oneDNN."""
    import torch

    class OneDnnLinear(torch.nn.Linear):  # type: ignore[misc]  # torch has no types
        def forward(self, given: Tensor) -> Tensor:
            # It has no gradients.
            if torch.is_grad_enabled() or given.shape[:-1].numel() < _FEWEST:
                return super().forward(given)
            return _by_onednn(given, self.weight, self.bias)

    return OneDnnLinear


@functools.cache
def _onednn_is_faster() -> bool:
    """Return True if oneDNN multiplies matrices faster than MKL, by a measurement of some milliseconds, once a process."""
    import torch

    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(1)
        given, weight, bias = torch.randn(_ROWS, _WIDTH), torch.randn(_WIDTH, _WIDTH), torch.randn(_WIDTH)
        try:
            # The two round differently, no more.
            if not torch.allclose(_by_onednn(given, weight, bias), _by_torch(given, weight, bias), 1e-4, 1e-3):
                return False
        except (AttributeError, NotImplementedError, RuntimeError):  # a torch without it
            return False
        factor = _seconds(_by_torch, given, weight, bias) / _seconds(_by_onednn, given, weight, bias)
    _log.info("torch: oneDNN multiplies matrices %.1f times as fast as its default here", factor)
    return factor >= _WORTH


def _by_torch(given: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    import torch

    return torch.nn.functional.linear(given, weight, bias)


def _by_onednn(given: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    import torch

    return torch.ops.mkldnn._linear_pointwise(given, weight, bias, "none", [], "")


def _seconds(compute: Callable[..., Tensor], *given: Tensor) -> float:
    taken = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        compute(*given)
        taken.append(time.perf_counter() - began)
    return min(taken)
