"""`lsml prune`."""

from __future__ import annotations

from pathlib import Path

import click

from lsml.cli.common import data_dir_option, open_recipe, open_store, recipe_argument


@click.command("prune", short_help="Delete old runs.")
@recipe_argument
@click.option(
    "--days", type=click.IntRange(min=1), default=90, show_default=True, help="The age from which runs are deleted."
)
@click.option("--dry-run", is_flag=True, help="Only say how many would be deleted.")
@data_dir_option
def command(recipe_path: Path, days: int, dry_run: bool, data_dir: Path | None) -> None:
    """Delete the runs of RECIPE that ended so many days ago, with their log lines.

    lsml may be running. The last run of each kind of each project stays. Annotations and versions stay too; `training.keep`
    of RECIPE is the number of versions that are kept.
    """
    from lsml.labeling.annotated import many

    store = open_store(open_recipe(recipe_path), data_dir)
    age_s = days * 86_400.0
    count = store.runs.count_ended(age_s) if dry_run else 0
    while not dry_run and (deleted := store.delete_old_runs(age_s)):
        count += deleted
    store.close()
    click.echo(
        f"{'would delete' if dry_run else 'deleted'} {many(count, 'run')} that ended {many(days, 'day')} ago or earlier"
    )
