"""A client of Label Studio's own API: the token's user, annotated tasks, and files that Label Studio keeps.

There are two kinds of token, which differ in their shape. A legacy token is sent unchanged. A personal access token is a
refresh token, which Label Studio does not accept itself: it is exchanged for an access token that lasts five minutes.
A token goes to exactly the configured scheme, host and port, and never along with a redirect.

tokens     the two kinds, and refusals explained     api        authorised requests, tried again
tasks      annotated tasks, page by page             files      uploads, local folders, signed addresses
predictions  tasks without them, posting, deleting, and the version that is shown
project    a project's fields, models and webhooks
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple, Self

from lsml.media.transfer import Download, Received
from lsml.studio.annotations import AnnotationAuthor
from lsml.studio.api import StudioApi
from lsml.studio.files import fetch_file
from lsml.studio.predictions import ProjectPredictions
from lsml.studio.project import ProjectFields, StudioSettings, create_project, find_project
from lsml.studio.tasks import StudioTask, annotated_tasks
from lsml.studio.tokens import TokenKind


class StudioProject(NamedTuple):
    """A project. `created`: whole seconds since the epoch, the second half of its key; `tasks`: its number of tasks."""

    title: str
    labeling_config: str
    created: int
    tasks: int


class Studio:
    """One Label Studio, with one user's token. Threads may share it; `close` closes its connections.

    Every method raises StudioError, `fetch` FetchError, with a sentence that says what to do and never holds the token.
    The token may be empty: then requests that need one raise the error that a token is missing. `ca_file`: certificate
    authorities to trust beside the usual ones.
    """

    def __init__(self, url: str, token: str, timeout_s: float = 30.0, ca_file: str | None = None) -> None:
        self._api = StudioApi(url, token, timeout_s, ca_file)
        self._token = token

    @property
    def url(self) -> str:
        """Label Studio's address, without a slash at the end."""
        return self._api.url

    @property
    def kind(self) -> TokenKind:
        """The kind of the token, by its shape."""
        return self._api.kind

    @property
    def identity(self) -> str:
        """A hash of this Label Studio and this user's token: users may not share files."""
        return hashlib.sha256(f"{self.url} {self._token}".encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"Studio({self.url!r}, {self.kind if self._token else 'no token'})"

    def close(self) -> None:
        """Close its connections; the next call opens new ones."""
        self._api.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> str:
        """Return a sentence about the token's user and Label Studio's version."""
        user = self._api.get("/api/current-user/whoami", what="the user of the token")
        server = self._api.get("/api/version/", what="the version")
        try:
            return f"{user['email']}, by {self.kind}, at {self.url} (Label Studio {server['release']})"
        except (TypeError, KeyError):
            raise self._api.unexpected("the user and the version") from None

    def emails(self) -> dict[str, str]:
        """Return the e-mail addresses of the users that the token may see, by number."""
        found = self._api.get("/api/users/", what="the users")
        users: Any = found.get("results") if isinstance(found, dict) else found
        try:
            return {str(user["id"]): str(user["email"]) for user in users}
        except (TypeError, KeyError):
            raise self._api.unexpected("the users") from None

    def project(self, project_id: int) -> StudioProject:
        """Return a project's title, labeling config, age and number of tasks."""
        what = f"project {project_id}"
        found = self._api.get(f"/api/projects/{project_id}/", what=what)
        try:
            created = int(datetime.fromisoformat(found["created_at"]).timestamp())
            return StudioProject(str(found["title"]), str(found["label_config"]), created, int(found["task_number"]))
        except (TypeError, KeyError, ValueError):
            raise self._api.unexpected(what) from None

    def annotated_tasks(self, project_id: int, since: str | None = None) -> Iterator[StudioTask]:
        """Yield tasks with annotations in the order of their ids, as `lsml.studio.tasks.annotated_tasks` does."""
        return annotated_tasks(self._api, project_id, since)

    def predictions(self, project_id: int) -> ProjectPredictions:
        """Return the predictions of a project."""
        return ProjectPredictions(self._api, project_id)

    def annotator(self) -> AnnotationAuthor:
        """Return the token's user as the author of annotations."""
        return AnnotationAuthor(self._api)

    def settings(self, project_id: int) -> StudioSettings:
        """Return a project's fields, models and webhooks."""
        return StudioSettings(self._api, project_id)

    def try_prediction(self, backend_id: int) -> bool:
        """Let Label Studio ask a model for a prediction of one task, without storing it. Return True if it got one."""
        path = f"/api/ml/{backend_id}/predict/test?random=true"
        tried = self._api.send("POST", path, "try the model")
        response = tried.get("response") if isinstance(tried, dict) else None
        return isinstance(response, list) and any(response)

    def find_project(self, title: str) -> ProjectFields | None:
        """Return the oldest project with exactly that title that the token's user can see; None where there is none."""
        return find_project(self._api, title)

    def create_project(self, title: str, labeling_config: str) -> ProjectFields:
        """Create a project and return it."""
        return create_project(self._api, title, labeling_config)

    def fetch(self, url: str, wanted: Download) -> Received | None:
        """Fetch a file that Label Studio keeps, as `lsml.studio.files.fetch_file` does; None where the known one is current."""
        return fetch_file(self._api, url, wanted)
