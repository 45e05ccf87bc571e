"""The logits of a transformer, by torch or by a faster runtime whose results agree."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta

from lsml.adapters.base import MACHINE
from lsml.adapters.parts.matrices import fast
from lsml.adapters.parts.transformers_models import device_of, tokens_at_once
from lsml.files.cache import cache_directory

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel

    _Compute = Callable[[dict[str, Tensor]], Tensor]  # a batch -> logits, as in `Logits.of`


Accelerate = Annotated[
    Literal["auto", "onnx", "bfloat16"] | None,
    Meta(
        description='onnx: export once, and serve through ONNX Runtime, pip install "lsml[onnx]"; bfloat16: compute in two '
        "bytes, faster if the processor supports it (AVX512-BF16, AMX, GPUs). Both are first "
        "checked against torch in full precision, which null uses. auto: the fastest of the three on the first texts, by "
        "measurement, whose labels of them are the same.",
        extra=MACHINE,
    ),
]
_log = logging.getLogger(__name__)
_APART: Final = {"onnx": 1e-3, "bfloat16": 0.05}  # the largest difference of probabilities that agree
_OPSET: Final = 17
_ROUNDS: Final = 3  # measurements of each, of which the fastest counts
_WORTH: Final = 1.2  # how much faster than torch another has to be


class Logits:
    """A model that computes one batch at a time for all threads."""

    def __init__(self, adapter: str, model: PreTrainedModel, device: str, accelerate: str | None) -> None:
        self.model = model.to(device_of(device))
        self._fast = fast(self.model)
        self.tokens = tokens_at_once(next(self.model.parameters()).device)  # the best size of a batch
        self._adapter = adapter
        self._accelerate = accelerate
        self._lock = threading.Lock()
        self._compute: _Compute | None = None if accelerate else self._by_torch

    def of(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the logits of a batch, floats on the CPU: (windows, labels), or (windows, tokens, labels)."""
        with self._lock:
            if self._compute is None:
                self._compute = self._accelerated(inputs)
            return self._compute(inputs)

    def _by_torch(self, inputs: dict[str, Tensor]) -> Tensor:
        import torch

        with torch.inference_mode():
            return _logits(self._fast, inputs).float().cpu()

    def learning(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the logits on the model's device, with gradients for training."""
        return _logits(self.model, inputs)

    def _accelerated(self, inputs: dict[str, Tensor]) -> _Compute:
        """Return a faster function that agrees with torch on the first batch; torch itself, with a warning, where there is
        none.
        """
        assert self._accelerate is not None
        if self._accelerate == "auto":
            return self._fastest(inputs)
        try:
            return self._agreeing(self._accelerate, inputs, exactly=False)
        except Exception as error:  # exporters may raise anything; torch still works
            first = (str(error).splitlines() or [""])[0][:300]
            _log.warning(
                "%s: accelerate: %s is not possible, so torch serves: %s: %s",
                self._adapter, self._accelerate, type(error).__name__, first,
            )  # fmt: skip
            return self._by_torch

    def _agreeing(self, name: str, inputs: dict[str, Tensor], *, exactly: bool) -> _Compute:
        """Return a faster function. Raises any error where it is not possible, or does not agree with torch on a batch.

        `exactly`: its best labels must be the same, too.
        """
        padded = _padded(inputs)
        compute = _MAKERS[name](self.model, padded)
        for batch in (padded, inputs):
            theirs, ours = _probabilities(compute(batch)), _probabilities(self._by_torch(batch))
            if ours.dim() == 3:
                read = batch["attention_mask"].bool()
                theirs, ours = theirs[read], ours[read]
            far = float((theirs - ours).abs().max())
            if not far <= _APART[name]:
                raise RuntimeError(f"its results differ from torch's (by {far:.3g})")
            if exactly and not theirs.argmax(-1).equal(ours.argmax(-1)):
                raise RuntimeError("its labels differ from torch's")
        return compute

    def _fastest(self, inputs: dict[str, Tensor]) -> _Compute:
        """Return the fastest function on a batch, of those with the same labels as torch."""
        times: dict[str, float] = {"torch": _seconds(self._by_torch, inputs)}
        found: dict[str, _Compute] = {"torch": self._by_torch}
        for name in _MAKERS:
            try:
                found[name] = self._agreeing(name, inputs, exactly=True)
            except Exception as error:  # as above; a runtime may also be missing
                _log.info("%s: accelerate: %s is left out: %s", self._adapter, name, type(error).__name__)
            else:
                times[name] = _WORTH * _seconds(found[name], inputs)
        best = min(times, key=times.__getitem__)
        _log.info("%s: accelerate: %s is the fastest here", self._adapter, best)
        return found[best]


def _seconds(compute: _Compute, inputs: dict[str, Tensor]) -> float:
    """Return the seconds of the fastest of some calls, after one that may prepare something."""
    compute(inputs)
    taken = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        compute(inputs)
        taken.append(time.perf_counter() - began)
    return min(taken)


def _logits(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Tensor:
    device = next(model.parameters()).device
    return model(**{name: tensor.to(device) for name, tensor in inputs.items()}).logits


def _probabilities(logits: Tensor) -> Tensor:
    return logits.softmax(dim=-1)


def _by_half(model: PreTrainedModel, _padded: dict[str, Tensor]) -> _Compute:
    """Return a function of a model's copy in two bytes."""
    import torch

    half = deepcopy(model).to(torch.bfloat16)

    def compute(inputs: dict[str, Tensor]) -> Tensor:
        with torch.inference_mode():
            return _logits(half, inputs).float().cpu()

    return compute


def _by_onnx(model: PreTrainedModel, padded: dict[str, Tensor]) -> _Compute:
    """Return a function of a session of ONNX Runtime. Raises any error where it is not possible."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    path = _export(model, padded)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def compute(inputs: dict[str, Tensor]) -> Tensor:
        given = {name: tensor.numpy() for name, tensor in inputs.items()}
        return torch.from_numpy(session.run(None, given)[0]).float()

    return compute


_MAKERS: Final[dict[str, Callable[[PreTrainedModel, dict[str, Tensor]], _Compute]]] = {
    "bfloat16": _by_half,
    "onnx": _by_onnx,
}


def _export(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Path:
    """Return the file of a model's export, which is cached by the hash of the model."""
    import torch

    digest = hashlib.sha256(model.config.to_json_string().encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    path = cache_directory("onnx") / f"{digest.hexdigest()[:32]}.onnx"
    if path.exists():
        return path
    making = path.with_name(f".{os.getpid()}-{threading.get_ident()}-{path.name}")
    names = list(inputs)
    axes = {name: {0: "windows", 1: "tokens"} for name in names}
    with torch.inference_mode():
        width = _logits(model, inputs).dim()
    axes["logits"] = {0: "windows", 1: "tokens"} if width == 3 else {0: "windows"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations and traces; the export itself is checked
            torch.onnx.export(
                _plain(model).eval(), tuple(inputs[name] for name in names), str(making), input_names=names,
                output_names=["logits"], dynamic_axes=axes, dynamo=False, opset_version=_OPSET,
            )  # fmt: skip
        making.replace(path)
    finally:
        making.unlink(missing_ok=True)
    return path


def _padded(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the first window twice, once half hidden: an exporter that saw no padding might leave it out."""
    import torch

    rows = {name: torch.cat([tensor[:1], tensor[:1]]) for name, tensor in inputs.items()}
    rows["attention_mask"][1, -(-rows["attention_mask"].shape[1] // 2) :] = 0
    return rows


def _plain(model: PreTrainedModel) -> Module:
    """Return a module whose only output is the logits, as an exporter needs it."""
    import torch

    class Plain(torch.nn.Module):  # type: ignore[misc]  # torch has no types
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            return self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=True).logits

    return Plain()
