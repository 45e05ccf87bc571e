"""Models of transformers on this machine, for several adapters. Nothing is downloaded, and no code of a model runs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lsml.errors import AdapterError

if TYPE_CHECKING:
    from tokenizers import Encoding
    from torch import Tensor, device
    from torch.nn import Module
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


Knew = Callable[[str, Mapping[str, int]], int | None]  # (name, rows of an old head by name in small letters) -> its row
ENCODER: Final = "AutoModel"
_CACHED: Final = 512  # tokens; with more, each takes longer
_ON_A_HUB: Final = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")  # half of a surrogate pair, which tokenizers do not accept


class Piece(NamedTuple):
    """A window of a text's tokens: their ids without special ones, and the index of the first one in the text."""

    text: int  # index of the text in the batch
    start: int
    ids: list[int]


def find(adapter: str, weights: str, what: str) -> Path:
    """Return the folder of a model: `weights` itself, or that of a downloaded model with that name. Raises AdapterError."""
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
            f"{adapter}: {weights} is not a folder with {what} of transformers, and not the name of a downloaded "
            f"one; {remedy(weights)}"
        )
    return Path(found).parent


def remedy(weights: str) -> str:
    """Return what to do about weights that are missing on this machine: download them, if the name could be one of a hub."""
    if _ON_A_HUB.fullmatch(weights):
        return "give the path of their folder, or download them once: lsml fetch RECIPE"
    return "correct the path of their folder, which is relative to the recipe's folder"


def config_of(weights: str) -> dict[str, Any]:
    """Return the `config.json` of a folder or of a downloaded model; empty if there is none. Imports nothing."""
    for folder in (Path(weights).expanduser(), *snapshots(weights)):
        try:
            config = json.loads((folder / "config.json").read_bytes())
        except (OSError, ValueError):
            continue
        return config if isinstance(config, dict) else {}
    return {}


def snapshots(weights: str) -> list[Path]:
    """Return the folders of downloaded models of that name, as the hub's own library keeps them: first the one that it loads,
    then the others, newest first.
    """
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    home_of_model = hub / f"models--{weights.replace('/', '--')}"
    try:
        loaded = (home_of_model / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        loaded = ""
    try:
        found = list((home_of_model / "snapshots").iterdir())
        return sorted(found, key=lambda path: (path.name == loaded, path.stat().st_mtime), reverse=True)
    except OSError:
        return []


def tokens_at_once(device: device) -> int | None:
    """Return the best number of tokens in a batch: as many as a processor's cache holds; None for a GPU, which has no such
    limit.
    """
    return _CACHED if device.type == "cpu" else None


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Return a model's fast tokenizer, without padding or truncation, so that threads may share it. Raises AdapterError."""
    _quiet()
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, use_fast=True)
    except (OSError, ValueError, KeyError) as error:
        raise AdapterError(f"{folder}: its tokenizer cannot be read: {error}; give a complete model") from error
    if not getattr(tokenizer, "is_fast", False):
        raise AdapterError(
            f"{folder}: has no fast tokenizer (tokenizer.json), which is needed for offsets; give a model that has one"
        )
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    return tokenizer


def load_model(kind: str, folder: Path, **config: object) -> PreTrainedModel:
    """Return a folder's model in full precision, ready to predict; `kind`: AutoModel and similar. Raises AdapterError."""
    _quiet()
    import transformers

    if not any(folder.glob("*.safetensors")):
        raise AdapterError(
            f"{folder}: has no weights as safetensors; pickles are not loaded, because they can run code; give a "
            "model with safetensors, or save it again with a current transformers"
        )
    try:
        model, loading = getattr(transformers, kind).from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **config,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise AdapterError(f"{folder}: cannot be read as {kind}: {error}; give a complete model") from error
    if kind != ENCODER and not config and loading["missing_keys"]:
        # transformers would initialise missing weights at random.
        raise AdapterError(f"{folder}: lacks {', '.join(sorted(loading['missing_keys'])[:3])}; give a complete model")
    return model.float().eval()


