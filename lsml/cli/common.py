"""What several verbs share: their arguments, the recipe they open, and how they show progress."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lsml.errors import LabelingConfigError, RequestError
from lsml.logs import FORMAT_VARIABLE, FORMATS, keep_secret, set_up_logging
from lsml.metrics import Metrics

if TYPE_CHECKING:
    from rich.console import Console

    from lsml.adapters.base import Adapter
    from lsml.binding import Binding
    from lsml.labeling import ControlTag, LabelingConfig
    from lsml.labeling.annotated import AnnotatedTasks
    from lsml.recipe import Recipe
    from lsml.store import ProjectRow, Store

F = TypeVar("F", bound=Callable[..., Any])

OVERRIDE_VARIABLE = "LSML_OVERRIDE"
_LEVELS = ("debug", "info", "warning", "error")


def recipe_argument(function: F) -> F:
    """The RECIPE argument."""
    function = _override_option(function)
    return click.argument("recipe_path", metavar="RECIPE", type=click.Path(path_type=Path))(function)


def _remember_override(_context: click.Context, _option: click.Parameter, value: Path | None) -> None:
    """Kept in the environment, where `load_recipe` finds it, here and in the processes that are started."""
    if value is not None:
        os.environ[OVERRIDE_VARIABLE] = str(value.absolute())


def _override_option(function: F) -> F:
    """--override"""
    return click.option(
        "--override",
        metavar="FILE",
        envvar=OVERRIDE_VARIABLE,
        show_envvar=True,
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_remember_override,
        help="What differs on this machine, laid over the recipe: label_studio, server, storage, device.",
    )(function)


def recipes_argument(function: F) -> F:
    """One RECIPE or several."""
    function = _override_option(function)
    return click.argument(
        "recipe_paths", metavar="RECIPE...", nargs=-1, required=True, type=click.Path(path_type=Path)
    )(function)


def data_dir_option(function: F) -> F:
    """--data-dir"""
    return click.option(
        "--data-dir",
        envvar="LSML_DATA_DIR",
        show_envvar=True,
        type=click.Path(path_type=Path),
        help="Where the data lives [default: .lsml/NAME beside the recipe].",
    )(function)


def _remember_format(_context: click.Context, _option: click.Parameter, value: str) -> None:
    """Kept in the environment, where this process's logging and its children's find it."""
    os.environ[FORMAT_VARIABLE] = value


def log_options(function: F) -> F:
    """--log-level, --log-format and --debug"""
    function = click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        default="auto",
        show_default=True,
        envvar=FORMAT_VARIABLE,
        show_envvar=True,
        expose_value=False,
        callback=_remember_format,
        help="For people or for machines; auto is text.",
    )(function)
    function = click.option("--debug", is_flag=True, help="Log everything; the same as --log-level debug.")(function)
    return click.option("--log-level", type=click.Choice(_LEVELS), default="info", show_default=True)(function)


def address_options(function: F) -> F:
    """--host and --port"""
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
    """--labeling-config"""
    return click.option(
        "--labeling-config",
        "labeling_config_path",
        type=click.Path(path_type=Path),
        help="A labeling config's XML, in place of the recipe's.",
    )(function)


def studio_options(function: F) -> F:
    """--url and --api-key, --project and --create, --tasks and --backend-url"""
    for option in (
        click.option("--backend-url", help="Where Label Studio finds lsml [default: what its own address suggests]."),
        click.option("--tasks", type=click.Path(path_type=Path), metavar="FILE",
                     help="Import these: JSON, JSON lines, CSV, TSV, TXT with a task a line, or a folder of images."),
        click.option("--create", metavar="TITLE", help="The project of that title, made where there is none."),
        click.option("--project", type=click.IntRange(1), metavar="ID", help="The project of that number."),
        click.option("--api-key", help="A legacy or personal access token [default: the recipe's, or LABEL_STUDIO_API_KEY]."),
        click.option("--url", help="Label Studio's address [default: the recipe's, or LABEL_STUDIO_URL]."),
    ):  # fmt: skip
        function = option(function)
    return function


def json_option(form: str = "") -> Callable[[F], F]:
    """--json, which the command gets as `as_json`. `form`: of what is printed."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print JSON{f': {form}' if form else ''}.")


