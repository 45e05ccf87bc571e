"""A time of day, in a zone, at which trainings run."""

from __future__ import annotations

from datetime import datetime, time, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec import Meta

AT: Final[Any] = Meta(
    pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]( [A-Za-z0-9_+/-]+)?$(?!\n)",
    description="A time of day that a run which is due waits for, such as 02:00, or with a zone 02:00 Europe/Berlin; without "
    "one it is the zone of the machine that runs lsml. Start Training does not wait.",
    extra_json_schema={"errorMessage": 'expected a time of day such as "02:00" or "02:00 Europe/Berlin"'},
)


def zone_of(at: str) -> tzinfo | None:
    """The zone that a time of day names, None where it names none. Raises ValueError for one that this machine lacks."""
    name = at.partition(" ")[2]
    try:
        return ZoneInfo(name) if name else None
    except (OSError, ValueError, LookupError):
        raise ValueError(name) from None


def next_moment(at: str, after: float) -> float:
    """The first moment after another, in seconds since 1970, that is this time of day."""
    zone = zone_of(at)
    clock = time.fromisoformat(at.partition(" ")[0])
    day = datetime.fromtimestamp(after, zone).date()
    moments = (datetime.combine(day + timedelta(days=later), clock, zone).timestamp() for later in range(3))
    return next(moment for moment in moments if moment > after)
