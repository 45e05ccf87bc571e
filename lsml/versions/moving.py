"""Moving a data directory to the engines that a recipe names, which several machines share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lsml.errors import RequestError, StoreError, VersionError
from lsml.recipe import Recipe, shown_address
from lsml.store import Store, VersionRow
from lsml.versions.card import card_of
from lsml.versions.loading import check_files


@dataclass(frozen=True)
class Migrated:
    """The counts of a data directory that was moved, and a sentence for each version whose files are not sound."""

    projects: int
    versions: int
    broken: tuple[str, ...]


def move(recipe: Recipe, directory: Path, tell: Callable[[str], None]) -> Migrated:
    """Move a data directory to the database of a recipe, and the files of versions to its artifacts.

    Servers and workers on the directory may be running: they wait while rows are copied, and are refused after that.
    After an error they go on as before. Raises RequestError where the recipe names no database, the directory has no
    data or the database has some, and StoreError.
    """
    storage = recipe.storage
    if storage.database is None:
        raise RequestError(
            f"{recipe.path}: names no database to move to; add `storage: {{database: postgresql://...}}`"
        )
    if not (directory / "lsml.db").is_file():
        raise RequestError(f"{directory}: holds no data to move; give the directory of `lsml run` with --data-dir")
    address = shown_address(storage.database)
    source, target = Store(directory), Store(directory, storage, recipe.name)
    if target.projects.all():
        raise RequestError(f"{address}: has data of {recipe.name} already; drop its schema first, if it may go")
    broken: dict[str, str] = {}
    shared: set[str] = set()

    def share() -> None:
        for project in source.projects.all():
            for row in source.versions.of_project(project.key):
                if row.folder not in shared:
                    shared.add(row.folder)
                    tell(f"files of v{row.number} of project {project.key}")
                    _share(source, target, row, broken)

    share()  # while the others still work; the second time only what came meanwhile
    tell("projects, annotations and runs")
    source.move_to(target, address, share)
    done = Migrated(len(target.projects.all()), sum(target.versions.counts().values()), tuple(broken.values()))
    source.close()
    target.close()
    return done


def _share(source: Store, target: Store, row: VersionRow, broken: dict[str, str]) -> None:
    """Bring the files of a version there, if they are sound. Raises StoreError where they cannot be brought."""
    try:
        check_files(source.artifacts.open(row.folder), card_of(row))
        target.artifacts.share(row.folder)
    except VersionError as error:
        broken[row.folder] = f"v{row.number} of project {row.project}: {error}"
    except OSError as error:
        raise StoreError(
            f"{row.folder}: cannot be moved: {error.strerror or error}; nothing was changed, try again"
        ) from error
