"""Drawn sounds that are known: tones, sweeps, noise and clicks, alone and one after the other."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from lsml.adapters.base import Example
from lsml.values import Interval

KINDS = ("Hum", "Noise", "Whistle")
RATE = 16_000

Samples = np.ndarray[Any, Any]
File = TypeVar("File", Path, BinaryIO)


def drawn_sound(kind: str, draw: np.random.Generator, seconds: float, rate: int = RATE) -> Samples:
    """A sound of one kind, each time a little higher, louder or rougher than another."""
    times = np.arange(round(seconds * rate)) / rate
    loud = draw.uniform(0.05, 0.4)
    if kind == "Noise":
        sound = draw.normal(0, 0.5, len(times))
    else:
        pitch = draw.uniform(90, 180) if kind == "Hum" else draw.uniform(1800, 2600)
        wobble = 1 + 0.05 * np.sin(2 * np.pi * draw.uniform(3, 6) * times)
        phase = 2 * np.pi * np.cumsum(pitch * wobble) / rate
        sound = np.sin(phase) + 0.4 * np.sin(2 * phase)
    return (loud * sound + draw.normal(0, 0.005, len(times))).astype(np.float32)


def silence(draw: np.random.Generator, seconds: float, rate: int = RATE) -> Samples:
    """What a microphone says where nothing is to be heard."""
    return draw.normal(0, 0.005, round(seconds * rate)).astype(np.float32)


def write_sound(path: File, samples: Samples, rate: int = RATE) -> File:
    """`path`, a WAV file of samples (samples,) or (samples, channels) in [-1, 1]."""
    with wave.open(str(path) if isinstance(path, Path) else path, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def scene(seed: int, kinds: tuple[str, ...] = KINDS, events: int = 5) -> tuple[Samples, list[Interval]]:
    """(samples, where the sounds of some kinds are): sounds of every kind, with silence before, between and after them."""
    draw = np.random.default_rng(seed)
    parts, marked, at = [silence(draw, draw.uniform(0.3, 1.0))], [], 0.0
    for _ in range(events):
        at = sum(map(len, parts)) / RATE
        kind = str(draw.choice(KINDS))
        parts.append(drawn_sound(kind, draw, draw.uniform(0.4, 1.2)))
        marked.append(Interval(round(at, 3), round(sum(map(len, parts)) / RATE, 3), kind))
        parts.append(silence(draw, draw.uniform(0.3, 1.0)))
    return np.concatenate(parts), [value for value in marked if value.label in kinds]


def scenes(folder: Path, seeds: range, kinds: tuple[str, ...] = KINDS) -> list[Example]:
    """Drawn recordings with the sounds of some kinds marked."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for seed in seeds:
        samples, marked = scene(seed, kinds)
        made.append(Example(write_sound(folder / f"scene-{seed}.wav", samples), tuple(marked)))
    return made


def clips(folder: Path, seeds: range, seconds: float = 0.6) -> list[tuple[Path, str]]:
    """(file, kind) of a sound for each seed, of every kind in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for seed in seeds:
        kind, draw = KINDS[seed % len(KINDS)], np.random.default_rng(seed)
        made.append((write_sound(folder / f"clip-{seed}.wav", drawn_sound(kind, draw, seconds)), kind))
    return made
