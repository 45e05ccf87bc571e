"""The audit log of the page and the API: every action, with the person who asked for it."""

from __future__ import annotations

import logging

from flask import g, request

from lsml.store import Store

_log = logging.getLogger(__name__)


def note(store: Store, what: str, project: str, detail: str = "") -> None:
    """Write down that whoever made the request at hand did something to a project."""
    who, source = g.get("user", ""), request.remote_addr or ""
    store.actions.note(who, source, what, project, detail)
    _log.info("%s of project %s by %s at %s", f"{what} {detail}".strip(), project, who or "somebody", source)
