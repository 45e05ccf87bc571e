"""Tasks in, predictions out: asks the bound models, and writes what annotators would see."""

from __future__ import annotations

from lsml.prediction.predict import HELD_OUT, Outcome, predict_in_time, predict_tasks

__all__ = [
    "HELD_OUT",
    "Outcome",
    "predict_in_time",
    "predict_tasks",
]
