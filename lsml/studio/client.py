"""Label Studio's own API: who the token belongs to, annotated tasks, and files that Label Studio keeps.

Two kinds of token exist, told apart by their shape. A legacy token is sent as it is. A personal access token is a
refresh token, which Label Studio does not accept itself: it is exchanged for an access token that lasts five minutes.
A token goes to exactly the configured scheme, host and port, and never along with a redirect.

tokens     the two kinds, and why one is refused     api        authorised requests, tried again
tasks      annotated tasks, page by page             files      uploads, local folders, signed addresses
predictions  which tasks lack them, posting, deleting, and the version that is shown
project    a project's fields, models and webhooks
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple, Self

from lsml.media.transfer import Received, Wanted
from lsml.studio.annotations import Annotator
from lsml.studio.api import Api
from lsml.studio.files import fetch_file
from lsml.studio.predictions import ProjectPredictions
from lsml.studio.project import ProjectFields, StudioSettings, create_project, find_project
from lsml.studio.tasks import StudioTask, annotated_tasks
from lsml.studio.tokens import TokenKind


class StudioProject(NamedTuple):
    """A project: `created` in whole seconds since the epoch, the second half of its key; `tasks`: how many it holds."""

    title: str
    labeling_config: str
    created: int
    tasks: int


class Studio:
    """One Label Studio, with one user's token. Threads may share it; `close` gives its connections back.

    Every method raises StudioError, `fetch` FetchError; their sentence says what to do and never holds the token.
    An empty token is legal: what needs none works, and the rest says that a token is missing. `ca_file`: authorities for its
    certificate beside the usual ones.
    """

    def __init__(self, url: str, token: str, timeout_s: float = 30.0, ca_file: str | None = None) -> None:
        self._api = Api(url, token, timeout_s, ca_file)
        self._token = token

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return self._api.url

    @property
    def kind(self) -> TokenKind:
        """The kind of its token, by the token's shape."""
        return self._api.kind

    @property
    def identity(self) -> str:
        """Names this Label Studio and this user without telling the token: what one may read, another may not."""
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
        """Who this token belongs to and what answers, in a sentence."""
        user = self._api.get("/api/current-user/whoami", what="the user of the token")
        server = self._api.get("/api/version/", what="the version")
        try:
            return f"{user['email']}, by {self.kind}, at {self.url} (Label Studio {server['release']})"
        except (TypeError, KeyError):
            raise self._api.foreign("the user and the version") from None

    def emails(self) -> dict[str, str]:
        """The e-mail addresses of the users that the token may see, by number."""
        found = self._api.get("/api/users/", what="the users")
        users: Any = found.get("results") if isinstance(found, dict) else found
        try:
            return {str(user["id"]): str(user["email"]) for user in users}
        except (TypeError, KeyError):
            raise self._api.foreign("the users") from None

    def project(self, project_id: int) -> StudioProject:
        """A project's title, labeling config and age."""
        what = f"project {project_id}"
        found = self._api.get(f"/api/projects/{project_id}/", what=what)
        try:
            created = int(datetime.fromisoformat(found["created_at"]).timestamp())
            return StudioProject(str(found["title"]), str(found["label_config"]), created, int(found["task_number"]))
        except (TypeError, KeyError, ValueError):
            raise self._api.foreign(what) from None

    def annotated_tasks(self, project_id: int, since: str | None = None) -> Iterator[StudioTask]:
        """Tasks that have annotations, in the order of their ids, as `lsml.studio.tasks.annotated_tasks` reads them."""
        return annotated_tasks(self._api, project_id, since)

    def predictions(self, project_id: int) -> ProjectPredictions:
        """The predictions that a project holds."""
        return ProjectPredictions(self._api, project_id)

    def annotator(self) -> Annotator:
        """The token's user, who annotates."""
        return Annotator(self._api)

    def settings(self, project_id: int) -> StudioSettings:
        """A project's fields, models and webhooks."""
        return StudioSettings(self._api, project_id)

    def try_prediction(self, backend_id: int) -> bool:
        """Have Label Studio ask a model for one task, and store nothing; True if it answered with a prediction."""
        path = f"/api/ml/{backend_id}/predict/test?random=true"
        answer = self._api.send("POST", path, "try the model")
        response = answer.get("response") if isinstance(answer, dict) else None
        return isinstance(response, list) and any(response)

    def find_project(self, title: str) -> ProjectFields | None:
        """The oldest project of exactly that title that the token's user can see; None where there is none."""
        return find_project(self._api, title)

    def create_project(self, title: str, labeling_config: str) -> ProjectFields:
        """A new project."""
        return create_project(self._api, title, labeling_config)

    def fetch(self, url: str, wanted: Wanted) -> Received | None:
        """Bring a file that Label Studio keeps, as `lsml.studio.files.fetch_file` does; None where it is the known one."""
        return fetch_file(self._api, url, wanted)
