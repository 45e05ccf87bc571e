"""ultralytics, imported once and kept quiet: no network, no settings of the user's changed, no threads taken away."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lsml.errors import AdapterError
from lsml.files.cache import cache_directory

# Read by ultralytics when it is imported: installs nothing, looks nothing up, reports nothing, prints nothing.
_QUIET: Final = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "False", "YOLO_VERBOSE": "False"}
_FONTS: Final = ("Arial.ttf", "Arial.Unicode.ttf")  # which it would download
_REPORTERS: Final = (
    "sync", "clearml", "comet", "dvc", "hub", "mlflow", "neptune", "raytune", "tensorboard", "wandb", "trackio", "vscode_msg",
    "openvino_msg",
)  # fmt: skip
_lock = threading.Lock()


def ultralytics() -> Any:
    """The library. Raises AdapterError, with what to install, where it is not there."""
    with _lock:
        if "ultralytics" not in sys.modules:
            _import()
        # Where somebody else is importing it in another thread, this waits.
        return importlib.import_module("ultralytics")


def _import() -> None:
    before = dict(os.environ)
    try:
        # torch first: ultralytics sets OMP_NUM_THREADS to 1, which torch would take for the whole process.
        importlib.import_module("torch")
        cv2: Any = importlib.import_module("cv2")
        pillow: Any = importlib.import_module("PIL.Image")
        threads, open_image = cv2.getNumThreads(), pillow.open
        os.environ.update(_QUIET)
        os.environ["YOLO_CONFIG_DIR"] = str(_config_directory())
        importlib.import_module("ultralytics")
        # What it changes for everybody: OpenCV's threads, and a Pillow that installs plugins for files that are no image.
        cv2.setNumThreads(threads)
        pillow.open = open_image
    except ImportError as error:
        raise AdapterError(
            f'yolo needs ultralytics, which cannot be imported ({error}); pip install "lsml[yolo]"'
        ) from error
    finally:
        # The children of this process, and whoever else reads them, find what was there before.
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
    settings = importlib.import_module("ultralytics.utils").SETTINGS
    # In memory alone: other processes share the file.
    dict.update(settings, dict.fromkeys(set(_REPORTERS) & set(settings), False))


def _config_directory() -> Path:
    """A folder of lsml's own, with the fonts that ultralytics would download."""
    directory = cache_directory("ultralytics")
    fonts = directory / "Ultralytics"
    fonts.mkdir(exist_ok=True)
    for name in _FONTS:
        if not (fonts / name).exists():
            matplotlib = Path(importlib.import_module("matplotlib").get_data_path())
            shutil.copyfile(matplotlib / "fonts" / "ttf" / "DejaVuSans.ttf", fonts / name)
    return directory


@contextlib.contextmanager
def all_threads() -> Iterator[None]:
    """Within it torch keeps its number of threads: ultralytics leaves a core unused, which is half of a small machine."""
    import torch

    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def download(name: str) -> Path:
    """Published weights, fetched into lsml's cache because the recipe asks for it. Raises AdapterError."""
    ultralytics()
    from ultralytics.utils import downloads

    folder = cache_directory("weights")
    try:
        got = Path(downloads.attempt_download_asset(str(folder / name)))
    except Exception as error:
        raise AdapterError(_not_downloaded(name, folder, f"{type(error).__name__}: {error}")) from error
    if not got.is_file():
        raise AdapterError(_not_downloaded(name, folder, "no answer"))
    return got


def _not_downloaded(name: str, folder: Path, why: str) -> str:
    first = (why.splitlines() or [""])[0][:200]
    return f"weights {name} could not be downloaded ({first}); put the file into {folder}, or beside the recipe"
