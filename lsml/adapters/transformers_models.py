"""Models of transformers from this machine: what its adapters share. Nothing is fetched, and no code of a model runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from lsml.adapters.base import MACHINE, TRAINING, Progress
from lsml.errors import AdapterError

_PROGRESS: Final = 1e-3  # of the loss; less is none


class TuningOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a transformer is fine-tuned, and where it runs."""

    epochs: Annotated[int, Meta(ge=1, le=1000, description="How often all examples are read.", extra=TRAINING)] = 5
    learning_rate: Annotated[float, Meta(gt=0, le=1, description="The largest step.", extra=TRAINING)] = 1e-4
    weight_decay: Annotated[
        float, Meta(ge=0, le=1, description="How strongly weights are held small.", extra=TRAINING)
    ] = 0.01
    warmup: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of the steps in which the learning rate rises; then it falls.",
            extra=TRAINING,
        ),
    ] = 0.1
    train_batch: Annotated[int, Meta(ge=1, le=1024, description="Parts of texts in one step.", extra=TRAINING)] = 8
    patience: Annotated[
        int,
        Meta(
            ge=0,
            le=1000,
            description="Stop after so many epochs without progress on a tenth of the examples, which is then not learnt; "
            "0 never stops.",
            extra=TRAINING,
        ),
    ] = 0
    device: Annotated[str, Meta(description="Where it runs: auto, cpu, cuda, cuda:1, mps.", extra=MACHINE)] = "auto"
    batch: Annotated[int, Meta(ge=1, le=4096, description="Parts of texts that it sees at a time.", extra=MACHINE)] = 16


class Piece(NamedTuple):
    """A window of a text's tokens: their ids between the special ones, and the first one's place in the text."""

    text: int  # place of the text in the batch
    start: int
    ids: list[int]


def find(adapter: str, weights: str, what: str) -> Path:
    """The folder of a model: `weights` itself, or where a model of that name was fetched to before. Raises AdapterError."""
    folder = Path(weights).expanduser()
    if (folder / "config.json").is_file():
        return folder
    _quiet()
    from transformers.utils import cached_file

    try:
        found = cached_file(weights, "config.json", local_files_only=True)
    except (OSError, ValueError):
        found = None
    if found is None:
        raise AdapterError(
            f"{adapter}: {weights} is no folder with {what} of transformers, nor one that was fetched before; give the path "
            f"of its folder, or fetch it once: hf download {weights}"
        )
    return Path(found).parent


def config_of(weights: str) -> dict[str, Any]:
    """What `config.json` of a folder, or of what was fetched before, says; nothing where there is none. Imports nothing."""
    for folder in (Path(weights).expanduser(), *_snapshots(weights)):
        try:
            config = json.loads((folder / "config.json").read_bytes())
        except (OSError, ValueError):
            continue
        return config if isinstance(config, dict) else {}
    return {}


def _snapshots(weights: str) -> list[Path]:
    """Where the hub's own library keeps what it fetched, newest first."""
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    folder = hub / f"models--{weights.replace('/', '--')}" / "snapshots"
    try:
        return sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return []


def load_tokenizer(folder: Path) -> Any:
    """A model's fast tokenizer, without padding or truncation, so that threads may share it. Raises AdapterError."""
    _quiet()
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, use_fast=True)
    except (OSError, ValueError, KeyError) as error:
        raise AdapterError(f"{folder}: its tokenizer cannot be read: {error}; give a whole model") from error
    if not getattr(tokenizer, "is_fast", False):
        raise AdapterError(
            f"{folder}: has no fast tokenizer (tokenizer.json), which offsets need; give a model that has one"
        )
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    return tokenizer


def load_model(kind: str, folder: Path, **facts: Any) -> Any:
    """A model of a folder, ready to predict; `kind`: AutoModel and its kin. Raises AdapterError."""
    _quiet()
    import transformers

    try:
        model = getattr(transformers, kind).from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **facts
        )
    except (OSError, ValueError, KeyError) as error:
        raise AdapterError(f"{folder}: cannot be read as {kind}: {error}; give a whole model") from error
    return model.eval()


def _quiet() -> None:
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def device_of(wanted: str) -> Any:
    """The device that an option names; `auto`: a GPU where there is one."""
    import torch

    if wanted != "auto":
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


