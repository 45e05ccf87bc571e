"""The first lines of `lsml run`: its address, the binding, and how to connect."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from lsml.cli.common import asking_sentence, bind_config, bound, shortfall
from lsml.recipe import Recipe

_UNTOLD = (
    "  no token of Label Studio is set, so lsml can publish predictions only if the token that Label Studio sends "
    "works: set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY (Account & Settings > Personal Access Token creates a token)"
)


def greet(served: Sequence[tuple[Recipe, Path]], host: str, port: int, *, connecting: bool) -> None:
    """Print what a person needs now: the address, the binding, the data directory, how to connect, whether predictions
    will be published, and a warning where others have access, too. `served`: recipes and their data directories.
    """
    from lsml.server.listening import open_to_others
    from lsml.studio.addresses import address_of, is_everywhere, near_address, own_address, path_of

    url = near_address(host, port)
    elsewhere = address_of(own_address(), port) if is_everywhere(host) else None
    lines = [f"lsml: {len(served)} recipes are on {url}"] if len(served) > 1 else []
    for recipe, directory in served:
        path = path_of(recipe.name) if len(served) > 1 else ""
        lines += _one(recipe, directory, url + path, elsewhere and elsewhere + path, connecting=connecting)
    if any(recipe.publish is not None and not recipe.label_studio.api_key for recipe, _ in served):
        lines.append(_UNTOLD)
    click.echo("\n".join(lines))
    sys.stdout.flush()
    for warning in dict.fromkeys(open_to_others(recipe.server, host) for recipe, _ in served):
        if warning:
            click.echo(warning, err=True)


def _one(recipe: Recipe, directory: Path, url: str, elsewhere: str | None, *, connecting: bool) -> list[str]:
    """Return the lines of one recipe. Its address is `url`, and for other machines `elsewhere`."""
    binding = bind_config(recipe, None)
    lines = [f"lsml: {recipe.name} is on {url}", f"  {bound(binding) if recipe.labeling_config else _later(recipe)}"]
    lines += [f"  {line}" for line in shortfall(binding)]
    lines.append(f"  data: {directory.resolve()}")
    if not connecting:
        lines += [
            "  connect Label Studio: `lsml connect`, or in the project, Settings > Model > Connect Model, and paste",
            f"    {_url_to_paste(recipe, url)}",
        ]
        if elsewhere is not None:
            lines.append(
                f"    or, if Label Studio runs elsewhere or in a container, {_url_to_paste(recipe, elsewhere)}"
            )
    if asking := asking_sentence(binding):
        lines.append(f"  {asking}")
    return lines


def _later(recipe: Recipe) -> str:
    selectors = dict.fromkeys(
        f"{selector} -> {model.adapter}" for model in recipe.models for selector in model.selectors
    )
    return f"binds when Label Studio sends its labeling config: {', '.join(selectors)}"


def _url_to_paste(recipe: Recipe, url: str) -> str:
    """Return the backend's URL for Label Studio. Secrets are shown to a person at a terminal, never to a log."""
    server = recipe.server
    at_terminal = sys.stdout.isatty()
    if server.secret_path:
        url += f"/{server.secret_path}" if at_terminal else "/[server.secret_path]"
    if server.username and server.password:
        url += f"  (username {server.username}, and the recipe's password, under Basic authentication)"
        if not server.secret_path:
            url += (
                "\n    annotation webhooks lack them unless you use `lsml connect`; by hand, put both into the URL, "
                "http://USERNAME:PASSWORD@..., or set server.secret_path"
            )
    return url
