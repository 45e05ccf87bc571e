"""A second file with the settings of one machine: Label Studio, access, the data directory, the device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lsml.adapters.base import option_facts
from lsml.errors import Problem, RecipeError
from lsml.recipe.check import named_adapters
from lsml.recipe.draft import Draft
from lsml.recipe.nodes import MAX_BYTES, Flaw, read_nodes
from lsml.recipe.scalars import Data, read_data
from lsml.recipe.scalars import Path as KeyPath

_VARIABLE: Final = "LSML_OVERRIDE"  # the environment variable with its path, which child processes inherit
_KEYS: Final = ("label_studio", "server", "storage")
_DEVICE: Final = "device"


def override(draft: Draft) -> None:
    """Replace keys of a draft by those of the file that the environment names. The draft's adapters must be known.

    Raises RecipeError where the file cannot be read, or holds a key that may not be overridden.
    """
    named = draft.environ.get(_VARIABLE)
    if not named:
        return
    data = _read(named, draft.environ)
    for key in _KEYS:
        if key in data.value:
            _lay_over(draft, named, data, (key,))
    if _DEVICE in data.value:
        _use_device(draft, named, data)


def _read(named: str, environ: Mapping[str, str]) -> Data:
    """Return the plain data of the file. Raises RecipeError with all errors in its form."""
    try:
        with Path(named).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise Flaw(1, 1, "larger than 1 MiB; is this the right file?")
        root, flaws = read_nodes(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise _wrong(named, [Flaw(1, 1, "not UTF-8; save the file as UTF-8")]) from None
    except Flaw as error:
        raise _wrong(named, [error]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise _wrong(named, [Flaw(1, 1, f"cannot be read: {reason}; --override names a YAML file")]) from None
    data = read_data(root, environ)
    allowed = ", ".join((*_KEYS, _DEVICE))
    others = [
        Flaw(*data.locations[(key,)][:2], f"belongs in the recipe; an override may only have {allowed}", key)
        for key in data.value
        if key not in (*_KEYS, _DEVICE)
    ]
    if problems := [*flaws, *data.flaws, *others]:
        raise _wrong(named, problems)
    return data


def _wrong(named: str, flaws: list[Flaw]) -> RecipeError:
    return RecipeError([Problem(one.line, one.column, one.key, one.message, named) for one in flaws])


def _lay_over(draft: Draft, named: str, data: Data, path: KeyPath) -> None:
    """Replace the recipe's values at a path by those of the file, key by key."""
    given, held = _at(data.value, path), draft.at(path)
    if isinstance(given, dict) and isinstance(held, dict):
        for key in given:
            _lay_over(draft, named, data, (*path, key))
        return
    draft.at(path[:-1])[path[-1]] = given
    for at in [at for at in draft.data.locations if at[: len(path)] == path]:
        del draft.data.locations[at]
    draft.data.locations.update(
        {at: location._replace(file=named) for at, location in data.locations.items() if at[: len(path)] == path}
    )


def _use_device(draft: Draft, named: str, data: Data) -> None:
    """Set the device of every model whose adapter has the option `device`."""
    location = data.locations[(_DEVICE,)]._replace(file=named)
    for path, model in named_adapters(draft.data.value.get("tags")):
        whole: Any = {"adapter": model} if isinstance(model, str) else model
        adapter = draft.adapters.get(whole.get("adapter", "")) if isinstance(whole, dict) else None
        options = whole.setdefault("options", {}) if adapter is not None else None
        if adapter is None or not isinstance(options, dict) or _DEVICE not in option_facts(adapter.Options):
            continue
        options[_DEVICE] = data.value[_DEVICE]
        draft.at(path[:-1])[path[-1]] = whole
        draft.data.locations[(*path, "options", _DEVICE)] = location


def _at(value: Any, path: KeyPath) -> Any:
    for part in path:
        value = value[part]
    return value
