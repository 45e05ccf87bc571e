"""`lsml simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lsml.cli.common import (
    answering_tags,
    bind_project,
    check_writable,
    console,
    json_option,
    labeling_config_option,
    log_options,
    open_recipe,
    progress_bar,
    read_tasks,
    recipe_argument,
    write_file,
)

if TYPE_CHECKING:
    from lsml.learning.simulate import Order, Simulated


def _orders(_context: click.Context, _option: click.Parameter, given: str) -> list[str]:
    from lsml.learning.simulate import ORDERS

    names = list(dict.fromkeys(name.strip() for name in given.split(",")))
    wrong = [name for name in names if name not in ORDERS]
    if wrong:
        raise click.BadParameter(f"expected some of {', '.join(ORDERS)} with commas between them, got {wrong[0]!r}")
    return names


def _sizes(_context: click.Context, _option: click.Parameter, given: str | None) -> list[int] | None:
    if given is None:
        return None
    sizes = [size.strip() for size in given.split(",")]
    if not all(size.isascii() and size.isdigit() and int(size) for size in sizes):
        raise click.BadParameter(f"expected numbers of annotations such as 20,50,100, got {given!r}")
    return [int(size) for size in sizes]


@click.command("simulate", short_help="Compare orders of annotating on a finished project.")
@recipe_argument
@click.argument("export", type=click.Path(path_type=Path))
@labeling_config_option
@click.option(
    "--orders",
    default="random,uncertain,diverse",
    show_default=True,
    callback=_orders,
    help="The orders, with commas between them.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="The number of runs, each with a different split.",
)
@click.option(
    "--sizes",
    callback=_sizes,
    help="The numbers of annotations after which to train, with commas between them; fewer take less time "
    "[default: 10, 20, 40 ...]. It is always trained on all of them, too.",
)
@click.option(
    "--target",
    type=click.FloatRange(0, 1),
    help="The metric to reach [default: 95% of the metric with all annotations].",
)
@json_option()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="An SVG file for the curves.")
@log_options
def command(
    recipe_path: Path,
    export: Path,
    labeling_config_path: Path | None,
    orders: list[Order],
    seeds: int,
    sizes: list[int] | None,
    target: float | None,
    as_json: bool,
    output: Path | None,
    log_level: str,
    debug: bool,
) -> None:
    """Replay the annotation of EXPORT, a finished project, in several orders, and say how many annotations each order
    needed.

    EXPORT is a file of annotated tasks, of any form that `lsml train` reads. A quarter of its tasks is the test set. Of
    the others, 10 are used for training first, then 20, 40 and so on, and at last all: `random` draws them, `uncertain`
    takes the least certain ones, `diverse` those that are uncertain and unlike each other, starting with typical ones.
    Nothing is stored.
    """
    import json
    from dataclasses import asdict

    from lsml.binding import sentences
    from lsml.errors import NotEnoughData, RequestError
    from lsml.labeling.annotated import AnnotatedTasks
    from lsml.learning.simulate import SimulationPlan, simulate
    from lsml.learning.snapshot import read_examples
    from lsml.studio.connection import fetcher

    recipe = open_recipe(recipe_path, log_level=log_level, debug=debug)
    if output is not None:
        check_writable(output)
    binding = bind_project(recipe, labeling_config_path, None)
    models = [model for model in binding.models if model.learns]
    if not models:
        raise RequestError(f"{recipe_path}: none of its adapters can be trained")
    annotated = AnnotatedTasks(read_tasks(export, binding, answers=True))
    with fetcher(recipe, None, by_person=True, beside=export.parent).hold() as fetch:
        examples, left_out = read_examples(binding, annotated, fetch)
        if not examples:
            raise NotEnoughData(f"{export}: {annotated.why_none(answering_tags(binding), sentences(left_out))}")
        with progress_bar("simulate") as progress:
            plan = SimulationPlan(orders, range(seeds), target, sizes)
            simulated = simulate(binding, models, examples, fetch, plan, progress)
    if output is not None:
        from lsml.cli.chart import curves_svg

        write_file(output, curves_svg(simulated, recipe.name))
    if as_json:
        click.echo(json.dumps({**asdict(simulated), "sentence": simulated.sentence}, indent=1))
    else:
        _print(simulated)


def _print(simulated: Simulated) -> None:
    """Print a table with a row for each number of annotations and a column for each order, and the annotations that each
    needs.
    """
    from rich.table import Table

    out = console()
    table = Table(box=None, pad_edge=False)
    table.add_column("annotations", justify="right")
    for order in simulated.curves:
        table.add_column(order, no_wrap=True)
    for row in zip(*simulated.curves.values(), strict=True):
        table.add_row(f"{row[0].annotations:,}", *(f"{one.mean:.3f} ({one.low:.3f} to {one.high:.3f})" for one in row))
    out.print(f"{simulated.metric} on {simulated.judged:,} other tasks, mean of {simulated.seeds} seeds (95% interval)")
    out.print(table)
    out.print(simulated.sentence, markup=False)
