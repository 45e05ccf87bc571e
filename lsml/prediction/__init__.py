"""Prediction. In: tasks and bound models; out: predictions with the regions that annotators would see."""

from __future__ import annotations

from lsml.prediction.cache import PredictionCache
from lsml.prediction.gathering import Gathering
from lsml.prediction.orders import diverse_order, task_features, typical_order
from lsml.prediction.outcomes import Outcome
from lsml.prediction.predict import HELD_OUT, LATE, Predictor, Speed, predict_in_time, predict_tasks

__all__ = [
    "HELD_OUT",
    "LATE",
    "Gathering",
    "Outcome",
    "PredictionCache",
    "Predictor",
    "Speed",
    "diverse_order",
    "predict_in_time",
    "predict_tasks",
    "task_features",
    "typical_order",
]
