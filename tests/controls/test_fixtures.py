"""Good and bad regions of every control, in `fixtures/<tag>.json`.

Each entry has a labeling config, a task's `data`, and regions: `value` (and `type`, else the tag's), what a person's
region of that kind `means` to us (of a value that is more than a label or a number: its fields), what our check `says`,
and whether label-studio-sdk's validator (`judge`) accepts or refuses it. Where it says `accepts` beside a sentence, we are stricter, because the editor would not show it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lsml.controls import CONTROLS, Control
from lsml.labeling import parse_labeling_config
from lsml.objects import read_object
from lsml.shown import Shown
from tests.fetching import no_fetch
from tests.judge import verdicts

FOLDER = Path(__file__).with_name("fixtures")


def entries(kind: str) -> list[Any]:
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        for entry in json.loads(path.read_text(encoding="utf-8")):
            for index, case in enumerate(entry[kind]):
                found.append(pytest.param(entry, case, id=f"{path.stem}-{entry['name'].replace(' ', '-')}-{index}"))
    return found


def control_of(entry: dict[str, Any]) -> Control:
    (control_tag,) = parse_labeling_config(entry["config"]).controls
    return CONTROLS[control_tag.tag](control_tag)


def shown_of(entry: dict[str, Any]) -> Shown:
    """What the control is told of the data."""
    (tag,) = parse_labeling_config(entry["config"]).objects.values()
    [shown] = read_object(tag, {"data": entry["data"]}, no_fetch)
    return shown


def region_of(entry: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    control = control_of(entry)
    return {
        "from_name": control.control_tag.name,
        "to_name": "text",
        "type": case.get("type", control.tag.lower()),
        "value": case["value"],
    }


def values_of(entry: dict[str, Any], means: list[Any] | None) -> tuple[Any, ...] | None:
    make = control_of(entry).value_type
    return None if means is None else tuple(make(**mean) if isinstance(mean, dict) else make(mean) for mean in means)


@pytest.mark.parametrize("tag", CONTROLS)
def test_every_control_has_good_and_bad_regions(tag):
    found = json.loads((FOLDER / f"{tag.lower()}.json").read_text(encoding="utf-8"))
    assert any(entry["good"] for entry in found)
    assert any(entry["bad"] for entry in found)


@pytest.mark.parametrize(("entry", "case"), entries("good"))
def test_a_good_region_passes_and_is_what_its_values_are_written_as(entry, case):
    control = control_of(entry)
    region = region_of(entry, case)
    values = values_of(entry, case["means"])
    assert control.check(region, entry["data"]) is None
    shown = shown_of(entry)
    assert control.decode([region], shown) == values
    assert control.encode(values, "text", shown) == [region]
    assert tuple(control.select(control.possible(values, entry["data"]), lambda _label: 0.9)) == values


@pytest.mark.parametrize(("entry", "case"), entries("bad"))
def test_a_bad_region_is_named_in_a_sentence_and_means_what_can_be_read_of_it(entry, case):
    control = control_of(entry)
    region = region_of(entry, case)
    assert control.check(region, entry["data"]) == case["says"]
    assert control.decode([region], shown_of(entry)) == values_of(entry, case["means"])


@pytest.mark.studio
def test_label_studios_own_validator_accepts_and_refuses_what_the_fixtures_say():
    asked = [(parameters, "accepts") for parameters in entries("good")]
    asked += [(parameters, parameters.values[1]["judge"]) for parameters in entries("bad")]
    cases = []
    for parameters, _expected in asked:
        entry, case = parameters.values
        cases.append((entry["config"], {"result": [{"id": "a", **region_of(entry, case)}], "score": 0.5}))
    found = {}
    expected = {}
    for (parameters, verdict), errors in zip(asked, verdicts(cases), strict=True):
        expected[parameters.id] = verdict
        found[parameters.id] = "refuses" if errors else "accepts"
    assert found == expected
