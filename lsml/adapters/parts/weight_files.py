"""Files of weights on this machine: beside a recipe, in a folder for several recipes, or downloaded by `lsml fetch`."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Final

from lsml.adapters.base import NamedWeights
from lsml.files.cache import cache_directory

VARIABLE: Final = "LSML_WEIGHTS_DIR"  # a folder with weights, for several recipes or inside an image
# Names that ultralytics publishes: yolov8n.pt, yolo11x-seg.pt, yolo26n-pose.pt, mobile_sam.pt
_PUBLISHED: Final = re.compile(r"(yolo(v?\d{1,2})[a-z]u?(-cls|-seg|-pose|-obb)?|mobile_sam)\.pt\Z")

_ADDRESS_END: Final = re.compile("[?#]")  # where the path of a URL ends


def is_url(weights: str) -> bool:
    """Return True if weights are named by the URL of their file."""
    return weights.startswith(("https://", "http://"))


def is_published(weights: str) -> bool:
    """Return True if ultralytics publishes a file of that name."""
    return _PUBLISHED.match(weights) is not None


def file_name(weights: str) -> str:
    """Return the name of a downloaded file: a published one's own, and one for each URL."""
    if not is_url(weights):
        return weights
    return f"{_short_digest(weights)}-{Path(_ADDRESS_END.split(weights)[0]).name}"


def shown_weights(weights: str) -> str:
    """Return weights as messages and lock files name them: a URL without user and password, and with a digest for its query,
    which may be signed.
    """
    if not is_url(weights):
        return weights
    scheme, _, rest = _ADDRESS_END.split(weights)[0].partition("://")
    host, slash, path = rest.partition("/")
    shown = f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
    return f"{shown}?{_short_digest(weights)}" if _ADDRESS_END.search(weights) else shown


def _short_digest(weights: str) -> str:
    return hashlib.sha256(weights.encode()).hexdigest()[:12]


def weights_folder() -> Path:
    """Return the folder for downloaded files: that of LSML_WEIGHTS_DIR, else one in the cache."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else cache_directory("weights")


def find_weights(weights: str) -> Path | None:
    """Return the path of weights: the given path, or in the folder of LSML_WEIGHTS_DIR, or among downloaded ones; else None."""
    given = Path(weights).expanduser()
    if not is_url(weights) and (given.exists() or given.name != weights):
        return given if given.exists() else None
    return find_downloaded(file_name(weights))


def find_downloaded(name: str) -> Path | None:
    """Return the path of a file in the folder of LSML_WEIGHTS_DIR, or among downloaded ones; else None."""
    folders = (weights_folder(), cache_directory("weights"))
    return next((path for folder in folders if (path := folder / name).exists()), None)


def file_downloads(weights: str) -> tuple[NamedWeights, ...]:
    """Return the download of a file that is published or has a URL; nothing for others, and where a path leads to it."""
    if is_url(weights):
        return (NamedWeights(weights, "url"),)
    if is_published(weights) and not Path(weights).exists():
        return (NamedWeights(weights, "ultralytics"),)
    return ()
