"""Label Studio's two kinds of token, which differ in their shape, and what to do about a refused one."""

from __future__ import annotations

import base64
import binascii
import time
from typing import Any, Literal

import msgspec

from lsml.errors import StudioError

ACCESS_S = 300.0  # the life of an access token that does not hold its own

TokenKind = Literal["legacy token", "personal access token"]


class Access(msgspec.Struct, frozen=True):
    """An access token, made from a personal access token."""

    token: str
    stale_at_s: float  # on the monotonic clock


def kind_of(token: str) -> TokenKind:
    """Return the kind of a token by its shape. Raises StudioError for one that can never work."""
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise StudioError("label_studio.api_key: contains spaces or unusual characters; expected only the token")
    if not token.startswith("eyJ") or "." not in token:
        return "legacy token"  # 40 hexadecimal digits, unless Label Studio was started with another
    claims = _claims(token)
    if claims is None:
        raise StudioError(
            "label_studio.api_key: looks like a truncated personal access token; Label Studio shows it only once, "
            "so create a new one under Account & Settings > Personal Access Token"
        )
    if claims.get("token_type") == "access":
        raise StudioError(
            "label_studio.api_key: is an access token, which is valid for five minutes; expected the personal access "
            "token that it was made from"
        )
    return "personal access token"


def access_of(token: str) -> Access:
    """Return a new access token, with the time until which to use it."""
    claims = _claims(token) or {}
    lasts_s = ACCESS_S
    # The difference of two times of Label Studio's clock, as this machine's may be wrong.
    if isinstance(claims.get("exp"), int) and isinstance(claims.get("iat"), int):
        lasts_s = float(claims["exp"] - claims["iat"])
    return Access(token, time.monotonic() + lasts_s - min(30.0, lasts_s / 4))


def refusal(url: str, token: str, detail: str, *, exchanged: bool = True) -> str:
    """Return the reason for a 401, and what to do.

    `detail`: Label Studio's own message; `exchanged`: a personal access token could be exchanged, and its access token
    is refused.
    """
    if not token:
        return (
            f"{url}: needs a token (401) and none is set; copy one from Account & Settings in Label Studio "
            "into LABEL_STUDIO_API_KEY or label_studio.api_key"
        )
    if kind_of(token) == "personal access token":
        if exchanged:
            return (
                f"{url}: exchanges the personal access token but rejects the access token (401); an administrator "
                "may have switched such tokens off: Organization > API Tokens Settings"
            )
        return (
            f"{url}: rejects the personal access token (401); it was revoked, or it belongs to another Label Studio: "
            "create a new one under Account & Settings > Personal Access Token"
        )
    if "legacy" in detail:
        return (
            f"{url}: rejects the legacy token (401), because its organisation has switched such tokens off; create a "
            "personal access token under Account & Settings, or switch legacy tokens on: Organization > API Tokens "
            "Settings"
        )
    return (
        f"{url}: rejects the legacy token (401); it was reset, or it belongs to another Label Studio: copy it again "
        "from Account & Settings > Legacy Token"
    )


def _claims(token: str) -> dict[str, Any] | None:
    """Return a JWT's claims, unverified; None where the token is no JWT."""
    pieces = token.split(".")
    if len(pieces) != 3 or not all(pieces):
        return None
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(pieces[1] + "=" * (-len(pieces[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    return claims if isinstance(claims, dict) else None