class Windows:
    """Cuts texts into windows of tokens that a model can see, and makes batches of them, the longest together."""

    def __init__(self, tokenizer: Any, length: int, overlap: int = 0) -> None:
        self._backend = tokenizer.backend_tokenizer
        alone = self._backend.encode("a", add_special_tokens=True)
        inner = [place for place, special in enumerate(alone.special_tokens_mask) if not special]
        self._before = list(alone.ids[: inner[0]])
        self._after = list(alone.ids[inner[-1] + 1 :])
        self._pad = tokenizer.pad_token_id or 0
        self._length = max(8, length - len(self._before) - len(self._after))
        self._overlap = min(overlap, self._length // 2)

    def encode(self, texts: Sequence[str]) -> list[Any]:
        """The tokens of each text (`ids`, `offsets` in code points, `word_ids`), without special ones."""
        return list(self._backend.encode_batch(list(texts), add_special_tokens=False))

    def pieces(self, encodings: Sequence[Any], most: int | None = None) -> list[Piece]:
        """Windows over all tokens, of each text at most `most`; at least one for each text."""
        made = []
        for place, encoding in enumerate(encodings):
            start, count = 0, 0
            while True:
                ids = encoding.ids[start : start + self._length]
                made.append(Piece(place, start, list(ids)))
                count += 1
                if start + self._length >= len(encoding.ids) or count == most:
                    break
                start += self._length - self._overlap
        return made

    def batches(self, pieces: Sequence[Piece], size: int) -> list[tuple[list[int], dict[str, Any]]]:
        """(places of the pieces, inputs of a model) of batches of about equally long pieces."""
        import torch

        order = sorted(range(len(pieces)), key=lambda place: len(pieces[place].ids))
        made = []
        for begin in range(0, len(order), size):
            places = order[begin : begin + size]
            rows = [[*self._before, *pieces[place].ids, *self._after] for place in places]
            longest = max(map(len, rows))
            ids = torch.tensor([row + [self._pad] * (longest - len(row)) for row in rows])
            seen = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
            made.append((places, {"input_ids": ids, "attention_mask": seen}))
        return made

    @classmethod
    def of(cls, tokenizer: Any, config: Any, length: int, overlap: int = 0) -> Windows:
        """Windows of `length`, or of what a model can see where that is less."""
        longest = getattr(config, "max_position_embeddings", None) or length
        # RoBERTa counts its positions from 2.
        return cls(tokenizer, min(length, longest - 2 if longest > 32 else longest), overlap)

    @property
    def first(self) -> int:
        """How many special tokens stand before the first token of a piece."""
        return len(self._before)


def head_labels(config: dict[str, Any], head: str) -> dict[int, str]:
    """The labels of a trained head (`head`: TokenClassification ...), by number; none where a model has none, or placeholders
    alone."""
    names = config.get("id2label")
    kinds = config.get("architectures") or []
    if not isinstance(names, dict) or not any(head in str(kind) for kind in kinds):
        return {}
    labels = {int(number): str(name) for number, name in names.items()}
    return {} if all(name.startswith("LABEL_") for name in labels.values()) else labels


def tune(
    model: Any, count: int, loss: Callable[[Sequence[int]], Any], options: TuningOptions, seed: int, progress: Progress
) -> None:
    """Fine-tune all weights on lessons 0 to `count`: `loss` is that of some of them. Raises what `progress` raises."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    learnt = list(range(count))
    judged: list[int] = []
    if options.patience and count >= 20:
        learnt = torch.randperm(count, generator=draw).tolist()
        tenth = max(2, count // 10)
        judged, learnt = learnt[:tenth], learnt[tenth:]
    size = options.train_batch
    steps = options.epochs * -(-len(learnt) // size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    rising = max(1, round(steps * options.warmup))

    def rate(step: int) -> float:
        return min((step + 1) / rising, max(0.0, (steps - step) / max(1, steps - rising)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    best, kept, waited, done = float("inf"), None, 0, 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(options.epochs):
            model.train()
            order = [learnt[place] for place in torch.randperm(len(learnt), generator=draw).tolist()]
            for begin in range(0, len(order), size):
                progress(done / steps, f"epoch {epoch + 1} of {options.epochs}, step {done + 1} of {steps}")
                loss(order[begin : begin + size]).backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                done += 1
            if not judged:
                continue
            model.eval()
            with torch.inference_mode():
                wrong = float(loss(judged))
            if wrong < best - _PROGRESS:
                best, waited = wrong, 0
                kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            else:
                waited += 1
                if waited >= options.patience:
                    break
    if kept is not None:
        model.load_state_dict(kept)
    model.eval()
