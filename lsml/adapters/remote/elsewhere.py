"""The version that another ML backend serves: asked of its `/setup`, as Label Studio asks before it predicts."""

from __future__ import annotations

import json
import threading
import time
from typing import Final, NamedTuple

import msgspec
from cachetools import LRUCache

from lsml.adapters.remote.options import RemoteOptions
from lsml.errors import AdapterError

_TIMEOUT_S: Final = 1.5  # Label Studio waits 3 s for lsml's own answer
_FRESH_S: Final = 2.0
_AGAIN_S: Final = 10.0  # after a failure, the last known version stands so long


class _Known(NamedTuple):
    version: str | None
    until: float
    trouble: str | None = None


_known: LRUCache[tuple[str, str, str], _Known] = LRUCache(256)
_lock = threading.Lock()
_turns: dict[str, threading.Lock] = {}  # to ask, by the backend's URL: a slow one delays no other


def version_at(options: RemoteOptions, labeling_config: str) -> str | None:
    """Return the `model_version` that the backend serves now; the last known one where it does not answer in time."""
    key = (options.url, options.project, labeling_config)
    with _lock:
        turn = _turns.setdefault(options.url, threading.Lock())
    with turn:
        with _lock:
            known = _known.get(key)
        now = time.monotonic()
        if known is None or now >= known.until:
            try:
                known = _Known(_asked(options, labeling_config), now + _FRESH_S)
            except AdapterError as error:
                last = known.version if known else None
                known = _Known(last, time.monotonic() + _AGAIN_S, str(error))
            with _lock:
                _known[key] = known
        return known.version


def trouble_at(options: RemoteOptions) -> str | None:
    """Return why the backend did not answer at last, in a sentence; None where it did."""
    with _lock:
        about = [
            known for (url, project, _), known in _known.items() if (url, project) == (options.url, options.project)
        ]
    latest = max(about, key=lambda known: known.until, default=None)
    return latest.trouble if latest else None


def _asked(options: RemoteOptions, labeling_config: str) -> str:
    """Return what `/setup` answers. Raises AdapterError."""
    from lsml.adapters.remote.service import Service

    quick = msgspec.structs.replace(options, timeout=min(options.timeout, _TIMEOUT_S), retries=0)
    service = Service("remote", quick)
    # No token and no address of Label Studio: they would let the backend act for the project's owner.
    body = {
        "project": options.project,
        "schema": labeling_config,
        "hostname": "",
        "access_token": "",
        "extra_params": None,
    }
    reply = service.ask(json.dumps(body).encode(), "application/json", "/setup")
    version = reply.get("model_version") if isinstance(reply, dict) else None
    if not isinstance(version, str | int | float) or not str(version):
        raise AdapterError(f"{service.name}: its /setup names no model_version; is it an ML backend of Label Studio?")
    return str(version)
