"""`/ready`: True if lsml can do all of its work now; `/health` only says that the server answers."""

from __future__ import annotations

from flask import Response

from lsml.errors import StoreError
from lsml.recipe import Recipe
from lsml.server.bodies import json_response
from lsml.server.messages import Readiness
from lsml.server.serving import Serving
from lsml.store import Store


def no_worker(queue: str | None) -> str:
    """Return the sentence that no worker of a queue is alive."""
    if queue is None:
        return "no worker is alive, so nothing is trained; start `lsml work` on the same data directory, or `lsml run`"
    return f"no worker of the queue {queue} is alive; start `lsml work --queue {queue}` where its runs can be done"


class Ready:
    """The reasons why lsml cannot do its work, as sentences."""

    def __init__(self, recipe: Recipe, store: Store, serving: Serving) -> None:
        self._recipe = recipe
        self._store = store
        self._serving = serving

    def view(self) -> Response:
        """Return 200 if the workers are alive, the store can be written, its disk has room and every promoted version is
        loaded; else 503 with the reasons.
        """
        why = self._why_not()
        return json_response(Readiness(not why, why), 503 if why else 200)

    def _why_not(self) -> list[str]:
        why = []
        try:
            self._store.check_room(self._recipe.server.limits.free_disk_bytes)
        except (StoreError, OSError) as error:
            why.append(str(error))
        try:
            self._store.workers.check_writable()
            queues = self._recipe.storage.queues.named
            why += [no_worker(queue) for queue in queues if not self._store.workers.alive(queue)]
            why += self._serving.unready()
        except StoreError as error:
            why.append(str(error))
        return why
