"""The candidates for a version: the models that a training run fitted, and what they are judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lsml.adapters.base import Adapter
from lsml.binding import Binding, BoundModel
from lsml.labeling.objects import Fetch
from lsml.learning.snapshot import AnnotatedExample, Snapshot
from lsml.versions import Loaded, ModelCard


@dataclass(frozen=True)
class Fitted:
    """A trained model: its adapter, its card in the version's folder, and notes for people."""

    model: BoundModel
    adapter: Adapter
    card: ModelCard
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidates:
    """The candidates for a version: the models trained on `snapshot`, by key, saved in `directory`, and the promoted
    version with its folder, or None. None of them learnt `judged_tasks`; `moved_to_training` are held-out tasks that they did
    learn. `unloadable`: the number of a promoted version that cannot be loaded.
    """

    binding: Binding
    directory: Path
    fitted: Mapping[str, Fitted]
    snapshot: Snapshot
    moved_to_training: set[str]
    judged_tasks: Sequence[AnnotatedExample]
    fetch: Fetch
    promoted: tuple[Loaded, Path] | None = None
    unloadable: int | None = None

    @cached_property
    def served(self) -> dict[str, Adapter]:
        """The served adapter of each model of the binding; the starting point where none is served."""
        served = self.promoted[0].adapters if self.promoted else {}
        return {model.key: served.get(model.key) or model.new_adapter() for model in self.binding.models}

    def saved(self, key: str) -> ModelCard | None:
        """Return the served version's card of a model, or None."""
        card = self.promoted[0].card if self.promoted else None
        return card.models.get(key) if card else None
