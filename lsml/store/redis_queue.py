"""The queue on a Redis, which several machines share."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import Any, Final

from huey import Huey, RedisHuey
from redis import ConnectionPool, Redis, RedisError

from lsml.errors import StoreError
from lsml.recipe import shown_address

_log = logging.getLogger(__name__)
_PAUSE_S: Final = 2.0  # before a Redis that is away is asked again


class _PatientHuey(RedisHuey):  # type: ignore[misc]  # huey has no types
    """Huey on a Redis that may be away: then nobody is woken, which takes a line of the log."""

    def dequeue(self) -> Any:
        """Return the next message; None where there is none, or Redis is away."""
        try:
            return super().dequeue()
        except (RedisError, OSError) as error:
            _log.warning("Redis does not answer: %s; trying again", error)
            time.sleep(_PAUSE_S)
            return None

    def is_revoked(self, task: object, timestamp: datetime | None = None, peek: bool = True) -> bool:  # noqa: FBT001, FBT002 (huey's)
        """Return False, as no message is revoked: a message that is here is executed, though Redis is away by now."""
        return False

    def delete(self, key: str) -> bool:
        """Return False, as nothing is stored beside messages."""
        return False

    def read_schedule(self, timestamp: datetime | None = None) -> list[object]:
        """Return nothing, as no message is scheduled."""
        return []


def open_redis(url: str, name: str, settings: dict[str, object]) -> Huey:
    """Return a Huey on the Redis at a URL. `name`: the recipe's. Raises StoreError where Redis does not answer."""
    # A webhook waits for at most this long where Redis is away; the run is in the database already.
    pool = ConnectionPool.from_url(url, socket_timeout=5, socket_connect_timeout=3)
    try:
        Redis(connection_pool=pool).ping()
    except (RedisError, OSError) as error:
        advice = "check that it runs, and storage.queue of the recipe"
        raise StoreError(f"{shown_address(url)}: Redis does not answer: {error}; {advice}") from error
    # Huey's own cleaning would give `a-b` and `ab` one queue.
    return _PatientHuey(name=f"lsml.{name}", connection_pool=pool, clean_name=False, **settings)
