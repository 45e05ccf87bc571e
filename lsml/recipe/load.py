"""A recipe's file -> Recipe, or all its problems at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from lsml.errors import Problem, RecipeError, StoreError
from lsml.recipe.check import check_schema, find_adapters
from lsml.recipe.draft import Draft
from lsml.recipe.lock import pinned_folders
from lsml.recipe.models import read_models
from lsml.recipe.nodes import MAX_BYTES, Flaw, read_nodes
from lsml.recipe.override import override
from lsml.recipe.publishing import Publish, Submit
from lsml.recipe.scalars import read_data
from lsml.recipe.server import Server
from lsml.recipe.settings import (
    check_folders,
    check_server,
    in_seconds,
    read_label_studio,
    read_labeling_config,
    read_score,
    training_of,
)
from lsml.recipe.storage import check_storage, read_storage
from lsml.recipe.structs import Media, Notify, Recipe

FORMAT: Final = 1


def load_recipe(
    path: Path, environ: Mapping[str, str] = os.environ, *, held: Path | None = None, pinned: bool = True
) -> Recipe:
    """Return a recipe that is read, checked and complete. Raises RecipeError with every problem; its file is `path` as
    given.

    The file that LSML_OVERRIDE of the environment names overrides its keys. `held`: a file with the recipe's text at
    the start of lsml, see `hold_recipe`; relative paths still start at `path`. `pinned`: an option that names a model of a
    hub becomes the folder of the revision that the lock file records, if it is on this machine.
    """
    path = Path(path)
    try:
        root, flaws = read_nodes(_read_text(held or path))
    except Flaw as end:
        raise RecipeError([Problem(end.line, end.column, end.key, end.message, str(path))]) from None
    data = read_data(root, environ)
    draft = Draft(path, environ, data, pinned_folders(path) if pinned else {})
    for flaw in (*flaws, *data.flaws):
        draft.flaw(flaw)
    return _finished(draft)


def hold_recipe(path: Path, file: Path) -> Path:
    """Copy a recipe's text to `file`, which only its owner can read, for processes that start later. Return `file`.

    Somebody may be editing the recipe by then. Raises StoreError where it cannot be written.
    """
    made = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        made.unlink(missing_ok=True)
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(path.read_bytes())
        return made.replace(file)
    except OSError as error:
        raise StoreError(f"{file}: cannot be written: {error.strerror}") from None


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise Flaw(1, 1, "no such file; `lsml new` writes a recipe to start from") from None
    except IsADirectoryError:
        raise Flaw(1, 1, "a folder; give the recipe in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Flaw(1, 1, f"cannot be read: {reason}; check its path and permissions") from None
    if len(raw) > MAX_BYTES:
        raise Flaw(1, 1, "larger than 1 MiB; is this a recipe?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise Flaw(line, column, "not UTF-8; save the file as UTF-8") from None


def _finished(draft: Draft) -> Recipe:
    value = draft.data.value
    number = value.get("lsml")
    if isinstance(number, int) and not isinstance(number, bool) and number != FORMAT:
        # Another format has other keys, so errors of this schema would mislead.
        draft.problems.clear()
        draft.add(("lsml",), f"this lsml reads format {FORMAT}, not {number}; upgrade lsml")
        draft.stop()
    find_adapters(draft)
    override(draft)
    check_schema(draft)
    models = read_models(draft)
    labeling_config = read_labeling_config(draft)
    label_studio = read_label_studio(draft)
    check_server(draft)
    check_folders(draft)
    check_storage(draft)
    score = read_score(draft, models)
    draft.stop()
    server: dict[str, Any] = in_seconds(value.get("server", {}))
    if server.get("secret_path"):
        server["secret_path"] = server["secret_path"].strip("/")
    if "limits" in server:
        server["limits"] = in_seconds(server["limits"])
    return Recipe(
        name=value["name"],
        models=tuple(models),
        path=draft.path,
        description=value.get("description", ""),
        labeling_config=labeling_config,
        score=score,
        training=training_of(value.get("training", {})),
        publish=None if value.get("publish") is False else msgspec.convert(value.get("publish", {}), Publish),
        submit=msgspec.convert(value["submit"], Submit) if value.get("submit") is not None else None,
        notify=msgspec.convert(value["notify"], Notify) if value.get("notify") is not None else None,
        label_studio=label_studio,
        server=msgspec.convert(server, Server),
        storage=read_storage(value.get("storage", {})),
        media=msgspec.convert(in_seconds(value.get("media", {})), Media),
        warnings=tuple(sorted(draft.warnings)),
    )
