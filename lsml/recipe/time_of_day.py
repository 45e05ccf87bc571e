"""A time of day, in a time zone, at which trainings run."""

from __future__ import annotations

from datetime import datetime, time, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec import Meta

AT: Final[Any] = Meta(
    pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]( [A-Za-z0-9_+/-]+)?$(?!\n)",
    description="The time of day at which due runs start, such as 02:00, or with a time zone 02:00 Europe/Berlin. The default "
    "zone is that of the machine that runs lsml. Start Training does not wait.",
    extra_json_schema={"errorMessage": 'expected a time of day such as "02:00" or "02:00 Europe/Berlin"'},
)


def zone_of(at: str) -> tzinfo | None:
    """Return the zone in a time of day; None where it has none. Raises ValueError for a zone that this machine does not
    know.
    """
    name = at.partition(" ")[2]
    try:
        return ZoneInfo(name) if name else None
    except (OSError, ValueError, LookupError):
        raise ValueError(name) from None


def next_moment(at: str, after: float) -> float:
    """Return the first moment after `after` that has this time of day, both in seconds since 1970."""
    zone = zone_of(at)
    clock = time.fromisoformat(at.partition(" ")[0])
    day = datetime.fromtimestamp(after, zone).date()
    moments = (datetime.combine(day + timedelta(days=later), clock, zone).timestamp() for later in range(3))
    return next(moment for moment in moments if moment > after)