def held_option(function: F) -> F:
    """--held, for what `lsml run` and `lsml work` start themselves: one for each RECIPE"""
    return click.option(
        "--held", multiple=True, type=click.Path(path_type=Path), hidden=True,
        help="The recipe's text as it was when it was started.",
    )(function)  # fmt: skip


def open_recipe(
    path: Path, *, log_level: str = "warning", debug: bool = False, warn: bool = True, held: Path | None = None
) -> Recipe:
    """Set up logging and load a recipe, with its secrets kept out of everything that is printed. `held`: see `load_recipe`.

    Raises RecipeError with all problems."""
    from lsml.recipe import load_recipe

    set_up_logging("debug" if debug else log_level)
    recipe = load_recipe(path, held=held)
    keep_secret(recipe.secrets())
    if warn:
        for warning in recipe.warnings:
            click.echo(f"{warning}", err=True)
    return recipe


def opener(
    paths: Sequence[Path], held: Sequence[Path], log_level: str, *, debug: bool
) -> Callable[[int, bool], Recipe]:
    """What opens one of several recipes by its place, and says its warnings if asked to. `held`: see `open_recipe`, of each."""

    def opened(number: int, warn: bool) -> Recipe:
        text = held[number] if held else None
        return open_recipe(paths[number], log_level=log_level, debug=debug, warn=warn, held=text)

    return opened


def check_names(recipes: Sequence[Recipe]) -> None:
    """Raise RequestError where two recipes have one name: it says where each is served, and where its data lives."""
    paths: dict[str, Path] = {}
    for recipe in recipes:
        if recipe.name in paths:
            raise RequestError(
                f"{paths[recipe.name]} and {recipe.path} are both named {recipe.name}; give each a `name` of its own"
            )
        paths[recipe.name] = recipe.path


def data_dir_of(recipe: Recipe, data_dir: Path | None, recipes: Sequence[Recipe]) -> Path:
    """Where a recipe's data lives that is run beside others: of several, each has its folder in the one that is named."""
    return recipe.data_directory(data_dir / recipe.name if data_dir is not None and len(recipes) > 1 else data_dir)


def open_store(recipe: Recipe, data_dir: Path | None) -> Store:
    """The recipe's data directory. Raises StoreError."""
    from lsml.files.cache import VARIABLE
    from lsml.store import Store

    store = Store(recipe.data_directory(data_dir))
    os.environ.setdefault(VARIABLE, str(store.directory.resolve() / "cache"))
    return store


def config_of(path: Path) -> LabelingConfig:
    """The labeling config in a file. Raises RequestError or LabelingConfigError."""
    from lsml.labeling import parse_labeling_config

    try:
        return parse_labeling_config(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path}: is not text in UTF-8; expected a labeling config's XML") from None
    except LabelingConfigError as error:
        raise error.of(str(path)) from None


def bind_config(recipe: Recipe, labeling_config_path: Path | None, project: ProjectRow | None = None) -> Binding:
    """The recipe bound to the config that a person names, else to the one that `known_config` says of a project."""
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
    """A line for everything that was named and is not bound, for every warning, and for every model that cannot answer."""
    from lsml.binding.offers import why_unbound

    config = binding.config
    lines = [f"unbound: {why_unbound(one.control_tag, one.reason, config)}" for one in binding.unbound if config]
    return lines + [f"warning: {one}" for one in binding.warnings] + _lacks(binding)


def asking_sentence(binding: Binding) -> str | None:
    """What to switch on in Label Studio where people can ask the model as they draw or select; None where they cannot."""
    if not binding.asking:
        return None
    tools = ", ".join(tag.selector for tag in binding.asking)
    return (
        f"{tools}: what people make with it is answered at once, if in Label Studio the model has Interactive preannotations "
        "switched on (Settings > Model > Edit), and the annotator Auto-Annotation"
    )


def answered_tags(adapter: type[Adapter]) -> list[str]:
    """The control tags that an adapter can answer, sorted."""
    from lsml.controls import CONTROLS

    return [tag for tag, control in sorted(CONTROLS.items()) if control.value_type in adapter.produces]


