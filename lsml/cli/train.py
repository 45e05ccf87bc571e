"""`lsml train`: offline, on an export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lsml.cli.columns import columns_option
from lsml.cli.common import (
    answering_tags,
    bind_project,
    caution,
    console,
    data_dir_option,
    from_predictions_option,
    labeling_config_option,
    log_options,
    metric_text,
    open_recipe,
    open_store,
    progress_bar,
    read_tasks,
    recipe_argument,
    say_unused,
)
from lsml.cli.figures import confusion_lines, curve_line

if TYPE_CHECKING:
    from lsml.binding import Binding
    from lsml.labeling.rows import Named
    from lsml.learning.run import Made
    from lsml.versions.outlook import VersionPoint


@click.command("train", short_help="Train on an export.")
@recipe_argument
@click.argument("export", type=click.Path(path_type=Path))
@data_dir_option
@labeling_config_option
@columns_option(answers=True)
@from_predictions_option
@log_options
def command(
    recipe_path: Path,
    export: Path,
    data_dir: Path | None,
    labeling_config_path: Path | None,
    columns: Named,
    from_predictions: bool,
    log_level: str,
    debug: bool,
) -> None:
    """Train RECIPE's models on EXPORT, a file of annotated tasks, into the project `local`.

    EXPORT is a Label Studio export as JSON, JSON-MIN, CSV or TSV, a table with a column for the data and one for the
    label, JSON lines, or the folder of a target storage; for images also a COCO file or a YOLO folder.

    New Label Studio projects with the same labeling config start from this version. Tasks may name files on this machine;
    relative paths start at the folder of EXPORT, then at the current one.
    """
    from lsml.binding import sentences
    from lsml.errors import NotEnoughData, RequestError
    from lsml.labeling.annotated import AnnotatedTasks
    from lsml.learning.outlook import curve_of
    from lsml.learning.run import TrainingInputs, run
    from lsml.learning.snapshot import Snapshot
    from lsml.store import LOCAL
    from lsml.studio.connection import fetcher

    recipe = open_recipe(recipe_path, log_level=log_level, debug=debug)
    store = open_store(recipe, data_dir, to_load=True)
    binding = bind_project(recipe, labeling_config_path, store.projects.get(LOCAL))
    tasks = read_tasks(export, binding, answers=True, columns=columns)
    annotated = AnnotatedTasks(tasks, from_predictions=from_predictions)
    models = [model for model in binding.models if model.learns]
    if not models:
        raise RequestError(f"{recipe_path}: none of its adapters can be trained")
    xml = binding.config.xml if binding.config else None
    store.projects.touch(LOCAL, labeling_config=xml)

    def check(snapshot: Snapshot) -> None:
        if not snapshot.tasks:
            raise NotEnoughData(
                f"{export}: {annotated.why_none(answering_tags(binding), sentences(snapshot.left_out))}"
            )
        say_unused(export, annotated, binding)
        tasks.clear()  # the snapshot holds them, so every text is in memory only once during training

    files = fetcher(recipe, None, by_person=True, beside=export.parent)
    with progress_bar("train") as progress, files.hold() as fetch:
        made = run(
            TrainingInputs(
                store=store, project=LOCAL, binding=binding, models=tuple(models), tasks=annotated, fetch=fetch,
                keep=max((model.training.keep for model in models if model.training), default=5),
                progress=progress, check=check,
            )
        )  # fmt: skip
    _print(made, binding, curve_of(store, LOCAL))


def _print(made: Made, binding: Binding, points: Sequence[VersionPoint]) -> None:
    """Print what a training made: its verdict, notes, metrics and learning curve."""
    from lsml.binding import sentences
    from lsml.labeling.annotated import many
    from lsml.store import LOCAL
    from lsml.versions import model_version

    out = console()
    out.print(f"{model_version(binding, made.number, made.card, LOCAL)}: {made.card.verdict}", markup=False)
    for note in (*made.card.notes, *sentences(made.card.left_out)):
        out.print(f"  {note}", markup=False)
    for name, judged in made.card.metrics.items():
        where = "" if judged["value"] is None else f" on {many(judged['examples'], 'held-out example')}"
        out.print(f"  {name}: {metric_text(judged)}{where}{caution(judged)}", markup=False)
        for line in confusion_lines(judged.get("confusion") or {}):
            out.print(f"    {line}", markup=False)
    if len({point.annotations for point in points}) > 1:
        out.print(f"  {curve_line(points)}", markup=False)
