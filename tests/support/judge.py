"""The outside judge: label-studio-sdk's own validator of predictions, in the environment of `tests.support.studio_venv`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from tests.support.studio_venv import studio_python

# Reads one JSON line for each verdict that is asked for, and writes all verdicts as one JSON list.
_PROGRAM = """
import json, sys
from label_studio_sdk.label_interface import LabelInterface

verdicts, interfaces = [], {}
for line in sys.stdin:
    config, prediction = json.loads(line)
    if config not in interfaces:
        interfaces[config] = LabelInterface(config)
    verdicts.append([str(error) for error in interfaces[config].validate_prediction(prediction, return_errors=True)])
json.dump(verdicts, sys.stdout)
"""


def verdicts(cases: Sequence[tuple[str, dict[str, Any]]]) -> list[list[str]]:
    """What the validator finds wrong with each (labeling config, prediction), in order; an empty list: accepted.

    One process for all cases, for it takes seconds to start.
    """
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    process = subprocess.run(
        [studio_python(), "-c", _PROGRAM], input=lines, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert process.returncode == 0, process.stderr
    found: list[list[str]] = json.loads(process.stdout)
    assert len(found) == len(cases)
    return found