def _lacks(binding: Binding) -> list[str]:
    """What models lack before they can answer. Without a labeling config no model is bound, but a library can be missing."""
    from lsml.adapters import get_adapter, install_hint, is_installed, lacking

    if binding.config is not None:
        found = [(one.key, lacking(one.adapter_class, one.spec.options, one.target)) for one in binding.models]
        return [f"{key}: {lacks}" for key, lacks in found if lacks is not None]
    classes = [get_adapter(name) for name in dict.fromkeys(model.adapter for model in binding.recipe.models)]
    return [
        f"{one.name}: its library is not installed: {install_hint(one)}" for one in classes if not is_installed(one)
    ]


def bound(binding: Binding) -> str:
    """What is bound, for places where `shortfall` says why nothing is."""
    return binding.state() if binding.models or binding.config is None else "nothing is bound"


def console(*, stderr: bool = False) -> Console:
    """Colours and boxes in a terminal, plain text elsewhere."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float, str], None]]:
    """A bar on standard error, fed with (share, message); in a pipe, a line whenever the message changes."""
    out = console(stderr=True)
    if not out.is_terminal:
        said: list[str] = []

        def tell(_share: float, message: str) -> None:
            # Counters change all the time; only their wording is news.
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
        # A bar that is full says no more: the outcome is printed below it.
        yield lambda share, message: bar.update(task, completed=share, description=message if share < 1 else "")


def metric_text(judged: Metrics, digits: int = 4) -> str:
    """A metric for people, `macro_f1 0.9812`; `map50 not judged` where there was nothing to judge by."""
    value = judged["value"]
    return f"{judged['metric']} " + ("not judged" if value is None else f"{value:.{digits}f}")


def caution(judged: Metrics) -> str:
    """What to add to a metric that so few answers gave that it says little; else nothing."""
    from lsml.learning.decide import LEAST_JUDGED

    few = judged["value"] is not None and judged["examples"] < LEAST_JUDGED
    return ", too few to rely on" if few else ""


def read_tasks(path: Path, binding: Binding, *, answers: bool) -> list[dict[str, object]]:
    """The tasks of a file, see `read_export`; what was understood how is said on standard error. Raises RequestError."""
    from lsml.labeling.exports import read_export

    export = read_export(path, binding.config, answers=answers)
    for note in export.notes:
        click.echo(note, err=True)
    return export.tasks


def answering_tags(binding: Binding) -> list[ControlTag]:
    """The tags whose regions teach something: those of the bound controls, and of bare tools those that name their labels."""
    tags = [tag for control in binding.controls.values() for tag in (control.control_tag, control.companion)]
    return [tag for tag in tags if tag is not None]


def say_unused(path: Path, annotated: AnnotatedTasks, binding: Binding) -> None:
    """Say on standard error which of people's work in a file taught nothing because nobody here can read it."""
    for sentence in annotated.unused(binding.config.controls if binding.config else ()):
        click.echo(f"{path}: {sentence}", err=True)


def from_predictions_option(function: F) -> F:
    """--from-predictions"""
    return click.option(
        "--from-predictions",
        is_flag=True,
        help="Where nobody annotated a task, take its predictions as if a person had made them.",
    )(function)


def bind_project(recipe: Recipe, labeling_config_path: Path | None, project: ProjectRow | None) -> Binding:
    """As `bind_config`, for commands that can do nothing without a control. Raises RequestError where none is bound."""
    binding = bind_config(recipe, labeling_config_path, project)
    if binding.config is None:
        raise RequestError(
            f"{recipe.path}: names no labeling config; add `labeling_config:` to it, or name a file with --labeling-config"
        )
    if not binding.models:
        raise RequestError(f"{recipe.path}: {binding.state()}")
    return binding


def check_writable(path: Path) -> None:
    """Raise RequestError where a file plainly cannot be written: better said before the work than after it."""
    if not path.parent.is_dir():
        raise RequestError(f"{path}: cannot be written: there is no folder {path.parent}")
    if path.is_dir():
        raise RequestError(f"{path}: cannot be written: it is a folder")


def write_file(path: Path, text: str) -> None:
    """All of the file or none of it. Raises RequestError."""
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
