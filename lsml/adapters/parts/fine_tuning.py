"""Fine-tuning all weights of a transformer on few examples, for several adapters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from lsml.adapters.base import MACHINE, TRAINING, Progress
from lsml.adapters.parts.devices import FittingBatch
from lsml.adapters.parts.logits import Accelerate
from lsml.adapters.parts.regressions import HeldOut, temperature

if TYPE_CHECKING:
    from torch import Generator, Tensor
    from transformers import PreTrainedModel


_LEAST_STEPS: Final = 300  # for a new head
_FEWEST: Final = 3  # epochs
_MAX_EPOCHS: Final = 40
_SMALL: Final = 512  # the size of a hidden state; smaller models allow larger steps
_LEAST_JUDGED: Final = 20  # examples; with fewer there is no validation set ...
_LEAST_CALIBRATED: Final = 200  # ... and where training never stops, with fewer than these
_LEAST_HELD_OUT: Final = 20  # examples from which a temperature is learnt; one of fewer does more harm than good
_PROGRESS: Final = 1e-3  # the least fall of the loss that counts as progress

TEMPERATURE: Final = "lsml_temperature"  # its name in the model's configuration

_Encoded = TypeVar("_Encoded")


class PretrainedOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of every adapter with a model of transformers; each describes its own weights."""

    weights: str
    device: Annotated[str, Meta(description="The device: auto, cpu, cuda, cuda:1, mps.", extra=MACHINE)] = "auto"


