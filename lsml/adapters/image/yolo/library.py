"""ultralytics, imported once, without network access, output, and changes to the user's settings or threads."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lsml.adapters.parts.weight_files import weights_folder
from lsml.errors import AdapterError
from lsml.files.cache import cache_directory

# ultralytics reads these when it is imported: it then installs, downloads, reports and prints nothing.
_QUIET: Final = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "False", "YOLO_VERBOSE": "False"}
_FONTS: Final = ("Arial.ttf", "Arial.Unicode.ttf")  # fonts that it would download
_REPORTERS: Final = (
    "sync", "clearml", "comet", "dvc", "hub", "mlflow", "neptune", "raytune", "tensorboard", "wandb", "trackio", "vscode_msg",
    "openvino_msg",
)  # fmt: skip
_lock = threading.Lock()


def ultralytics() -> Any:
    """Return the library. Raises AdapterError, with what to install, where it is missing."""
    with _lock:
        if "ultralytics" not in sys.modules:
            _import()
        # Waits if another thread is importing it.
        return importlib.import_module("ultralytics")


def _import() -> None:
    before = dict(os.environ)
    try:
        # torch first, as ultralytics sets OMP_NUM_THREADS to 1, which torch would use for the whole process.
        importlib.import_module("torch")
        cv2: Any = importlib.import_module("cv2")
        pillow: Any = importlib.import_module("PIL.Image")
        threads, open_image = cv2.getNumThreads(), pillow.open
        os.environ.update(_QUIET)
        os.environ["YOLO_CONFIG_DIR"] = str(_config_directory())
        importlib.import_module("ultralytics")
        # It changes OpenCV's threads, and makes Pillow install plugins for files that are no image, so both are restored.
        cv2.setNumThreads(threads)
        pillow.open = open_image
    except ImportError as error:
        raise AdapterError(
            f'yolo needs ultralytics, which cannot be imported ({error}); pip install "lsml[yolo]"'
        ) from error
    finally:
        # The environment is restored for other readers and for child processes.
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
    settings = importlib.import_module("ultralytics.utils").SETTINGS
    # Only in memory, as other processes share the file.
    dict.update(settings, dict.fromkeys(set(_REPORTERS) & set(settings), False))


def _config_directory() -> Path:
    """Return a folder of lsml's own, with the fonts that ultralytics would download."""
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
    """Keep torch's number of threads within: ultralytics leaves a core unused, which is half of a small machine."""
    import torch

    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def download(name: str) -> Path:
    """Download published weights into the folder for them, and return their path. A file of that name is replaced once the
    new one is there. Raises AdapterError.
    """
    ultralytics()
    from ultralytics.utils import downloads

    folder = weights_folder()
    final = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # In a folder of its own, as ultralytics downloads nothing where a file is, and may leave a part of one.
        with tempfile.TemporaryDirectory(dir=folder) as new:
            got = Path(downloads.attempt_download_asset(str(Path(new) / name)))
            if got.is_file():
                got.replace(final)
                return final
    except Exception as error:
        raise AdapterError(_not_downloaded(name, folder, f"{type(error).__name__}: {error}")) from error
    raise AdapterError(_not_downloaded(name, folder, "no answer"))


def _not_downloaded(name: str, folder: Path, why: str) -> str:
    first = (why.splitlines() or [""])[0][:200]
    return f"weights {name} could not be downloaded ({first}); put the file into {folder}, or next to the recipe"
