"""The common parts of commands: arguments, opening a recipe, and progress."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lsml.errors import LabelingConfigError, RequestError
from lsml.logs import FORMAT_VARIABLE, FORMATS, keep_secret, set_up_logging

if TYPE_CHECKING:
    from rich.console import Console

    from lsml.binding import Binding
    from lsml.labeling import ControlTag, LabelingConfig
    from lsml.labeling.annotated import AnnotatedTasks
    from lsml.labeling.rows import Named
    from lsml.metrics import Metrics
    from lsml.recipe import Recipe
    from lsml.store import ProjectRow, Store
    from lsml.store.queue import Queue

F = TypeVar("F", bound=Callable[..., Any])

OVERRIDE_VARIABLE = "LSML_OVERRIDE"
_LEVELS = ("debug", "info", "warning", "error")


def recipe_argument(function: F) -> F:
    """Add the argument RECIPE to a command."""
    function = _override_option(function)
    return click.argument("recipe_path", metavar="RECIPE", type=click.Path(path_type=Path))(function)


def _remember_override(_context: click.Context, _option: click.Parameter, value: Path | None) -> None:
    """Keep the value in the environment, where `load_recipe` finds it, here and in child processes."""
    if value is not None:
        os.environ[OVERRIDE_VARIABLE] = str(value.absolute())


def _override_option(function: F) -> F:
    """Add --override to a command."""
    return click.option(
        "--override",
        metavar="FILE",
        envvar=OVERRIDE_VARIABLE,
        show_envvar=True,
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_remember_override,
        help="Settings of this machine that override the recipe's: label_studio, server, storage, device.",
    )(function)


def recipes_argument(function: F) -> F:
    """Add an argument for one RECIPE or several to a command."""
    function = _override_option(function)
    return click.argument(
        "recipe_paths", metavar="RECIPE...", nargs=-1, required=True, type=click.Path(path_type=Path)
    )(function)


def data_dir_option(function: F) -> F:
    """Add --data-dir to a command."""
    return click.option(
        "--data-dir",
        envvar="LSML_DATA_DIR",
        show_envvar=True,
        type=click.Path(path_type=Path),
        help="The data directory [default: .lsml/NAME beside the recipe].",
    )(function)


def _remember_format(_context: click.Context, _option: click.Parameter, value: str) -> None:
    """Keep the value in the environment, where this process's logging and its children's find it."""
    os.environ[FORMAT_VARIABLE] = value


def log_options(function: F) -> F:
    """Add --log-level, --log-format and --debug to a command."""
    function = click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        default="auto",
        show_default=True,
        envvar=FORMAT_VARIABLE,
        show_envvar=True,
        expose_value=False,
        callback=_remember_format,
        help="Text for people or JSON for programs; auto is text.",
    )(function)
    function = click.option("--debug", is_flag=True, help="Log everything; the same as --log-level debug.")(function)
    return click.option("--log-level", type=click.Choice(_LEVELS), default="info", show_default=True)(function)


def address_options(function: F) -> F:
    """Add --host and --port to a command."""
    function = click.option(
        "--port",
        envvar="LSML_PORT",
        show_envvar=True,
        type=click.IntRange(0, 65535),
        help="[default: the recipe's, or 9090]",
    )(function)
    return click.option("--host", envvar="LSML_HOST", show_envvar=True, help="[default: the recipe's, or 127.0.0.1]")(
        function
    )


def labeling_config_option(function: F) -> F:
    """Add --labeling-config to a command."""
    return click.option(
        "--labeling-config",
        "labeling_config_path",
        type=click.Path(path_type=Path),
        help="A file with a labeling config's XML, instead of the recipe's.",
    )(function)


def studio_options(function: F) -> F:
    """Add --url and --api-key, --project and --create, --tasks and --backend-url to a command."""
    for option in (
        click.option("--backend-url", help="The address of lsml for Label Studio [default: derived from Label Studio's]."),
        click.option("--tasks", type=click.Path(exists=True, path_type=Path), metavar="FILE",
                     help="Tasks to import: JSON, JSON lines, CSV, TSV, TXT with a task a line, or a folder of images."),
        click.option("--create", metavar="TITLE", help="The project with that title, created if there is none."),
        click.option("--project", type=click.IntRange(1), metavar="ID", help="The project with that number."),
        click.option("--api-key", help="A legacy or personal access token [default: the recipe's, or LABEL_STUDIO_API_KEY]."),
        click.option("--url", help="Label Studio's address [default: the recipe's, or LABEL_STUDIO_URL]."),
    ):  # fmt: skip
        function = option(function)
    return function


def json_option(form: str = "") -> Callable[[F], F]:
    """Add --json to a command, which gets it as `as_json`. `form`: the form of the output."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print JSON{f': {form}' if form else ''}.")


def held_option(function: F) -> F:
    """Add --held to a command that `lsml run` and `lsml work` start: one for each RECIPE."""
    return click.option(
        "--held", multiple=True, type=click.Path(path_type=Path), hidden=True,
        help="A copy of the recipe's text at the start.",
    )(function)  # fmt: skip


