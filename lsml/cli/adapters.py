"""`lsml adapters`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lsml.cli.common import answered_tags, console

if TYPE_CHECKING:
    from lsml.adapters.base import Adapter
    from lsml.errors import AdapterError


@click.command("adapters", short_help="List the adapters.")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the adapters, one in a line: the tags it answers, the objects it reads, whether it learns and is installed.

    With NAME, all of one adapter: its options with their defaults, its licence, and what to install.
    """
    from lsml.adapters import all_adapters, get_adapter

    if name is None:
        for adapter_name, adapter in all_adapters().items():
            click.echo(_line(adapter_name, adapter))
        click.echo("\n`lsml adapters NAME` lists the options of one.")
    else:
        _show(get_adapter(name))


def _line(name: str, adapter: type[Adapter] | AdapterError) -> str:
    """An adapter in a line; why it cannot be used, where it cannot."""
    from lsml.errors import AdapterError

    if isinstance(adapter, AdapterError):
        return f"{name}: cannot be used: {adapter}"
    return f"{name}: " + "; ".join(_facts(adapter))


def _facts(adapter: type[Adapter]) -> list[str]:
    """What it answers and reads, whether it learns and is installed, and its library's licence where it binds the user."""
    from lsml.adapters import install_hint, is_installed
    from lsml.adapters.base import TrainableAdapter

    facts = [
        f"answers {', '.join(answered_tags(adapter))}",
        f"reads {', '.join(sorted(adapter.consumes))}",
        "learns" if issubclass(adapter, TrainableAdapter) else "does not learn",
        "installed" if is_installed(adapter) else f"not installed: {install_hint(adapter)}",
    ]
    return facts + ([f"licence: {adapter.licence}"] if adapter.licence else [])


def _show(adapter: type[Adapter]) -> None:
    from rich.markup import escape

    out = console()
    out.print(f"[bold]{escape(adapter.name)}[/]: {escape(adapter.title)}")
    for fact in _facts(adapter):
        out.print(f"  {escape(fact)}")
    rows = option_rows(adapter.Options)
    out.print("  options:" if rows else "  no options")
    for option, default, description in rows:
        out.print(f"    {option} (default {escape(default)}): {escape(description)}")


def option_rows(options: Any) -> list[tuple[str, str, str]]:
    """(name, default as YAML has it, description) of each of an adapter's options."""
    import json

    import msgspec

    schema = msgspec.json.schema(options)
    name = schema.get("$ref", "").rpartition("/")[2]
    properties = schema.get("$defs", {}).get(name, schema).get("properties", {})
    return [
        (option, json.dumps(facts.get("default")), facts.get("description", "")) for option, facts in properties.items()
    ]
