"""`lsml review`: annotations that are probably wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lsml.cli.common import (
    bind_project,
    check_writable,
    console,
    data_dir_option,
    json_option,
    labeling_config_option,
    open_recipe,
    open_store,
    progress_bar,
    read_tasks,
    recipe_argument,
    write_file,
)
from lsml.cli.projects import find_project, project_option, shown_project
from lsml.labeling.needed import without_regions

if TYPE_CHECKING:
    from lsml.learning.review import Review, Suspect
    from lsml.store import ProjectRow, Store

_SHOWN = 20  # lines at a terminal; the file has them all


@click.command("review", short_help="Find annotations that are probably wrong.")
@recipe_argument
@click.argument("export", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A file for all of them, as tasks for Label Studio.",
)
@project_option("The project [default: the only one with annotations].")
@data_dir_option
@labeling_config_option
@json_option("{tasks, suspects: [...], notes: [...]}")
def command(
    recipe_path: Path,
    export: Path | None,
    output: Path | None,
    project: str | None,
    data_dir: Path | None,
    labeling_config_path: Path | None,
    as_json: bool,
) -> None:
    """Find annotations of a project, or of EXPORT, that contradict models trained on all the others.

    The models of RECIPE are trained five times, each time without a fifth of the tasks, which they then predict. The least
    likely annotations come first. Annotations marked as ground truth are trusted. Nothing is changed.
    """
    from lsml.errors import RequestError
    from lsml.labeling.annotated import AnnotatedTasks
    from lsml.learning.review import in_json, review
    from lsml.studio.connection import fetcher, project_address

    if output is not None:
        check_writable(output)
    if export is not None and project is not None:
        raise RequestError("expected either EXPORT or --project, with the annotations to review")
    recipe = open_recipe(recipe_path)
    store = open_store(recipe, data_dir)
    row = _annotated_project(store, project) if export is None else None
    binding = bind_project(recipe, labeling_config_path, row)
    if row is not None:
        tasks: Any = store.annotations.tasks(row.key)
        files = fetcher(recipe, row)
    else:
        assert export is not None
        tasks = AnnotatedTasks(read_tasks(export, binding, answers=True))
        files = fetcher(recipe, None, by_person=True, beside=export.parent)
    with progress_bar("review") as progress, files.hold() as fetch:
        found = review(binding, tasks, fetch, progress)
    address = project_address(recipe, row) if row is not None else None
    listed = [in_json(one, address) for one in found.suspects]
    if output is not None:
        write_file(
            output, json.dumps([_task(one, told) for one, told in zip(found.suspects, listed, strict=True)], indent=1)
        )
    if as_json:
        click.echo(json.dumps({"tasks": found.tasks, "suspects": listed, "notes": found.notes}, indent=1))
        return
    _print(found, listed, output)


def _print(found: Review, listed: Sequence[dict[str, object]], output: Path | None) -> None:
    """Print the least likely suspects, and the number of all."""
    from lsml.labeling.annotated import are, many

    for note in found.notes:
        click.echo(note, err=True)
    out = console()
    for told in listed[:_SHOWN]:
        where = told["url"] or f"task {told['task']}"
        sure = f" ({told['confidence']:.0%} sure)" if told["confidence"] is not None else ""
        out.print(
            f"{where}  {told['control']}: {told['given']}; the others suggest {told['suggested']}{sure}", markup=False
        )
        if told["holds"]:
            out.print(f"    {told['holds']}", markup=False)
    suspects = "nothing is suspect"
    if listed:
        suspects = f"{many(len(listed), 'answer')} {are(len(listed))} suspect"
    more = f", of which these {_SHOWN} are the least likely" if len(listed) > _SHOWN else ""
    wrote = f"; wrote {output}" if output is not None else ""
    out.print(f"{suspects} in {many(found.tasks, 'annotated task')}{more}{wrote}", markup=False)


def _annotated_project(store: Store, named: str | None) -> ProjectRow:
    """Return the project that a person names, or the only one that has annotations. Raises NotFound, RequestError."""
    from lsml.errors import RequestError

    if named is not None:
        return find_project(store, named)
    rows = [row for row in store.projects.all() if row.usable]
    if len(rows) == 1:
        return rows[0]
    if rows:
        raise RequestError(f"name the project with --project: {', '.join(shown_project(row) for row in rows)}")
    raise RequestError("no project has annotations yet; name a file of annotated tasks: `lsml review RECIPE EXPORT`")


def _task(one: Suspect, told: dict[str, object]) -> dict[str, object]:
    """Return a suspect as a task that Label Studio imports; its `meta` holds what is suspect."""
    return {
        "data": without_regions(one.data),
        "meta": {"lsml": {name: value for name, value in told.items() if name != "holds"}},
    }
