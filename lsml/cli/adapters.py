"""`lsml adapters`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from lsml.cli.common import console, json_option

if TYPE_CHECKING:
    from lsml.adapters.base import Adapter
    from lsml.errors import AdapterError


def _adapter_names(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    from lsml.adapters import all_adapters

    return [name for name in all_adapters() if name.startswith(begun)]


@click.command("adapters", short_help="List the adapters.")
@click.argument("name", required=False, shell_complete=_adapter_names)
@json_option("a list of {name, title, tags, objects, learns, installed, install, licence, options}; with NAME, one")
def command(name: str | None, as_json: bool) -> None:
    """List the adapters, one a line: its control tags, its object tags, whether it can be trained, whether it is
    installed.

    With NAME, show one adapter: its options with their defaults, its licence, and what to install.
    """
    from lsml.adapters import all_adapters, get_adapter

    if as_json:
        found: object = _told(get_adapter(name)) if name else [_told(one) for one in all_adapters().values()]
        click.echo(json.dumps(found, indent=1))
    elif name is None:
        for adapter_name, adapter in all_adapters().items():
            click.echo(_line(adapter_name, adapter))
        click.echo("\n`lsml adapters NAME` lists the options of an adapter.")
    else:
        _show(get_adapter(name))


def _told(adapter: type[Adapter] | AdapterError) -> dict[str, object]:
    """Return an adapter for programs; of one that cannot be used, why."""
    from lsml.adapters import install_hint, is_installed
    from lsml.adapters.base import TrainableAdapter
    from lsml.errors import AdapterError

    if isinstance(adapter, AdapterError):
        return {"error": str(adapter)}
    return {
        "name": adapter.name, "title": adapter.title, "tags": answered_tags(adapter), "objects": sorted(adapter.consumes),
        "learns": issubclass(adapter, TrainableAdapter), "installed": is_installed(adapter), "install": install_hint(adapter),
        "licence": adapter.licence,
        "options": [
            {"name": option, "default": json.loads(default), "description": text}
            for option, default, text in option_rows(adapter.Options)
        ],
    }  # fmt: skip


def _line(name: str, adapter: type[Adapter] | AdapterError) -> str:
    """Return a line about an adapter, or the reason why it cannot be used."""
    from lsml.errors import AdapterError

    if isinstance(adapter, AdapterError):
        return f"{name}: cannot be used: {adapter}"
    return f"{name}: " + "; ".join(_details(adapter))


def _details(adapter: type[Adapter]) -> list[str]:
    """Return the tags it answers and reads, whether it learns and is installed, and its licence."""
    from lsml.adapters import install_hint, is_installed
    from lsml.adapters.base import TrainableAdapter

    details = [
        f"answers {', '.join(answered_tags(adapter))}",
        f"reads {', '.join(sorted(adapter.consumes))}",
        "learns" if issubclass(adapter, TrainableAdapter) else "does not learn",
        "installed" if is_installed(adapter) else f"not installed: {install_hint(adapter)}",
    ]
    return details + ([f"licence: {adapter.licence}"] if adapter.licence else [])


def _show(adapter: type[Adapter]) -> None:
    from rich.markup import escape

    out = console()
    out.print(f"[bold]{escape(adapter.name)}[/]: {escape(adapter.title)}")
    for fact in _details(adapter):
        out.print(f"  {escape(fact)}")
    rows = option_rows(adapter.Options)
    out.print("  options:" if rows else "  no options")
    for option, default, description in rows:
        out.print(f"    {option} (default {escape(default)}): {escape(description)}")


def option_rows(options: object) -> list[tuple[str, str, str]]:
    """Return (name, default as YAML, description) of each option of an adapter."""
    import msgspec

    schema = msgspec.json.schema(options)
    name = schema.get("$ref", "").rpartition("/")[2]
    properties = schema.get("$defs", {}).get(name, schema).get("properties", {})
    return [
        (option, json.dumps(details.get("default")), details.get("description", ""))
        for option, details in properties.items()
    ]


def answered_tags(adapter: type[Adapter]) -> list[str]:
    """Return the control tags that an adapter can answer, sorted."""
    from lsml.controls import CONTROLS, controls_of, suits

    gives, reads = adapter.produces, adapter.consumes
    return [
        tag
        for tag in sorted(CONTROLS)
        if any(
            suits(control, gives, reads, compares=adapter.compares, only_compares=adapter.only_compares)
            for control in controls_of(tag)
        )
    ]