@contextmanager
def starting() -> Iterator[None]:
    """Import and open what stays without garbage collections, which look at all of it again: a fifth of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def open_recipe(
    path: Path,
    *,
    log_level: str = "warning",
    debug: bool = False,
    warn: bool = True,
    held: Path | None = None,
    pinned: bool = True,
) -> Recipe:
    """Set up logging and return a recipe; its secrets are masked in what is printed. `held`, `pinned`: see `load_recipe`.

    Raises RecipeError with all problems.
    """
    from lsml.recipe import load_recipe

    set_up_logging("debug" if debug else log_level)
    recipe = load_recipe(path, held=held, pinned=pinned)
    keep_secret(recipe.secrets())
    if warn:
        for warning in recipe.warnings:
            click.echo(f"{warning}", err=True)
    return recipe


def opener(
    paths: Sequence[Path], held: Sequence[Path], log_level: str, *, debug: bool
) -> Callable[[int, bool], Recipe]:
    """Return a function that opens one of several recipes by its index, and prints its warnings if asked to.

    `held`: see `open_recipe`, for each recipe.
    """

    def opened(number: int, warn: bool) -> Recipe:
        text = held[number] if held else None
        return open_recipe(paths[number], log_level=log_level, debug=debug, warn=warn, held=text)

    return opened


def check_names(recipes: Sequence[Recipe]) -> None:
    """Raise RequestError where two recipes have the same name, which decides their address and data directory."""
    paths: dict[str, Path] = {}
    for recipe in recipes:
        if recipe.name in paths:
            raise RequestError(
                f"{paths[recipe.name]} and {recipe.path} are both named {recipe.name}; give each a different `name`"
            )
        paths[recipe.name] = recipe.path


def data_dir_of(recipe: Recipe, data_dir: Path | None, recipes: Sequence[Recipe]) -> Path:
    """Return the data directory of a recipe; of several recipes, each has its own folder in `data_dir`."""
    return recipe.data_directory(data_dir / recipe.name if data_dir is not None and len(recipes) > 1 else data_dir)


def open_store(recipe: Recipe, data_dir: Path | None, *, to_load: bool = False) -> Store:
    """Return the store in the recipe's data directory. `to_load`: models will be loaded, so compare weights with the recipe's
    lock file, if it has one.

    Raises StoreError; AdapterError where weights have changed.
    """
    from lsml.files.cache import keep_cache_in
    from lsml.store import Store

    store = Store(recipe.data_directory(data_dir), recipe.storage, recipe.name)
    keep_cache_in(store.directory)
    if to_load and recipe.path.with_name(f"{recipe.path.stem}.lock.yaml").exists():
        from lsml.recipe.lock import check_lock

        check_lock(recipe.path)
    return store


def queue_of(recipe: Recipe, store: Store, workers: str | None = None) -> Queue:
    """Return the queue of a recipe, which is beside its store or where `storage.queue` says."""
    from lsml.store.queue import open_queue

    return open_queue(store.directory, recipe.storage.queue, recipe.name, workers)


def config_of(path: Path) -> LabelingConfig:
    """Return the labeling config in a file. Raises RequestError or LabelingConfigError."""
    from lsml.labeling import parse_labeling_config

    try:
        return parse_labeling_config(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path}: is not UTF-8; expected a labeling config's XML") from None
    except LabelingConfigError as error:
        raise error.of(str(path)) from None


def bind_config(recipe: Recipe, labeling_config_path: Path | None, project: ProjectRow | None = None) -> Binding:
    """Return the recipe bound to the config in a file, else to the one that `known_config` has for a project."""
    from lsml.binding import bind
    from lsml.binding.configs import known_config
    from lsml.labeling import parse_labeling_config

    if labeling_config_path is not None:
        return bind(recipe, config_of(labeling_config_path))
    if project is None:
        known = known_config(recipe, of_project=False)
    else:
        from lsml.store import LOCAL

        known = known_config(recipe, stored=project.labeling_config, of_project=project.key != LOCAL)
    return bind(recipe, parse_labeling_config(known) if known else None)


def shortfall(binding: Binding) -> list[str]:
    """Return a line for everything that is named and not bound, for every warning, and for every model that cannot answer."""
    from lsml.binding.offers import why_unbound

    config = binding.config
    lines = [f"unbound: {why_unbound(one.control_tag, one.reason, config)}" for one in binding.unbound if config]
    return lines + [f"warning: {one}" for one in binding.warnings] + _lacks(binding)


def asking_sentence(binding: Binding) -> str | None:
    """Return what to switch on in Label Studio so that the model answers regions as people draw them; None if no tag asks."""
    if not binding.asking:
        return None
    tools = ", ".join(tag.selector for tag in binding.asking)
    return (
        f"{tools}: the model answers each region at once if, in Label Studio, Interactive preannotations of the "
        "model are on (Settings > Model > Edit), and the annotator has switched on Auto-Annotation"
    )


def _lacks(binding: Binding) -> list[str]:
    """Return what each model lacks before it can answer.

    Without a labeling config no model is bound, and only missing libraries are reported.
    """
    from lsml.adapters import get_adapter, install_hint, is_installed, lacking

    if binding.config is not None:
        found = [(one.key, lacking(one.adapter_class, one.spec.options, one.target)) for one in binding.models]
        return [f"{key}: {lacks}" for key, lacks in found if lacks is not None]
    classes = [get_adapter(name) for name in binding.recipe.adapters]
    return [
        f"{one.name}: its library is not installed: {install_hint(one)}" for one in classes if not is_installed(one)
    ]


def bound(binding: Binding) -> str:
    """Return what is bound, for reports in which `shortfall` gives the reasons if nothing is."""
    return binding.state() if binding.models or binding.config is None else "nothing is bound"


def console(*, stderr: bool = False) -> Console:
    """Return a console with colours in a terminal, and plain text elsewhere."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float, str], None]]:
    """Yield a function (share, message) that moves a bar on standard error; in a pipe, it prints a line for each new
    message.
    """
    out = console(stderr=True)
    if not out.is_terminal:
        said: list[str] = []

        def tell(_share: float, message: str) -> None:
            # Counters change all the time, so only new wording is printed.
            wording = "".join(c for c in message if not c.isdigit())
            if message and wording not in said:
                said.append(wording)
                click.echo(f"{title}: {message}", err=True)

        yield tell
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.fields[title]}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
               TimeElapsedColumn(), TextColumn("{task.description}"))  # fmt: skip
    with Progress(*columns, console=out) as bar:
        task = bar.add_task("", total=1.0, title=title)
        # A full bar has no message: the result is printed below it.
        yield lambda share, message: bar.update(task, completed=share, description=message if share < 1 else "")


