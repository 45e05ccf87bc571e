"""The adapters that are installed: lsml's own and those of other packages, all found by entry point.

An entry point of the group `lsml.adapters` names a class; its module is imported when the adapter is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from lsml.adapters.base import API, Adapter
from lsml.errors import AdapterError, UnknownAdapter

GROUP = "lsml.adapters"


@cache
def _registered() -> Mapping[str, tuple[EntryPoint, ...]]:
    """Entry points by name, sorted; more than one where packages claim the same name."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        known = found.setdefault(point.name, [])
        # A checkout on the path beside its installation shows the same entry point twice.
        if all((point.value, _distribution(point)) != (other.value, _distribution(other)) for other in known):
            known.append(point)
    return {name: tuple(found[name]) for name in sorted(found)}


def adapter_names() -> list[str]:
    """The names of all adapters, sorted."""
    return list(_registered())


@cache
def get_adapter(name: str) -> type[Adapter]:
    """An adapter's class.

    Raises UnknownAdapter where no package registers the name, with those there are; AdapterError where several do, or
    where the plug-in cannot be used.
    """
    points = _registered().get(name)
    if points is None:
        near = get_close_matches(name, adapter_names(), 1)
        hint = f"did you mean `{near[0]}`? " if near else ""
        raise UnknownAdapter(f"no adapter `{name}`; {hint}there are {', '.join(adapter_names())}")
    if len(points) > 1:
        packages = " and ".join(_distribution(point) for point in points)
        raise AdapterError(f"adapter `{name}` is registered by {packages}; uninstall one of them")
    return _checked(name, points[0])


def builtin_adapters() -> dict[str, type[Adapter]]:
    """The adapters that come with lsml, by name."""
    own = [name for name, points in _registered().items() if points[0].value.startswith("lsml.adapters.")]
    return {name: get_adapter(name) for name in own}


def all_adapters() -> dict[str, type[Adapter] | AdapterError]:
    """Every adapter by name; where a plug-in cannot be used, the error that says why."""
    adapters: dict[str, type[Adapter] | AdapterError] = {}
    for name in adapter_names():
        try:
            adapters[name] = get_adapter(name)
        except AdapterError as error:
            adapters[name] = error
    return adapters


def is_installed(adapter: type[Adapter]) -> bool:
    """Whether the library that an adapter needs is there; looked for without importing it."""
    return all(_is_there(module) for module in adapter.requires)


def install_hint(adapter: type[Adapter]) -> str:
    """The command that installs what an adapter needs."""
    return f'pip install "lsml[{adapter.extra}]"' if adapter.extra else f"pip install {' '.join(adapter.requires)}"


def _checked(name: str, point: EntryPoint) -> type[Adapter]:
    package = _distribution(point)
    try:
        adapter = point.load()
    except Exception as error:
        # A plug-in's import can fail with anything; its own message is what helps.
        raise AdapterError(
            f"adapter `{name}` of {package} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not (isinstance(adapter, type) and issubclass(adapter, Adapter)):
        raise AdapterError(f"adapter `{name}` of {package}: {point.value} is not an lsml.adapters.base.Adapter")
    if adapter.api != API:
        raise AdapterError(
            f"adapter `{name}` of {package} was written for version {adapter.api} of the adapter contract, and this lsml "
            f"has version {API}; install a matching release of {package}"
        )
    if adapter.name != name:
        raise AdapterError(
            f"adapter `{name}` of {package} calls itself `{adapter.name}`; its entry point must say the same"
        )
    return adapter


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value.partition(":")[0]


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


__all__ = [
    "adapter_names",
    "all_adapters",
    "builtin_adapters",
    "get_adapter",
    "install_hint",
    "is_installed",
]
