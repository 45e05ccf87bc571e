"""`/ready`: True if lsml can do all of its work now; `/health` only says that the server answers."""

from __future__ import annotations

from flask import Response

from lsml.errors import StoreError
from lsml.server.bodies import json_response
from lsml.server.messages import Readiness
from lsml.server.serving import Serving
from lsml.store import Store


class Ready:
    """The reasons why lsml cannot do its work, as sentences."""

    def __init__(self, store: Store, serving: Serving) -> None:
        self._store = store
        self._serving = serving

    def view(self) -> Response:
        """Return 200 if a worker is alive, the store can be written and every promoted version is loaded; else 503 with
        the reasons.
        """
        why = self._why_not()
        return json_response(Readiness(not why, why), 503 if why else 200)

    def _why_not(self) -> list[str]:
        why = []
        try:
            self._store.workers.check_writable()
            if not self._store.workers.alive():
                why.append(
                    "no worker is alive, so nothing is trained; start `lsml work` on the same data directory, or "
                    "`lsml run`"
                )
            why += self._serving.unready()
        except StoreError as error:
            why.append(str(error))
        return why
