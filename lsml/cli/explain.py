"""`lsml explain`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lsml.cli.common import (
    asking_sentence,
    bind_config,
    bound,
    console,
    data_dir_option,
    json_option,
    labeling_config_option,
    open_recipe,
    recipe_argument,
    shortfall,
)
from lsml.wording import listed, near

if TYPE_CHECKING:
    from lsml.binding import Binding, BoundModel
    from lsml.recipe import Recipe

_SHOWN = 12  # labels in a row


@click.command("explain", short_help="Show which adapter serves which control tag.")
@recipe_argument
@labeling_config_option
@data_dir_option
@json_option("{models: [{control, object, adapter, labels, learns}], notes: [...]}")
def command(recipe_path: Path, labeling_config_path: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Show which adapter of RECIPE serves which control tag, with its object tag and labels, and which tags have none.

    If the recipe says `adapter: auto`, it also shows the adapter that was selected for each served version, with its
    metric.
    """
    from rich.table import Table

    recipe = open_recipe(recipe_path)
    binding = bind_config(recipe, labeling_config_path)
    if as_json:
        keys = ("control", "object", "adapter", "labels", "learns")
        found = [dict(zip(keys, row, strict=True)) for row in _rows(binding)]
        notes = [*_notes(binding), *_chosen(recipe, data_dir)]
        click.echo(json.dumps({"models": found, "notes": notes}, indent=1))
        return
    if binding.config is None:
        for model in recipe.models:
            click.echo(f"{', '.join(map(str, model.selectors))} -> {model.adapter}")
        click.echo(
            f"{recipe_path}: has no labeling config, so its binding is known only when Label Studio connects; to see "
            "it now, add `labeling_config:`, or give a file with --labeling-config"
        )
        for line in shortfall(binding):
            click.echo(line)
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
    for line in [*_notes(binding), *_chosen(recipe, data_dir)]:
        click.echo(line)


def _notes(binding: Binding) -> list[str]:
    """Return sentences that do not fit into the table."""
    lines = []
    for model in binding.models:
        lines += [*_beside(model), *_said_of_labels(model), *_passes_over(model)]
    return [
        *lines,
        *_order(binding),
        *_combined(binding),
        *filter(None, [asking_sentence(binding)]),
        *shortfall(binding),
    ]


def _beside(model: BoundModel) -> list[str]:
    """Return a line about a model's own classes beside the labels of the config."""
    from lsml.values import kind_of

    lines = []
    for control in model.controls:
        names = model.classes.known.get(kind_of(control.value_type), ())
        if not names:
            continue
        lines.append(
            f"{control.control_tag.selector}: its labels, and the {len(names)} classes of {model.spec.adapter}"
        )
        meanings = model.classes.meanings(control)
        unused = [name for name in names if not any(name in meant for meant in meanings.values())]
        for label, meant in meanings.items():
            lines.append(f"    {label} <- {', '.join(meant) or _unmeant(label, unused)}")
        if unused:
            lines.append(f"    no label <- {listed(unused, _SHOWN)}")
    return lines


def _said_of_labels(model: BoundModel) -> list[str]:
    """Return a line for each label with a description or former names."""
    spec = model.spec
    lines = []
    for label in dict.fromkeys((*spec.descriptions, *spec.was)):
        was = f"it was {', '.join(spec.was[label])}" if label in spec.was else ""
        said = " ".join(filter(None, (spec.descriptions.get(label), was)))
        lines.append(f"{', '.join(control.control_tag.selector for control in model.controls)}: {label}: {said}")
    return lines


def _order(binding: Binding) -> list[str]:
    """Return the order in which the models answer, if some need the regions of others."""
    stages = [
        ", ".join(dict.fromkeys(control.control_tag.selector for _, model in stage for control in model.controls))
        for stage in binding.stages
    ]
    return [f"order: {', then '.join(stages)}"] if len(stages) > 1 else []


def _combined(binding: Binding) -> list[str]:
    """Return a line for each control with several models and a rule to combine them."""
    lines = []
    for name, control in binding.controls.items():
        models = [one for one in binding.models if name in (c.control_tag.name for c in one.controls)]
        if len(models) > 1 and models[0].spec.combine != "first":
            names = ", ".join(model.spec.adapter for model in models)
            lines.append(f"{control.control_tag.selector}: the {models[0].spec.combine} of {names}")
    return lines


def _passes_over(model: BoundModel) -> list[str]:
    """Return a line about annotations that a trainable model never learns."""
    from lsml.adapters import get_adapter
    from lsml.adapters.base import TrainableAdapter

    controls = ", ".join(control.control_tag.selector for control in model.controls)
    adapters = [get_adapter(use.adapter) for use in model.spec.uses] if model.trainable else []
    return [
        f"{controls}: {adapter.name} {adapter.passes_over}"
        for adapter in adapters
        if issubclass(adapter, TrainableAdapter) and adapter.passes_over is not None
    ]


def _chosen(recipe: Recipe, data_dir: Path | None) -> list[str]:
    """Return a line for each served version whose adapter was chosen by cross-validation."""
    from lsml.cli.common import open_store
    from lsml.cli.projects import shown_project
    from lsml.versions import card_of

    lines: list[str] = []
    if not any(model.candidates for model in recipe.models) or not recipe.data_directory(data_dir).is_dir():
        return lines
    store = open_store(recipe, data_dir)
    for project in store.projects.all():
        served = store.versions.served(project.key)
        for key, model in card_of(served).models.items() if served is not None else ():
            if served is not None and model.selection is not None:
                lines.append(f"{shown_project(project)}, v{served.number}: {key} {model.selection.sentence}")
    return lines


def _unmeant(label: str, names: Sequence[str]) -> str:
    """Return that no class stands for a label, and similar class names."""
    close = ", ".join(near(label, names))
    return f"no class{f'; near: {close}' if close else ''}; name its classes under `labels`"


def _rows(binding: object) -> list[tuple[str, str, str, str, str]]:
    from lsml.binding import Binding

    assert isinstance(binding, Binding)
    rows = []
    for model in binding.models:
        adapter = model.spec.adapter
        if model.spec.candidates:
            adapter += f" ({', '.join(use.adapter for use in model.spec.candidates)})"
        for control in model.controls:
            kind = getattr(control.value_type, "title", control.value_type.__name__)
            named = listed(control.labels, _SHOWN) or ("those of each task" if control.open else kind)
            at = f" at {model.training.at}" if model.training is not None and model.training.at else ""
            learns = f"learns{at}" if model.trainable else "does not learn"
            learns += "" if model.spec.show else ", not shown"
            rows.append((control.control_tag.selector, model.shown, adapter, named, learns))
    return rows
