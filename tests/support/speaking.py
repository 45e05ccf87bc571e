"""Sentences that espeak-ng speaks."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import which

SPEAKS = which("espeak-ng") is not None
SENTENCES = (
    "The train to London leaves from platform nine at half past seven.",
    "Please call the doctor before you take another tablet.",
    "My brother bought a small house near the river last summer.",
    "We will meet in the library on Monday morning.",
    "The weather was cold, but the children played outside all day.",
    "Nobody knows where the old man keeps his money.",
)


def spoken(path: Path, text: str, voice: str = "en-us") -> Path:
    """A WAV file in which a text is spoken, a little slower than people do."""
    subprocess.run(["espeak-ng", "-v", voice, "-s", "140", "-w", str(path), text], check=True, timeout=30)
    return path
