"""`lsml adapters`."""

from __future__ import annotations

from typing import Any

import click

from lsml.cli.common import console


@click.command("adapters", short_help="List the adapters.")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List every adapter: the tags it answers, the objects it reads, its options, and whether its library is installed.

    With NAME, only that one.
    """
    from rich.markup import escape

    from lsml.adapters import all_adapters, get_adapter
    from lsml.errors import AdapterError

    out = console()
    chosen = all_adapters() if name is None else {name: get_adapter(name)}
    for index, (adapter_name, adapter) in enumerate(chosen.items()):
        if index:
            click.echo()
        if isinstance(adapter, AdapterError):
            out.print(f"[bold]{escape(adapter_name)}[/]\n  cannot be used: {escape(str(adapter))}")
            continue
        _show(adapter)


def _show(adapter: Any) -> None:
    from rich.markup import escape

    from lsml.adapters import install_hint, is_installed
    from lsml.adapters.base import TrainableAdapter
    from lsml.controls import CONTROLS

    out = console()
    tags = [tag for tag, control in sorted(CONTROLS.items()) if control.value_type in adapter.produces]
    installed = "installed" if is_installed(adapter) else f"not installed: {install_hint(adapter)}"
    learns = "learns from annotations" if issubclass(adapter, TrainableAdapter) else "does not learn"
    out.print(f"[bold]{escape(adapter.name)}[/]: {escape(adapter.title)}")
    out.print(
        f"  answers {', '.join(tags)}; reads {', '.join(sorted(adapter.consumes))}; {learns}; {escape(installed)}"
    )
    if adapter.licence:
        out.print(f"  licence: {escape(adapter.licence)}")
    for option, default, description in option_rows(adapter.Options):
        out.print(f"  {option} (default {escape(default)}): {escape(description)}")


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