def metric_text(judged: Metrics, digits: int = 4) -> str:
    """Return a metric for people: `macro_f1 0.9812`, or `map50 not evaluated` without answers to judge."""
    value = judged["value"]
    return f"{judged['metric']} " + ("not evaluated" if value is None else f"{value:.{digits}f}")


def caution(judged: Metrics) -> str:
    """Return an addition to a metric of too few answers; "" for others."""
    from lsml.learning.decide import LEAST_JUDGED

    few = judged["value"] is not None and judged["examples"] < LEAST_JUDGED
    return ", too few to rely on" if few else ""


def read_tasks(path: Path, binding: Binding, *, answers: bool, columns: Named | None = None) -> list[dict[str, object]]:
    """Return the tasks of a file or folder, see `read_drawn` and `read_export`; notes on the reading go to standard error.

    Raises RequestError.
    """
    from lsml.binding.drawn import read_drawn
    from lsml.labeling.exports import read_export
    from lsml.labeling.rows import AS_THEY_ARE

    export = read_drawn(path, binding, answers=answers)
    if export is None:
        export = read_export(path, binding.config, answers=answers, columns=columns or AS_THEY_ARE)
    for note in export.notes:
        click.echo(note, err=True)
    return export.tasks


def answering_tags(binding: Binding) -> list[ControlTag]:
    """Return the tags whose regions can be learnt: those of the bound controls, and the tags that label the regions of
    bare tools.
    """
    tags = [tag for control in binding.controls.values() for tag in (control.control_tag, control.companion)]
    return [tag for tag in tags if tag is not None]


def say_unused(path: Path, annotated: AnnotatedTasks, binding: Binding) -> None:
    """Print on standard error which annotations of a file teach nothing because nothing here can read them."""
    for sentence in annotated.unused(binding.config.controls if binding.config else ()):
        click.echo(f"{path}: {sentence}", err=True)


def from_predictions_option(function: F) -> F:
    """Add --from-predictions to a command."""
    return click.option(
        "--from-predictions",
        is_flag=True,
        help="Use the predictions of unannotated tasks as annotations.",
    )(function)


def bind_project(recipe: Recipe, labeling_config_path: Path | None, project: ProjectRow | None) -> Binding:
    """Return the binding as `bind_config` does. Raises RequestError where no control is bound."""
    binding = bind_config(recipe, labeling_config_path, project)
    if binding.config is None:
        raise RequestError(
            f"{recipe.path}: has no labeling config; add `labeling_config:` to it, or name a file with --labeling-config"
        )
    if not binding.models:
        raise RequestError(f"{recipe.path}: {binding.state()}")
    return binding


def check_writable(path: Path) -> None:
    """Raise RequestError if a file surely cannot be written, so that the error comes before the work."""
    if not path.parent.is_dir():
        raise RequestError(f"{path}: cannot be written: there is no folder {path.parent}")
    if path.is_dir():
        raise RequestError(f"{path}: cannot be written: it is a folder")


def write_file(path: Path, text: str) -> None:
    """Write a file completely or not at all. Raises RequestError."""
    import os
    import tempfile

    check_writable(path)
    try:
        if path.exists() and not path.is_file():
            # A device or a pipe, such as /dev/stdout, must stay one.
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        target = path.resolve()
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            umask = os.umask(0)
            os.umask(umask)
            Path(name).chmod(0o666 & ~umask)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RequestError(f"{path}: cannot be written: {error.strerror}") from None
