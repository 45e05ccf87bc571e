"""Tasks in, predictions out: asks the bound models, and writes what annotators would see."""

from __future__ import annotations

from lsml.prediction.predict import Outcome, predict_in_time, predict_tasks

__all__ = [
    "Outcome",
    "predict_in_time",
    "predict_tasks",
]
