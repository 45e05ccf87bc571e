"""The lock file beside a recipe: the SHA-256 of each file of the weights that `lsml fetch` downloaded, checked at each load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import yaml

from lsml.adapters.base import NamedWeights, Source
from lsml.adapters.parts.transformers_models import snapshots
from lsml.adapters.parts.weight_files import file_name, find_downloaded, find_weights
from lsml.errors import AdapterError
from lsml.files.digests import content_digest

FORMAT: Final = 1
_HEAD: Final = "# Written by `lsml fetch {name}`: the SHA-256 of the files of its weights. Keep it beside the recipe.\n"


class LockedWeights(msgspec.Struct, frozen=True, omit_defaults=True):
    """The files of weights by their SHA-256. `source` and `repository` are those of the download; `revision`: of a hub."""

    source: Source
    files: dict[str, str]
    repository: str = ""
    revision: str = ""


class _Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lsml: int
    weights: dict[str, LockedWeights]


def lock_file(recipe: Path) -> Path:
    """Return the path of a recipe's lock file: my.yaml -> my.lock.yaml."""
    return recipe.with_name(f"{recipe.stem}.lock.yaml")


def read_lock(recipe: Path) -> dict[str, LockedWeights]:
    """Return the locked weights of a recipe by name; empty where it has no lock file. Raises AdapterError."""
    path = lock_file(recipe)
    try:
        found = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), _Lock)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        first = (str(error).splitlines() or [""])[0][:200]
        raise AdapterError(
            f"{path}: cannot be read as a lock file: {first}; restore it, or delete it and run `lsml fetch {recipe.name}`"
        ) from error
    if found.lsml != FORMAT:
        raise AdapterError(f"{path}: this lsml reads format {FORMAT}, not {found.lsml}; upgrade lsml")
    return found.weights


def lock_text(recipe: Path, weights: Mapping[str, LockedWeights]) -> str:
    """Return the text of a recipe's lock file."""
    plain = msgspec.to_builtins(_Lock(FORMAT, dict(sorted(weights.items()))))
    return _HEAD.format(name=recipe.name) + yaml.safe_dump(plain, sort_keys=False)


def pinned_folders(recipe: Path) -> dict[str, Path]:
    """Return the folder of the locked revision of each model of a hub that is on this machine, by the model's name.

    Other revisions may be there, too, and another program may load them by the same name. Empty where the recipe has no
    lock file, or a damaged one.
    """
    try:
        locked = read_lock(recipe)
    except AdapterError:
        return {}  # commands that load weights report it
    found = {name: _snapshot(one) for name, one in locked.items() if one.source == "hub"}
    return {name: folder for name, folder in found.items() if folder is not None}


def _snapshot(locked: LockedWeights) -> Path | None:
    """Return the folder of a locked revision of a hub's model; None where it is not on this machine."""
    return next((folder for folder in snapshots(locked.repository) if folder.name == locked.revision), None)


def folder_of(download: NamedWeights, locked: LockedWeights | None = None) -> Path | None:
    """Return the folder with the files of weights on this machine, of a hub's in the locked revision; None where they are
    missing.
    """
    if download.source == "hub":
        return next(iter(snapshots(download.repository)), None) if locked is None else _snapshot(locked)
    found = find_weights(download.name)
    return None if found is None else found.parent


def check_lock(recipe: Path) -> None:
    """Compare the locked files that are on this machine with the recipe's lock. Raises AdapterError where one has changed."""
    for name, locked in read_lock(recipe).items():
        if locked.source == "url":
            # The name lacks what is secret of a URL, so the one file is found by its own name.
            found = next(filter(None, map(find_downloaded, locked.files)), None)
            folder = None if found is None else found.parent
        else:
            folder = folder_of(NamedWeights(name, locked.source, locked.repository), locked)
        if folder is None and locked.source == "hub" and snapshots(locked.repository):
            raise AdapterError(
                f"{name}: the revision that {lock_file(recipe).name} records is not on this machine, but another one is; run "
                f"`lsml fetch {recipe.name}` to download it, or with --update to accept the newest"
            )
        wrong = None if folder is None else changed_file(folder, locked.files)
        if wrong is not None:
            raise AdapterError(
                f"{wrong}: is not the file of {name} that {lock_file(recipe).name} records; restore it, or run "
                f"`lsml fetch {recipe.name}` to download it again, or with --update to accept what is there"
            )


def changed_file(folder: Path, files: Mapping[str, str]) -> Path | None:
    """Return the first of some files that is missing in a folder or has another SHA-256; None where all are as expected."""
    for name, expected in files.items():
        path = folder / name
        if not path.is_file() or content_digest(path) != expected:
            return path
    return None


def files_of(download: NamedWeights, folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of downloaded weights, by its path in their folder."""
    if download.source != "hub":
        name = file_name(download.name)
        return {name: content_digest(folder / name)}
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): content_digest(path) for path in paths}
