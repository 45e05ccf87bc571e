"""`lsml new`."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from lsml.cli.common import bind_config, bound, config_of, open_recipe, shortfall, write_file
from lsml.errors import AdapterError, RequestError

if TYPE_CHECKING:
    from lsml.binding import Binding

# The line by which an editor finds the schema, and the empty comment after it.
_SCHEMA_LINE: Final = re.compile(r"# yaml-language-server: \$schema=(\S+)\n(?:#\n)?")
_HERE = Path("-")  # standard output


def _gallery_names(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    from lsml.recipe.gallery import gallery_recipes

    return [name for name in gallery_recipes() if name.startswith(begun)]


@click.command("new", short_help="Write a recipe, from the gallery or for a labeling config.")
@click.argument("name", required=False, shell_complete=_gallery_names)
@click.option("--from-project", "project", type=click.IntRange(1), metavar="ID", help="Write one for this project.")
@click.option(
    "--labeling-config",
    "config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write one for this labeling config (an XML file).",
)
@click.option("--url", help="Label Studio's address, for --from-project [default: LABEL_STUDIO_URL].")
@click.option(
    "--api-key", help="A legacy or personal access token, for --from-project [default: LABEL_STUDIO_API_KEY]."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path),
    help="The file to write [default: ./NAME.yaml]; - prints a new recipe.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def command(
    name: str | None,
    project: int | None,
    config: Path | None,
    url: str | None,
    api_key: str | None,
    output: Path | None,
    force: bool,
) -> None:
    """Write a recipe for you to edit, and name the libraries that it needs and that are not installed.

    With NAME, copy this recipe of the gallery. With --from-project or --labeling-config, write one with an adapter for
    each control tag that has one, and with the reasons for the others.
    """
    if [name, project, config].count(None) != 2:
        raise RequestError(
            "name what to write: a recipe of the gallery (`lsml gallery` lists them), --from-project ID, or "
            "--labeling-config FILE; exactly one of them"
        )
    if name is not None:
        _copy(name, output, force)
    elif project is not None:
        _for_project(project, url, api_key, output, force)
    elif config is not None:
        source = f"the labeling config {config.name}"
        _make(config_of(config).xml, config.stem, source, None, output, force)


def _copy(name: str, output: Path | None, force: bool) -> None:
    from lsml.recipe.gallery import find_recipe

    source = find_recipe(name)
    target = _target(output, source.name, force)
    text = source.read_text(encoding="utf-8")
    line = _SCHEMA_LINE.match(text)
    if line and not (target.parent / line[1]).exists():
        text = text[line.end() :]  # an editor would complain
    write_file(target, text)
    _tell(target, shortfall(bind_config(open_recipe(target), None)))


def _for_project(project: int, url: str | None, api_key: str | None, output: Path | None, force: bool) -> None:
    from lsml.logs import keep_secret
    from lsml.recipe.environment import variable
    from lsml.recipe.settings import KEY_VARIABLES, URL_VARIABLES
    from lsml.studio.client import Studio

    url = url or next(filter(None, (variable(os.environ, name) for name in URL_VARIABLES)), None)
    api_key = api_key or next(filter(None, (variable(os.environ, name) for name in KEY_VARIABLES)), "")
    if url is None:
        raise RequestError("--from-project needs Label Studio's address: give it with --url, or set LABEL_STUDIO_URL")
    keep_secret([api_key])
    with Studio(url, api_key) as studio:
        found = studio.project(project)
        source = f'project {project}, "{found.title}", of {studio.url}'
        _make(found.labeling_config, found.title, source, studio.url, output, force, f"project-{project}")


def _make(
    xml: str,
    title: str,
    source: str,
    studio_url: str | None,
    output: Path | None,
    force: bool,
    otherwise: str = "recipe",
) -> None:
    """Write a recipe for a labeling config, once it is checked. Raises AdapterError where no control can be answered."""
    from lsml.binding.first_recipe import first_recipe, recipe_name
    from lsml.binding.offers import offers
    from lsml.labeling import parse_labeling_config

    offered = offers(parse_labeling_config(xml))
    if not any(offer.chosen for offer in offered):
        for offer in offered:
            click.echo(f"unbound: {offer.reason}", err=True)
        why = "no adapter can serve any of its control tags" if offered else "it has no control tag"
        raise AdapterError(f"{source}: {why}, so no recipe can be written")
    name = recipe_name(title, otherwise)
    text = first_recipe(name, source, xml, offered, studio_url)
    target = _HERE if output == _HERE else _target(output, f"{name}.yaml", force)
    binding = _checked(text, target)
    if target == _HERE:
        click.echo(text, nl=False)
        for line in shortfall(binding):
            click.echo(line, err=True)
    else:
        write_file(target, text)
        click.echo(bound(binding))
        _tell(target, shortfall(binding), err=True)


def _checked(text: str, target: Path) -> Binding:
    """Return what a recipe's text binds, before anything is written. Raises RecipeError."""
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder) / "recipe.yaml"
        held.write_text(text, encoding="utf-8", newline="\n")
        return bind_config(open_recipe(target, held=held), None)


def _target(output: Path | None, name: str, force: bool) -> Path:
    """Return the file to write. Raises RequestError where one exists, unless it may be overwritten."""
    target = output or Path(name)
    if target.is_dir():
        target = target / name
    if target.exists() and not force:
        raise RequestError(f"{target}: exists; choose another name with -o, or overwrite it with --force")
    return target


def _tell(target: Path, lacks: list[str], *, err: bool = False) -> None:
    click.echo(f"wrote {target}; edit it, then: lsml run {target}")
    for line in lacks:
        click.echo(line, err=err)