class TuningOptions(PretrainedOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of fine-tuning; each adapter describes its own weights."""

    epochs: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | Literal["auto"],
        Meta(
            description=f"The number of epochs. auto: enough for {_LEAST_STEPS} steps, between {_FEWEST} and {_MAX_EPOCHS}.",
            extra=TRAINING,
            extra_json_schema={"errorMessage": "expected a whole number from 1 to 1000, or auto"},
        ),
    ] = "auto"
    learning_rate: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | Literal["auto"],
        Meta(
            description="The learning rate. auto: 5e-5, or 2e-4 for a small model, whose hidden states have fewer than "
            f"{_SMALL} numbers.",
            extra=TRAINING,
            extra_json_schema={"errorMessage": "expected a number above 0 up to 1, or auto"},
        ),
    ] = "auto"
    weight_decay: Annotated[float, Meta(ge=0, le=1, description="The weight decay.", extra=TRAINING)] = 0.01
    warmup: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="The share of steps in which the learning rate rises; then it falls.",
            extra=TRAINING,
        ),
    ] = 0.1
    train_batch: Annotated[int, Meta(ge=1, le=1024, description="The batch size of training.", extra=TRAINING)] = 8
    patience: Annotated[
        int,
        Meta(
            ge=0,
            le=1000,
            description="Stop after this many epochs without progress on a tenth of the examples, which is then a validation "
            "set; epochs of the warm-up do not count; 0 never stops. From 200 windows of text on there always is one, which "
            "calibrates the probabilities.",
            extra=TRAINING,
        ),
    ] = 0
    batch: Annotated[int, Meta(ge=1, le=4096, description="Windows in one batch.", extra=MACHINE)] = 16


class FineTuningOptions(TuningOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of a model whose forward pass may be accelerated; each adapter describes its windows."""

    max_length: int
    accelerate: Accelerate = None


class Descent(NamedTuple):
    """The settings of gradient descent: see the options of the same names."""

    epochs: int | Literal["auto"]
    learning_rate: float
    weight_decay: float
    warmup: float
    train_batch: int
    patience: int


def fine_tune(
    model: PreTrainedModel,
    encoded: Sequence[_Encoded],
    loss_of: Callable[[Sequence[_Encoded]], Tensor],
    options: TuningOptions,
    seed: int,
    progress: Progress,
) -> list[_Encoded]:
    """Train a model so that `loss_of` its encoded examples becomes small; the same ones and seed give the same weights.

    Returns those of the validation set, which were not learnt; none where there is no such set. Raises what `progress` raises,
    which is called before every step.
    """
    import torch

    draw = torch.Generator().manual_seed(seed)
    encoded, judged = _split(encoded, options, draw)
    settings = Descent(
        options.epochs, _learning_rate(model, options), options.weight_decay, options.warmup, options.train_batch,
        options.patience,
    )  # fmt: skip
    wrong = (lambda: _mean_loss(model, judged, loss_of, options.train_batch)) if judged and options.patience else None
    descend(model, encoded, loss_of, settings, draw, progress, wrong)
    return judged


def descend(
    model: PreTrainedModel,
    encoded: Sequence[_Encoded],
    loss_of: Callable[[Sequence[_Encoded]], Tensor],
    settings: Descent,
    draw: Generator,
    progress: Progress,
    wrong: Callable[[], float] | None,
) -> None:
    """Train a model by gradient descent. `wrong`: returns how wrong it is on a validation set, after each epoch; then the
    weights of the best epoch are kept, else those of the last.

    Raises what `progress` raises, which is called before every step.
    """
    import torch

    size = settings.train_batch
    in_epoch = -(-len(encoded) // size)
    enough = min(_MAX_EPOCHS, max(_FEWEST, -(-_LEAST_STEPS // in_epoch)))
    epochs = enough if settings.epochs == "auto" else settings.epochs
    steps = epochs * in_epoch
    optimizer = torch.optim.AdamW(_groups(model, settings.weight_decay), lr=settings.learning_rate)
    rising = max(1, round(steps * settings.warmup))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / rising, max(0.0, (steps - step) / max(1, steps - rising)))
    )
    fitting = FittingBatch("training", "train_batch", "example")
    best, kept, waited, done = float("inf"), None, 0, 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw.initial_seed())
        for epoch in range(epochs):
            model.train()
            order = torch.randperm(len(encoded), generator=draw).tolist()
            for begin in range(0, len(order), size):
                progress(done / steps, f"epoch {epoch + 1} of {epochs}, step {done + 1} of {steps}")
                batch = [encoded[index] for index in order[begin : begin + size]]
                fitting.results(batch, partial(_backward, loss_of, len(batch)), optimizer.zero_grad)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                done += 1
            if wrong is None:
                continue
            found = wrong()
            if found < best - _PROGRESS:
                best, waited = found, 0
                kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            elif done > rising:  # the steps of the warm-up are too small for a decision
                waited += 1
                if waited >= settings.patience:
                    break
    if kept is not None:
        model.load_state_dict(kept)
    model.eval()


def _backward(
    loss_of: Callable[[Sequence[_Encoded]], Tensor], whole: int, some: Sequence[_Encoded]
) -> Sequence[object]:
    """Add the gradients of some of the `whole` examples of a batch."""
    (loss_of(some) * (len(some) / whole)).backward()
    return ()


def temperature_by(
    encoded: Sequence[_Encoded], held_out: Callable[[Sequence[_Encoded]], list[HeldOut]], size: int
) -> float:
    """Return the temperature that calibrates a model by its logits for examples that it did not learn; 1 with few.

    `held_out`: returns the logits and the true classes of at most `size` encoded examples.
    """
    import torch

    if len(encoded) < _LEAST_HELD_OUT:
        return 1.0
    with torch.inference_mode():
        parts = [held_out(encoded[begin : begin + size]) for begin in range(0, len(encoded), size)]
    return temperature([one for some in parts for one in some])


def saved_temperature(config: object) -> float:
    """Return the temperature of a saved model's configuration; 1 where it has none. Raises ValueError for a wrong one."""
    found = float(getattr(config, TEMPERATURE, 1.0))
    if not 0 < found < float("inf"):
        raise ValueError(f"its temperature is {found}")
    return found


def _split(
    encoded: Sequence[_Encoded], options: TuningOptions, draw: Generator
) -> tuple[Sequence[_Encoded], list[_Encoded]]:
    """Return the encoded examples to learn, and those of the validation set; none where there are too few."""
    import torch

    if len(encoded) < (_LEAST_JUDGED if options.patience else _LEAST_CALIBRATED):
        return encoded, []
    order = torch.randperm(len(encoded), generator=draw).tolist()
    tenth = max(2, len(encoded) // 10)
    return [encoded[index] for index in order[tenth:]], [encoded[index] for index in order[:tenth]]


def _groups(model: PreTrainedModel, decay: float) -> list[dict[str, object]]:
    """Return the weights, and separately those without weight decay: biases and the scales of normalisation."""
    learnt = [tensor for tensor in model.parameters() if tensor.requires_grad]
    return [
        {"params": [tensor for tensor in learnt if tensor.dim() > 1], "weight_decay": decay},
        {"params": [tensor for tensor in learnt if tensor.dim() <= 1], "weight_decay": 0.0},
    ]


def _learning_rate(model: PreTrainedModel, options: TuningOptions) -> float:
    if options.learning_rate != "auto":
        return options.learning_rate
    return 2e-4 if (getattr(model.config, "hidden_size", None) or _SMALL) < _SMALL else 5e-5


def _mean_loss(
    model: PreTrainedModel, encoded: Sequence[_Encoded], loss_of: Callable[[Sequence[_Encoded]], Tensor], size: int
) -> float:
    import torch

    model.eval()
    total = 0.0
    with torch.inference_mode():
        for begin in range(0, len(encoded), size):
            some = encoded[begin : begin + size]
            total += float(loss_of(some)) * len(some)
    return total / len(encoded)
