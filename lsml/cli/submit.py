"""`lsml submit`: predictions that a version is sure of become annotations."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lsml.cli.common import data_dir_option, open_recipe, open_store, recipe_argument
from lsml.cli.projects import by_hand, note_action, project_option, studio_project


@click.command("submit", short_help="Turn predictions with a high confidence into annotations.")
@recipe_argument
@project_option("The project.", required=True)
@click.option("--above", type=click.FloatRange(0.5, 1), help="The least confidence [default: the recipe's, or 0.98].")
@click.option(
    "--audit", type=click.FloatRange(0, 1, min_open=True), help="The share that people annotate [default: 0.05]."
)
@click.option("--dry-run", is_flag=True, help="Only count the tasks that would be submitted.")
@click.option("--undo", "undoing", is_flag=True, help="Delete submitted annotations that nobody has changed.")
@click.option("--yes", is_flag=True, help="With --undo: do not ask for confirmation.")
@data_dir_option
def command(
    recipe_path: Path,
    project: str,
    above: float | None,
    audit: float | None,
    dry_run: bool,
    undoing: bool,
    yes: bool,
    data_dir: Path | None,
) -> None:
    """Turn predictions of RECIPE's served version with a high confidence into annotations of the token's user.

    Confidence is calibrated on held-out tasks. People annotate a share of these tasks, chosen by a hash, which measures
    the precision. If it falls below --above, submitting stops with exit code 1. lsml never trains on annotations that
    it submitted.
    """
    from lsml.recipe import Submit

    recipe = open_recipe(recipe_path)
    store = open_store(recipe, data_dir)
    studio, row = studio_project(recipe, store, project)
    if undoing:
        from lsml.publishing import undo

        count = len(store.submissions.of_project(row.key, audit=False))
        if not count:
            click.echo(f"nothing was submitted to {row.title or row.key}")
            return
        if not yes:
            click.confirm(f"Delete {count:,} annotations that lsml made from {row.title or row.key}?", abort=True)
        deleted = undo(store, row.key, studio.annotator(), lambda sentence: click.echo(sentence, err=True))
        note_action(store, "submit --undo", row.key, f"{deleted:,} annotations")
        click.echo(f"deleted {deleted:,} annotations")
        return
    from lsml.publishing import submit, submitting

    known = recipe.submit or Submit()
    settings = Submit(known.above if above is None else above, known.audit if audit is None else audit)
    with by_hand(recipe, store, studio, row, "submit") as inputs:
        done = submit(submitting(recipe, store, studio, row, inputs, settings, dry=dry_run))
    if not dry_run:
        note_action(store, "submit", row.key, str(done))
    click.echo(str(done))
    sys.exit(1 if done.stopped else 0)
