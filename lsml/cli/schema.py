"""`lsml schema`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lsml.cli.common import write_file


@click.command("schema", short_help="Print the recipe's JSON Schema.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it to a file instead.")
@click.option(
    "--builtin", is_flag=True, help="Only the adapters that come with lsml, as in schemas/recipe.schema.json."
)
def command(output: Path | None, builtin: bool) -> None:
    """Print the JSON Schema of a recipe, with the options of every installed adapter, for editors and programs."""
    from lsml.adapters import builtin_adapters
    from lsml.recipe import recipe_schema

    schema = recipe_schema(builtin_adapters()) if builtin else recipe_schema()
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    write_file(output, text)
    click.echo(f"wrote {output}")
