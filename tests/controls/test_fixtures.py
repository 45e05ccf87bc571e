"""Good and bad regions of every control, in `fixtures/<tag>.json`.

Each entry has a labeling config, a task's `data` (of an image its `size`, and the page, `item`), and regions: `value`
(and `type`, else the tag's, and `facts` beside it; of a video its `film`: frames per second, and seconds), what a person's region of that kind `means` to us (of a value that is
more than a label or a number: its fields), what our check `says`, and whether label-studio-sdk's validator (`judge`)
accepts or refuses it. Where it says `accepts` beside a sentence, we are stricter, because the editor would not show it.
A bare tool's region has the label that `names` says in a second region of its companion. A `relation` stands as it is, and
joins regions whose ids `marked` has.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lsml.binding import control_of as bound_control
from lsml.controls import CONTROLS, Control
from lsml.labeling import parse_labeling_config
from lsml.labeling.objects import read_object
from lsml.labeling.view import Film, View
from lsml.values import Marked
from tests.support.fetching import no_fetch
from tests.support.judge import verdicts

FOLDER = Path(__file__).with_name("fixtures")


def entries(kind: str) -> list[Any]:
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        for entry in json.loads(path.read_text(encoding="utf-8")):
            for index, case in enumerate(entry[kind]):
                found.append(pytest.param(entry, case, id=f"{path.stem}-{entry['name'].replace(' ', '-')}-{index}"))
    return found


def control_of(entry: dict[str, Any]) -> Control:
    """That of the first control tag: one that follows is its companion."""
    config = parse_labeling_config(entry["config"])
    relating = next(
        (tag for tag in config.controls if "marked" in entry and tag.tag == "Relations"), config.controls[0]
    )
    return bound_control(relating, config)


def shown_of(entry: dict[str, Any]) -> View:
    """What the control is told of the data."""
    if "marked" in entry:
        return View(Marked("", tuple(entry["marked"]), ()))
    if "size" in entry:
        film = Film(*entry["film"]) if "film" in entry else None
        return View(None, tuple(entry["size"]), entry.get("item"), film=film)
    if "audio" in entry["data"]:
        return View(None)  # times are seconds, whatever is heard
    tag, *_ = parse_labeling_config(entry["config"]).objects.values()
    [shown] = read_object(tag, {"data": entry["data"]}, no_fetch)
    return shown


def regions_of(entry: dict[str, Any], case: dict[str, Any]) -> list[dict[str, Any]]:
    """The region of a case; with a companion's label, two."""
    control = control_of(entry)
    if "relation" in case:
        return [{"type": "relation", **case["relation"]}]
    region = {
        "from_name": control.control_tag.name,
        "to_name": "text",
        "type": case.get("type", control.tag.lower()),
        "value": case["value"],
        **entry.get("facts", {}),
        **case.get("facts", {}),
    }
    if "names" not in case:
        return [region]
    assert control.companion is not None
    region["id"] = "r"
    named = {**case["value"], "labels": [case["names"]]}
    return [region, {**region, "from_name": control.companion.name, "type": "labels", "value": named}]


def joined_of(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The regions that a relation joins."""
    value = {"start": 0, "end": 3, "text": "Ada", "labels": ["X"]}
    return [{"id": id, "from_name": "l", "to_name": "text", "type": "labels", "value": value} for id in entry["marked"]]


def values_of(entry: dict[str, Any], means: list[Any] | None) -> tuple[Any, ...] | None:
    make = control_of(entry).value_type
    if means is None:
        return None
    facts: dict[str, Any] = {}
    if "size" in entry:
        facts = {"aspect": entry["size"][0] / entry["size"][1], "item": entry.get("item") or 0}
    return tuple(msgspec.convert({**facts, **m}, make, strict=False) if isinstance(m, dict) else make(m) for m in means)


def without_ids(regions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is the same id must be the same id; which one it is, prediction decides."""
    ids = {region.get("id") for region in regions}
    assert len(ids) == 1 or None in ids
    return [{key: value for key, value in region.items() if key != "id"} for region in regions]


@pytest.mark.parametrize("tag", CONTROLS)
def test_every_control_has_good_and_bad_regions(tag):
    found = json.loads((FOLDER / f"{tag.lower()}.json").read_text(encoding="utf-8"))
    assert any(entry["good"] for entry in found)
    assert any(entry["bad"] for entry in found)


@pytest.mark.parametrize(("entry", "case"), entries("good"))
def test_a_good_region_passes_and_is_what_its_values_are_written_as(entry, case):
    control = control_of(entry)
    regions = regions_of(entry, case)
    values = values_of(entry, case["means"])
    assert [control.check(region, entry["data"]) for region in regions] == [None] * len(regions)
    shown = shown_of(entry)
    assert control.decode(regions, shown).values == values
    assert without_ids(control.encode(values, "text", shown)) == without_ids(regions)
    assert tuple(control.select(control.possible(values, entry["data"]), lambda _label: 0.9)) == values


@pytest.mark.parametrize(("entry", "case"), entries("bad"))
def test_a_bad_region_is_named_in_a_sentence_and_means_what_can_be_read_of_it(entry, case):
    control = control_of(entry)
    regions = regions_of(entry, case)
    assert control.check(regions[0], entry["data"]) == case["says"]
    assert control.decode(regions, shown_of(entry)).values == values_of(entry, case["means"])


@pytest.mark.studio
def test_label_studios_own_validator_accepts_and_refuses_what_the_fixtures_say():
    # It knows no paths of nested choices, which the editor writes and selects: a good region may say so by `judge`.
    asked = [
        (kind, parameters, parameters.values[1].get("judge", "accepts"))
        for kind in ("good", "bad")
        for parameters in entries(kind)
    ]
    cases = []
    for _kind, parameters, _expected in asked:
        entry, case = parameters.values
        result = [{"id": "a", **region} for region in regions_of(entry, case)]
        if "marked" in entry:
            result = [*joined_of(entry), *regions_of(entry, case)]
        cases.append((entry["config"], {"result": result, "score": 0.5}))
    found = {}
    expected = {}
    for (kind, parameters, verdict), errors in zip(asked, verdicts(cases), strict=True):
        expected[kind, parameters.id] = verdict
        found[kind, parameters.id] = "refuses" if errors else "accepts"
    assert found == expected
