"""The ids of a result's regions."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lsml.controls.base import Region


def with_ids(regions: list[Region], drawn: Sequence[object], known: Collection[str] = ()) -> list[Region]:
    """Return the regions with ids of this result.

    Regions of one group share an id; it is that of a person's region, if the group is that region's. A `parentID` is
    the id of its parent. A `known` id, of a region in the result already, stays.
    """
    ids: dict[str, str] = {id: id for id in known} if known else {}
    marks = ""
    if drawn:
        theirs = [region["id"] for region in drawn if isinstance(region, dict) and isinstance(region.get("id"), str)]
        for group in (region["id"] for region in regions if "id" in region):
            own = group.split(".", 2)[-1]  # without the rank of its model and its page
            if own in theirs and group not in ids:
                ids[group] = own
        # An answer to a different prompt is added to earlier answers; one to an extended prompt replaces the last one.
        marks = f"-{theirs[0]}" if theirs else ""
    children = []
    for number, region in enumerate(regions):
        if "from_name" not in region:  # a relation, which has no id of its own
            continue
        id = f"{region['from_name']}-{number}{marks}"
        region["id"] = ids.setdefault(region["id"], id) if "id" in region else id
        if "parentID" in region:
            children.append(region)
    for region in children:
        parent = region.pop("parentID")
        if parent in ids:
            region["parentID"] = ids[parent]
    return regions
