"""tracker: follows what a person marked in one frame of a video through the rest, with OpenCV and without weights."""

from lsml.adapters.image.tracker.adapter import Tracker

__all__ = ["Tracker"]
