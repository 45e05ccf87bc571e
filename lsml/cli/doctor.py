"""`lsml doctor`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lsml.cli.common import (
    address_options,
    check_writable,
    console,
    data_dir_option,
    json_option,
    open_recipe,
    recipe_argument,
)
from lsml.cli.projects import project_option

_COLOURS = {"pass": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}


@click.command("doctor", short_help="Check everything between the recipe and Label Studio.")
@recipe_argument
@project_option("Only this project [default: every project that lsml knows].")
@json_option("a list of {check, state, found, fix}")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    help="Also write a ZIP file for people who help: findings, recipe, versions, runs and their log, without secrets.",
)
@address_options
@data_dir_option
def command(
    recipe_path: Path,
    project: str | None,
    as_json: bool,
    bundle: Path | None,
    host: str | None,
    port: int | None,
    data_dir: Path | None,
) -> None:
    """Check everything between RECIPE and Label Studio: one line for each check, pass, warn or fail, with what to do.

    Nothing is changed. The exit code is 1 if a check failed.
    """
    import json

    from msgspec import to_builtins

    from lsml.doctor.bundle import write_bundle
    from lsml.doctor.examine import Subject, examine
    from lsml.logs import mask

    recipe = open_recipe(recipe_path, log_level="error")
    if bundle is not None:
        check_writable(bundle)
    subject = Subject(
        recipe, recipe.data_directory(data_dir), host or recipe.server.host,
        recipe.server.port if port is None else port, project,
    )  # fmt: skip
    found = []
    out = console()
    for finding in examine(subject):
        found.append(finding)
        if not as_json:
            line = mask(f"{finding.check}: {finding.found}")
            out.print(f"[{_COLOURS[finding.state]}]{finding.state}[/]  ", end="")
            out.print(line, markup=False)
            if finding.fix:
                out.print(mask(f"      -> {finding.fix}"), markup=False)
    if bundle is not None:
        write_bundle(recipe, subject.directory, found, bundle)
        click.echo(f"wrote {bundle}; look into it before you send it", err=True)
    failures = sum(finding.state == "fail" for finding in found)
    if as_json:
        click.echo(mask(json.dumps(to_builtins(found), indent=1)))
    else:
        warnings = sum(finding.state == "warn" for finding in found)
        out.print(f"{len(found)} checks, {failures} failed, {warnings} to look at", markup=False)
    sys.exit(1 if failures else 0)
