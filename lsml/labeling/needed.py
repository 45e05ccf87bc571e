"""The regions that models need of each other. They travel in a task's data, under a key that is no field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

REGIONS: Final = "lsml:regions"

# By the name of their control: regions as Label Studio has them. The parts of one region share an id.
Json = dict[str, Any]
NeededRegions = dict[str, list[Json]]


def with_regions(data: Mapping[str, object], regions: NeededRegions) -> Json:
    """Return a task's data with regions for the models that need them."""
    return {**data, REGIONS: regions}


def without_regions(data: Mapping[str, object]) -> Json:
    """Return a task's data as Label Studio has it."""
    return {name: held for name, held in data.items() if name != REGIONS}


def regions_in(data: Mapping[str, object], name: str) -> dict[str, list[Json]] | None:
    """Return the parts of one control's regions in a task's data, by id, in order; None if the data has no list of regions."""
    held = data.get(REGIONS)
    if not isinstance(held, Mapping):
        return None
    found = held.get(name)
    return parts_by_id(found) if isinstance(found, list) else {}


def parts_by_id(regions: Sequence[object]) -> dict[str, list[Json]]:
    """Return the parts of each region by the id that they share. Parts without an id are left out."""
    found: dict[str, list[Json]] = {}
    for region in regions:
        if isinstance(region, dict) and isinstance(id := region.get("id"), str) and id:
            found.setdefault(id, []).append(region)
    return found
