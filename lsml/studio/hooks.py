"""The webhooks of a project: one at lsml's address, and none that an older address left behind."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from lsml.media.transfer import shown_url
from lsml.recipe import Recipe
from lsml.studio.addresses import is_loopback, refuses
from lsml.studio.changes import ChangeLog
from lsml.studio.project import StudioSettings, Webhook

_WEBHOOK: Final = "/webhook"


@dataclass(frozen=True)
class Hooks:
    """The wanted webhook of a project, and the URLs by which older webhooks of lsml are found.

    `url`: the model's. `authorization`: the header that its webhook must send, if any. `former`: the model's URL until
    now. `others`: the URLs of the project's other models. `secret_path` is lsml's own, `studio_url` Label Studio's
    address.
    """

    url: str
    studio_url: str
    authorization: str | None = None
    former: str | None = None
    others: Sequence[str] = ()
    secret_path: str | None = None


def basic_authorization(recipe: Recipe) -> str:
    """Return the header with the recipe's username and password. Label Studio sends a model's login, but not with webhooks."""
    login = f"{recipe.server.username}:{recipe.server.password}"
    return f"Basic {base64.b64encode(login.encode()).decode()}"


def webhook_url(url: str) -> str:
    """Return the address of the webhook of a model's URL, as Label Studio itself makes it."""
    return url.rstrip("/") + _WEBHOOK


def same_url(one: str, other: str) -> bool:
    """Return True if two URLs are the same but for a slash at the end."""
    return one.rstrip("/") == other.rstrip("/")


def mend_webhooks(changes: ChangeLog, settings: StudioSettings, hooks: Hooks) -> None:
    """Leave one webhook that sends lsml every event. Leftovers of an old address are moved, deleted or switched off.

    Only a webhook that is surely lsml's own is deleted: that of the model's former address, or one with lsml's secrets
    in it. One that looks like Label Studio's own webhook for a model at this host, at which nothing listens and no
    model is, is switched off. Raises StudioError.
    """
    found = settings.webhooks()
    target = webhook_url(hooks.url)
    here = [hook for hook in found if same_url(hook.url, target)]
    stale = [hook for hook in found if hook not in here and _is_stale(hook, hooks)]
    wanted: dict[str, object] = {"url": target, "send_payload": True, "send_for_all_actions": True, "is_active": True}
    if hooks.authorization is not None:
        wanted["headers"] = {"Authorization": hooks.authorization}
    if here:
        _mend(changes, settings, here[0], wanted)
    elif stale:
        first = stale.pop(0)
        changes.make("move", f"webhook {first.id} from {shown_url(first.url)} to {shown_url(target)}",
                     lambda: settings.put_webhook(first.id, wanted))  # fmt: skip
    else:
        changes.make("add", f"the webhook {shown_url(target)}", lambda: settings.put_webhook(None, wanted))
    for hook in here[1:]:
        _delete(changes, settings, hook, "a second one for the same address")
    for hook in stale:
        if _is_surely_ours(hook, hooks):
            _delete(changes, settings, hook, "of an old address of lsml")
        else:
            _switch_off(changes, settings, hook)


def _mend(changes: ChangeLog, settings: StudioSettings, hook: Webhook, wanted: dict[str, Any]) -> None:
    lacks = []
    if not (hook.is_active and hook.send_payload and hook.send_for_all_actions):
        lacks.append("it sends all events")
    if not wanted.get("headers", {}).items() <= hook.headers.items():
        lacks.append("it has the username and password")
        wanted = {**wanted, "headers": {**hook.headers, **wanted["headers"]}}
    if lacks:
        changes.make("change", f"webhook {hook.id} ({shown_url(hook.url)}): {', '.join(lacks)}",
                     lambda: settings.put_webhook(hook.id, wanted))  # fmt: skip


def _delete(changes: ChangeLog, settings: StudioSettings, hook: Webhook, why: str) -> None:
    changes.make(
        "delete", f"webhook {hook.id} ({shown_url(hook.url)}), {why}", lambda: settings.delete_webhook(hook.id)
    )


def _switch_off(changes: ChangeLog, settings: StudioSettings, hook: Webhook) -> None:
    why = "because nothing listens there and no model has that address"
    changes.make("turn off", f"webhook {hook.id} ({shown_url(hook.url)}), {why}",
                 lambda: settings.put_webhook(hook.id, {"is_active": False}))  # fmt: skip


def _is_stale(hook: Webhook, hooks: Hooks) -> bool:
    """Return True for a webhook of a former address of lsml, or one that looks like it and where nothing listens."""
    if not hook.is_active or not hook.url.endswith(_WEBHOOK):
        return False
    if any(same_url(hook.url, webhook_url(url)) for url in hooks.others):
        return False
    return _is_surely_ours(hook, hooks) or (_looks_ours(hook, hooks) and refuses(hook.url, hooks.studio_url))


def _is_surely_ours(hook: Webhook, hooks: Hooks) -> bool:
    if hooks.former is not None and same_url(hook.url, webhook_url(hooks.former)):
        return True
    parts = urlsplit(hook.url)
    if hooks.secret_path and parts.path == f"/{hooks.secret_path}{_WEBHOOK}":
        return True
    if hooks.authorization is None:
        return False
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    in_url = f"Basic {base64.b64encode(login.encode()).decode()}"
    return hooks.authorization in (hook.headers.get("Authorization"), in_url)


def _looks_ours(hook: Webhook, hooks: Hooks) -> bool:
    """Return True for a webhook that Label Studio itself made for a model at lsml's host and path."""
    there, here = urlsplit(hook.url), urlsplit(webhook_url(hooks.url))
    same_host = there.hostname == here.hostname or (
        is_loopback(there.hostname or "") and is_loopback(here.hostname or "")
    )
    return (
        same_host and there.path == here.path and hook.send_payload and hook.send_for_all_actions and not hook.headers
    )
