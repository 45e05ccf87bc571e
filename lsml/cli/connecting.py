"""The common part of `lsml connect` and `lsml run --connect`: their options, and the Label Studio that they name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lsml.errors import RequestError
from lsml.logs import keep_secret, mask

if TYPE_CHECKING:
    from lsml.recipe import Recipe
    from lsml.studio.connect import Connected


class ConnectOptions(msgspec.Struct, frozen=True):
    """The options of a command: a Label Studio, a project in it, and what to do with that."""

    url: str | None
    api_key: str | None
    project: int | None
    create: str | None
    tasks: Path | None
    backend_url: str | None
    dry: bool = False

    def check(self, connecting: bool = True) -> None:
        """Raise RequestError unless exactly one project is named; if nothing is to be connected, unless none is."""
        if not connecting:
            if any((self.project, self.create, self.tasks, self.backend_url)):
                raise RequestError("--project, --create, --tasks and --backend-url need --connect; add it")
        elif (self.project is None) == (self.create is None):
            raise RequestError("name the project: either --project ID for an existing one, or --create TITLE")

    def tell_environment(self) -> None:
        """Put Label Studio's address and token into the environment, for the recipe that is read next and for child
        processes.
        """
        from lsml.recipe.settings import KEY_VARIABLES, URL_VARIABLES

        for given, names in ((self.url, URL_VARIABLES), (self.api_key, KEY_VARIABLES)):
            if given:
                for name in names:
                    os.environ.pop(name, None)
                os.environ[names[0]] = given

    def connect(self, recipe: Recipe, host: str, port: int, tell: Callable[[str], None]) -> Connected:
        """Connect the lsml that listens, or will listen, at `host` and `port`. Raises StudioError or RequestError."""
        from lsml.studio.addresses import backend_url, path_at, with_secret_path
        from lsml.studio.client import Studio
        from lsml.studio.connect import ConnectRequest, connect
        from lsml.versions import names_of

        url, api_key = self.url or recipe.label_studio.url, self.api_key or recipe.label_studio.api_key
        if not url:
            raise RequestError(
                "the address of Label Studio is missing; set it with --url, LABEL_STUDIO_URL, or label_studio.url"
            )
        if port == 0 and not self.backend_url:
            raise RequestError("the recipe takes any free port; give the port of `lsml run` with --port")
        keep_secret([api_key or ""])
        with Studio(url, api_key or "", ca_file=recipe.label_studio.ca_file) as studio:
            given = self.backend_url
            path = "" if given else path_at(host, port, recipe.name)
            found = with_secret_path(recipe, given) if given else backend_url(recipe, host, port, studio.url, path)
            asked = ConnectRequest(found, self.project, self.create, self.tasks, self.dry)
            return connect(studio, recipe, names_of(recipe.name), asked, lambda said: tell(mask(said)))
