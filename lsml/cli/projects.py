"""The project that a command is about: named by key, number or title; by default the one that has learnt something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lsml.cli.common import progress_bar

if TYPE_CHECKING:
    from lsml.errors import LsmlError
    from lsml.publishing import PublishInputs
    from lsml.recipe import Recipe
    from lsml.store import ProjectRow, Store
    from lsml.studio.client import Studio
    from lsml.versions import Loaded

F = TypeVar("F", bound=Callable[..., Any])


def project_option(help: str, *, required: bool = False) -> Callable[[F], F]:
    """Add --project to a command."""
    told = f"{help} Its number in Label Studio, its key or its title."
    return click.option("--project", metavar="ID", required=required, help=told)


def find_project(store: Store, named: str) -> ProjectRow:
    """Return the project that a person names. Raises NotFound, with the known ones."""
    from lsml.errors import NotFound

    found = store.projects.find(named)
    if found is None:
        known = ", ".join(shown_project(row) for row in store.projects.all()) or "none yet"
        raise NotFound(f"no project {named}; there are {known}")
    return found


def shown_project(row: ProjectRow) -> str:
    """Return a project's name for people: its key, and its title where it has one."""
    return f"{row.key} ({row.title})" if row.title else row.key


def note_action(store: Store, what: str, project: str, detail: str = "") -> None:
    """Write into the audit log what the person at this command line did."""
    import getpass

    try:
        who = getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in containers
        who = ""
    store.actions.note(who, "command line", what, project, detail)


def studio_project(recipe: Recipe, store: Store, named: str) -> tuple[Studio, ProjectRow]:
    """Return (the Label Studio, the project that a person names). A project unknown to lsml can be named by its number.

    Raises RequestError where no address and token are known, NotFound where there is no such project, and StudioError.
    """
    from lsml.errors import RequestError
    from lsml.studio.connection import studio_of

    known = store.projects.find(named)
    studio = studio_of(recipe, known)
    if studio is None:
        raise RequestError(
            "the address of Label Studio is not known: set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, or "
            "`label_studio:` in the recipe"
        )
    if known is None and named.isascii() and named.isdigit():
        found = studio.project(int(named))
        key = f"{named}.{found.created}"
        store.projects.touch(key, studio_id=int(named), title=found.title, labeling_config=found.labeling_config)
        known = store.projects.get(key)
    project = known or find_project(store, named)
    if project.studio_id is None:
        raise RequestError(f"project {project.key} is not in Label Studio; give a project's number")
    return studio, project


@contextmanager
def by_hand(recipe: Recipe, store: Store, studio: Studio, project: ProjectRow, title: str) -> Iterator[PublishInputs]:
    """Yield the inputs of a publishing or submitting that a person starts. A bar with that title shows the progress.

    Raises the errors of `prepared`; NotEnoughData comes with what to do.
    """
    from lsml.errors import NotEnoughData
    from lsml.publishing import Patience, prepared

    patience = Patience(tell=lambda sentence: click.echo(sentence, err=True))
    with ExitStack() as stack:
        progress = stack.enter_context(progress_bar(title))
        try:
            inputs = stack.enter_context(prepared(recipe, store, studio, project, patience, progress))
        except NotEnoughData as error:
            raise unlearnt(recipe, project.key, str(error)) from None
        yield inputs


def learnt_project(store: Store, named: str | None) -> str:
    """Return the key of the project that a person names; by default `local` if it has versions, else the only one that
    has.

    Raises NotFound where there is no such project, RequestError where several have versions.
    """
    from lsml.errors import RequestError
    from lsml.store import LOCAL

    if named is not None:
        return find_project(store, named).key
    counts = store.versions.counts()
    if LOCAL in counts or not counts:
        return LOCAL
    rows = [row for row in store.projects.all() if row.key in counts]
    if len(rows) > 1:
        raise RequestError(f"name the project with --project: {', '.join(shown_project(row) for row in rows)}")
    click.echo(f"with the version of project {shown_project(rows[0])}", err=True)
    return rows[0].key


def check_learnt(recipe: Recipe, project: str, loaded: Loaded) -> None:
    """Raise NotEnoughData where no model can answer, as a table of zeros would look like wrong answers."""
    if loaded.adapters and not any(adapter.ready for adapter in loaded.adapters.values()):
        raise unlearnt(recipe, project, "; ".join(loaded.warnings) or "no model is trained yet")


def unlearnt(recipe: Recipe, project: str, why: str) -> LsmlError:
    """Return an error, with what to do, for a project without a version that can answer."""
    from lsml.errors import NotEnoughData

    return NotEnoughData(
        f"project {project}: {why}; train on a file with `lsml train {recipe.path} EXPORT`, or annotate in Label "
        "Studio while `lsml run` is connected, and give the project with --project"
    )
