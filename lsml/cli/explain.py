"""`lsml explain`."""

from __future__ import annotations

from pathlib import Path

import click

from lsml.cli.common import (
    bind_config,
    bound,
    console,
    labeling_config_option,
    open_recipe,
    recipe_argument,
    shortfall,
)

_SHOWN = 12  # labels in a row


@click.command("explain", short_help="Show what answers what.")
@recipe_argument
@labeling_config_option
def command(recipe_path: Path, labeling_config_path: Path | None) -> None:
    """Show which adapter of RECIPE answers which control, reading which object, with which labels; and what stays unbound."""
    from rich.table import Table

    recipe = open_recipe(recipe_path)
    binding = bind_config(recipe, labeling_config_path)
    if binding.config is None:
        for model in recipe.models:
            click.echo(f"{', '.join(map(str, model.selectors))} -> {model.adapter}")
        click.echo(
            f"{recipe_path}: names no labeling config, so what it binds shows when Label Studio connects; "
            "to see it now, add `labeling_config:`, or name a file with --labeling-config"
        )
        return
    out = console()
    if binding.models:
        if out.is_terminal:
            table = Table(box=None, pad_edge=False)
            for heading in ("Control", "Object", "Adapter", "Labels", "Learns"):
                table.add_column(heading, overflow="fold")
            for row in _rows(binding):
                table.add_row(*row)
            out.print(table)
        else:
            for control, shown, adapter, labels, learns in _rows(binding):
                click.echo(f"{control} -> {shown} -> {adapter} -> {labels} ({learns})")
    else:
        click.echo(bound(binding))
    for line in shortfall(binding):
        click.echo(line)


def _rows(binding: object) -> list[tuple[str, str, str, str, str]]:
    from lsml.binding import Binding

    assert isinstance(binding, Binding)
    rows = []
    for model in binding.models:
        for control in model.controls:
            labels = list(control.labels[:_SHOWN])
            if len(control.labels) > _SHOWN:
                labels.append(f"and {len(control.labels) - _SHOWN} more")
            kind = getattr(control.value_type, "title", control.value_type.__name__)
            named = ", ".join(labels) or ("those that come with each task" if control.open else kind)
            learns = "learns" if model.trainable else "does not learn"
            shown = f"{model.object_tag.tag}#{model.object_tag.name} ({model.object_tag.value})"
            rows.append((control.control_tag.selector, shown, model.spec.adapter, named, learns))
    return rows
