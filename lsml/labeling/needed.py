"""Regions that models need of each other. They travel in the data of a task, under a key that stands for no field of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

REGIONS: Final = "lsml:regions"

# By the name of the control that they are of: regions as Label Studio has them. The parts of one region share an id.
Json = dict[str, Any]
NeededRegions = dict[str, list[Json]]


def with_regions(data: Mapping[str, object], regions: NeededRegions) -> Json:
    """A task's data with regions for the models that need them."""
    return {**data, REGIONS: regions}


def without_regions(data: Mapping[str, object]) -> Json:
    """A task's data as Label Studio has it."""
    return {name: held for name, held in data.items() if name != REGIONS}


def regions_in(data: Mapping[str, object], name: str) -> dict[str, list[Json]] | None:
    """The regions of one control in a task's data: their parts by id, in order; None where the data says nothing of regions."""
    held = data.get(REGIONS)
    if not isinstance(held, Mapping):
        return None
    found = held.get(name)
    return parts_by_id(found) if isinstance(found, list) else {}


def parts_by_id(regions: Sequence[object]) -> dict[str, list[Json]]:
    """The parts of each region by the id that they share; what has no id can be nobody's, and is left out."""
    found: dict[str, list[Json]] = {}
    for region in regions:
        if isinstance(region, dict) and isinstance(id := region.get("id"), str) and id:
            found.setdefault(id, []).append(region)
    return found
