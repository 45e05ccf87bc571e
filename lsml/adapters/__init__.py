"""The registry of adapters, found by the entry points of all installed distributions and imported when needed.

Built-in adapters register like any plug-in does, in the group `lsml.adapters` of a package's `pyproject.toml`.
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Final

from lsml.adapters.base import API, Adapter, Target
from lsml.errors import AdapterError, UnknownAdapter

GROUP: Final = "lsml.adapters"
_OWN: Final = "lsml"  # the distribution of the built-in adapters


@cache
def _registrations() -> dict[str, tuple[EntryPoint, ...]]:
    """Return entry points by adapter name, sorted; more than one where distributions disagree. Scanned once per process."""
    found: dict[str, list[EntryPoint]] = {}
    for entry_point in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, _distribution(entry))):
        found.setdefault(entry_point.name, []).append(entry_point)
    return {name: tuple(entries) for name, entries in found.items()}


def _distribution(entry_point: EntryPoint) -> str:
    return "an unnamed package" if entry_point.dist is None else _name(entry_point.dist)


@cache
def _name(distribution: Distribution) -> str:
    """Return a distribution's name. It is in a file with the whole README, which is read once for all its adapters."""
    return distribution.name


def adapter_names() -> list[str]:
    """Return the names of all registered adapters, sorted. Imports none of them."""
    return list(_registrations())


@cache
def get_adapter(name: str) -> type[Adapter]:
    """Return the adapter of that name. Imports its module, not its library.

    Raises UnknownAdapter where the name is not registered, and AdapterError where it cannot be used.
    """
    registered = _registrations().get(name)
    if registered is None:
        raise UnknownAdapter(_unknown(name))
    if len(registered) > 1:
        both = " and ".join(_distribution(entry_point) for entry_point in registered)
        raise AdapterError(f"adapter {name}: registered by {both}; uninstall all but one of them")
    (entry_point,) = registered
    distribution = _distribution(entry_point)
    try:
        adapter = entry_point.load()
    except Exception as error:  # a plug-in's module may raise anything
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        raise AdapterError(
            f"adapter {name}: its package {distribution} cannot be imported ({what}); repair or uninstall {distribution}"
        ) from error
    problem = _problem(name, adapter)
    if problem is not None:
        raise AdapterError(f"adapter {name}: {entry_point.value} of {distribution} {problem}")
    checked: type[Adapter] = adapter
    return checked


def _unknown(name: str) -> str:
    names = adapter_names()
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean `{close[0]}`? " if close else ""
    return f"no adapter `{name}`; {hint}installed: {', '.join(names) or 'none'}"


def _problem(name: str, adapter: object) -> str | None:
    """Return the reason why an entry point's object cannot be used, or None."""
    if not (isinstance(adapter, type) and issubclass(adapter, Adapter)):
        return f"is not an adapter; expected a subclass of {Adapter.__module__}.{Adapter.__name__}"
    if adapter.api != API:
        return f"was written for contract {adapter.api!r}, and this lsml has {API}; install compatible versions"
    if inspect.isabstract(adapter):
        missing = ", ".join(sorted(adapter.__abstractmethods__))
        return f"is not a complete adapter; it lacks {missing}"
    missing = ", ".join(fact for fact in ("name", "title", "consumes", "produces") if not hasattr(adapter, fact))
    if missing:
        return f"does not declare {missing}; set them on the class"
    if adapter.name != name:
        return f'has the name "{adapter.name}"; give the class and the entry point the same name'
    return None


def all_adapters() -> dict[str, type[Adapter] | AdapterError]:
    """Return every registered adapter by name, sorted; for one that cannot be used, the error with the reason."""
    found: dict[str, type[Adapter] | AdapterError] = {}
    for name in adapter_names():
        try:
            found[name] = get_adapter(name)
        except AdapterError as error:
            found[name] = error
    return found


def builtin_adapters() -> dict[str, type[Adapter]]:
    """Return the adapters of lsml itself, by name, sorted. Raises AdapterError."""
    return {
        name: get_adapter(name)
        for name, registered in _registrations().items()
        if any(_distribution(entry_point) == _OWN for entry_point in registered)
    }


def is_installed(adapter: type[Adapter]) -> bool:
    """Return True if the adapter's library can be imported, without importing it."""
    # Searching for a dotted name would import its parent, so only the package is searched for.
    return all(importlib.util.find_spec(module.partition(".")[0]) is not None for module in adapter.requires)


def lacking(adapter: type[Adapter], options: object, target: Target) -> str | None:
    """Return the reason why a new instance cannot predict, and what to do: its library is missing, or what `Adapter.lacks`
    says.
    """
    if not is_installed(adapter):
        return f"its library is not installed: {install_hint(adapter)}"
    return adapter.lacks(options, target)


def install_hint(adapter: type[Adapter]) -> str:
    """Return the command that installs the adapter's library: `pip install "lsml[yolo]"`."""
    registered = _registrations().get(adapter.name, ())
    distribution = _distribution(registered[0]) if registered else _OWN
    return f'pip install "{distribution}[{adapter.extra}]"' if adapter.extra else f'pip install "{distribution}"'


__all__ = [
    "GROUP",
    "adapter_names",
    "all_adapters",
    "builtin_adapters",
    "get_adapter",
    "install_hint",
    "is_installed",
    "lacking",
]
