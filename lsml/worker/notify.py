"""Messages to an address of the recipe about ended runs."""

from __future__ import annotations

import logging
import threading
from typing import Final

from lsml.errors import LsmlError
from lsml.logs import mask
from lsml.recipe import News, Recipe
from lsml.store import RunRow, Store
from lsml.versions import card_of

_log = logging.getLogger(__name__)
_TIMEOUT_S: Final = 10.0
_TRIES_S: Final = (0.0, 2.0, 10.0)  # pauses before each try; after the last one the message is dropped


def notify(recipe: Recipe, store: Store, run: RunRow) -> threading.Thread | None:
    """Send the messages about an ended run, in a thread of their own, as the address may be slow. Return None without any."""
    address = recipe.notify
    if address is None:
        return None
    told = [_told(recipe, store, run, news, what) for news, what in _news(store, run) if news in address.on]
    if not told:
        return None
    bodies = [{"text": one["text"]} if address.form == "slack" else one for one in told]

    def send() -> None:
        for body in bodies:
            _send(address.url, body)

    thread = threading.Thread(target=send, name="notify", daemon=True)
    thread.start()
    return thread


def _news(store: Store, run: RunRow) -> list[tuple[News, str]]:
    """Return (event, sentence) for each message about a run's end."""
    if run.state == "failed":
        return [("failed", f"{run.kind} failed: {mask(run.message)}")]
    if run.state != "done" or run.kind != "training" or run.version is None:
        return []
    row = store.versions.get(run.project, run.version)
    try:
        card = None if row is None else card_of(row)
    except LsmlError:
        card = None  # it cannot be read, which the server reports
    if card is None:
        return []
    end: News = "promoted" if card.promoted else "not promoted"
    return [(end, mask(run.message)), *((alert.event, mask(alert.text)) for alert in card.alerts)]


def _told(recipe: Recipe, store: Store, run: RunRow, news: News, what: str) -> dict[str, object]:
    project = store.projects.get(run.project)
    title = project.title if project is not None else ""
    where = f"{recipe.name}, project {title or run.project}"
    row = store.versions.get(run.project, run.version) if run.version is not None else None
    card = card_of(row) if row is not None else None
    metrics = (
        {
            name: {key: judged.get(key) for key in ("metric", "value", "examples")}
            for name, judged in card.metrics.items()
        }
        if card
        else {}
    )
    figures = "; ".join(
        f"{name} {one['metric']} {one['value']:.3f}" for name, one in metrics.items() if one["value"] is not None
    )
    return {
        "event": news, "recipe": recipe.name, "project": run.project, "title": title, "run": run.id, "kind": run.kind,
        "version": run.version, "metrics": metrics, "text": f"{where}: {what}{f' ({figures})' if figures else ''}",
    }  # fmt: skip


def _send(url: str, body: dict[str, object]) -> None:
    """Post it. A failure is logged without the address, which may be a secret."""
    import httpx

    why = ""
    for pause_s in _TRIES_S:
        threading.Event().wait(pause_s)
        try:
            response = httpx.post(url, json=body, timeout=_TIMEOUT_S)
        except httpx.HTTPError as error:
            why = type(error).__name__
            continue
        if response.is_success:
            return
        why = f"it answered {response.status_code}"
        if response.status_code < 500 and response.status_code != 429:
            break
    _log.warning("notify: the message %s could not be sent: %s", body.get("event", "it"), why)