def load_fresh(
    kind: str, folder: Path, names: Sequence[str], seed: int, knew: Knew, **config: object
) -> PreTrainedModel:
    """Return the model of a folder with a head for `names`, which starts with the rows that the folder's own head has for
    them.

    `knew`: returns the row of the old head for a name, or None. Raises AdapterError.
    """
    import torch

    numbered = {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = load_model(kind, folder, num_labels=len(names), ignore_mismatched_sizes=True, **numbered, **config)
        before = trained_names(config_of(str(folder)), kind)
        if not before:
            return model
        old, new = _head(load_model(kind, folder)), _head(model)
        if old is None or new is None or old.weight.shape[1] != new.weight.shape[1]:
            return model
        known = {name.casefold(): row for row, name in enumerate(before)}
        with torch.no_grad():
            # A head of the same size was kept completely, although its rows stand for other labels.
            new.weight.normal_(std=getattr(model.config, "initializer_range", None) or 0.02)
            if new.bias is not None:
                new.bias.zero_()
            for row, name in enumerate(names):
                source = knew(name, known)
                if source is not None:
                    new.weight[row] = old.weight[source]
                    if old.bias is not None and new.bias is not None:
                        new.bias[row] = old.bias[source]
    return model


def _head(model: PreTrainedModel) -> Module:
    """Return the last layer, with a row for each label; None where a model has another kind of head."""
    import torch

    fitting = [
        layer
        for layer in model.modules()
        if isinstance(layer, torch.nn.Linear) and layer.out_features == model.config.num_labels
    ]
    return fitting[-1] if fitting else None


def trained_names(config: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    """Return the labels of a trained head, by number; empty for a model without one, whose predictions would be random.

    `kind`: AutoModelFor... of the head.
    """
    names = config.get("id2label")
    heads = config.get("architectures") or []
    if not isinstance(names, dict) or not any(str(head).endswith(kind.removeprefix(ENCODER)) for head in heads):
        return ()
    return tuple(str(name) for _, name in sorted(names.items(), key=lambda pair: int(pair[0])))


def longest_window(config: Mapping[str, Any], wanted: int) -> int:
    """Return the most tokens of a model's input, at most `wanted`; `config`: the content of its `config.json`."""
    longest = config.get("max_position_embeddings") or wanted
    # RoBERTa counts its positions from 2.
    return min(wanted, longest - 2 if longest > 32 else longest)


def _quiet() -> None:
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def device_of(wanted: str) -> device:
    """Return the device of an option; `auto`: a GPU if there is one."""
    import torch

    if wanted != "auto":
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


class Windows:
    """A cutter of texts into windows of tokens that fit a model, and of batches of windows with similar lengths."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, length: int, overlap: int = 0) -> None:
        self._backend = tokenizer.backend_tokenizer
        alone = self._backend.encode("a", add_special_tokens=True)
        inner = [index for index, special in enumerate(alone.special_tokens_mask) if not special]
        self._before = list(alone.ids[: inner[0]])
        self._after = list(alone.ids[inner[-1] + 1 :])
        self._pad = tokenizer.pad_token_id or 0
        self._length = max(8, length - len(self._before) - len(self._after))
        self._overlap = min(overlap, self._length // 2)

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Return the tokens of each text (`ids`, `offsets` in code points, `word_ids`), without special ones."""
        whole = [_SURROGATE.sub("\ufffd", text) for text in texts]
        return list(self._backend.encode_batch(whole, add_special_tokens=False))

    def pieces(self, encodings: Sequence[Encoding], most: int | None = None) -> list[Piece]:
        """Return windows over all tokens, at most `most` for each text; at least one for each text."""
        made = []
        for index, encoding in enumerate(encodings):
            start, count = 0, 0
            while True:
                ids = encoding.ids[start : start + self._length]
                made.append(Piece(index, start, list(ids)))
                count += 1
                if start + self._length >= len(encoding.ids) or count == most:
                    break
                start += self._length - self._overlap
        return made

    def batches(
        self, pieces: Sequence[Piece], size: int, tokens: int | None = None
    ) -> list[tuple[list[int], dict[str, Tensor]]]:
        """Return batches of windows with similar lengths, as (indices of the windows, inputs of a model).

        A batch has at most `size` windows, and at most `tokens` tokens with padding, unless one window alone is longer.
        """
        import torch

        special = len(self._before) + len(self._after)
        groups: list[list[int]] = []
        for index in sorted(range(len(pieces)), key=lambda index: len(pieces[index].ids)):
            longest = len(pieces[index].ids) + special
            full = not groups or len(groups[-1]) == size
            if full or (tokens is not None and longest * (len(groups[-1]) + 1) > tokens):
                groups.append([])
            groups[-1].append(index)
        made = []
        for indices in groups:
            rows = [[*self._before, *pieces[index].ids, *self._after] for index in indices]
            longest = max(map(len, rows))
            ids = torch.tensor([row + [self._pad] * (longest - len(row)) for row in rows])
            seen = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
            made.append((indices, {"input_ids": ids, "attention_mask": seen}))
        return made

    @property
    def first(self) -> int:
        """The number of special tokens before the first token of a window."""
        return len(self._before)
