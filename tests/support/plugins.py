"""Adapters of tests, registered for one test as a plug-in's are, and small ones that several tests share."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import ClassVar

import msgspec
import pytest

import lsml.adapters
from lsml.adapters.base import Adapter, TrainableAdapter, silent
from lsml.adapters.text.classifier import TextClassifier
from lsml.values import Box

_registered = lsml.adapters._registrations


def register(monkeypatch: pytest.MonkeyPatch, *adapters: type[Adapter]) -> None:
    """Have the registry know these classes, beside those that are installed, until the test ends."""
    own = {
        adapter.name: (EntryPoint(adapter.name, f"{adapter.__module__}:{adapter.__name__}", lsml.adapters.GROUP),)
        for adapter in adapters
    }
    monkeypatch.setattr(lsml.adapters, "_registrations", lambda: {**_registered(), **own})


class SeenBoxes(TrainableAdapter):
    """Finds in every image the boxes of the last image that it learnt."""

    name = "seen-boxes"
    title = "finds the boxes that it saw last"
    consumes: ClassVar = frozenset({"Image"})
    produces: ClassVar = frozenset({Box})

    def __init__(self, options, target):
        super().__init__(options, target)
        self.boxes = None

    @property
    def ready(self):
        return self.boxes is not None

    def fit(self, examples, seed, progress=silent):
        self.boxes = [msgspec.structs.replace(value, score=0.9) for value in examples[-1].values]

    def predict(self, batch):
        return [list(self.boxes) for _ in batch] if self.ready else [[] for _ in batch]

    def save(self, directory):
        (directory / "boxes.json").write_bytes(msgspec.json.encode(self.boxes))

    def load(self, directory):
        self.boxes = msgspec.json.decode((directory / "boxes.json").read_bytes(), type=list[Box])


class SlowTopics(TextClassifier):
    """A text-classifier that says of itself that it does not learn quickly."""

    name = "slow-topics"
    learns_quickly = False
