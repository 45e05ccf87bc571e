"""A virtual environment with a real Label Studio, made once and kept between runs.

It also holds label-studio-sdk, whose validator is the tests' outside judge. It is apart from ours because the SDK pins
packages that fight with model libraries. `LSML_TEST_CACHE` says where it is kept.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

from filelock import FileLock

LABEL_STUDIO = "1.23.2"
OLDER = ("1.18.0", "1.13.1")  # releases that people still run


def cache_directory() -> Path:
    """Where tests keep what is expensive to make."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lsml-tests"
    directory = Path(os.environ.get("LSML_TEST_CACHE", default))
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def studio_venv(release: str = LABEL_STUDIO) -> Path:
    """The environment's folder; installs it on first use (some two minutes, 1 GB)."""
    home = cache_directory() / f"label-studio-{release}"
    with FileLock(f"{home}.lock"):
        complete = home / "complete"
        if not complete.exists():
            venv.create(home, with_pip=True, clear=True)
            command = [studio_python(home), "-m", "pip", "install", "--quiet", f"label-studio=={release}"]
            subprocess.run(command, check=True)
            complete.touch()
    return home


def studio_python(home: Path | None = None) -> Path:
    """The environment's interpreter."""
    scripts = "Scripts" if sys.platform == "win32" else "bin"
    return (home or studio_venv()) / scripts / "python"
