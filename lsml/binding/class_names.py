"""The class names of a pretrained model, translated to the labels of a labeling config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from lsml.adapters.base import Adapter, Target
from lsml.controls.base import Control
from lsml.recipe import Model
from lsml.values import Choice, Value, kind_of, label_of


@dataclass(frozen=True)
class ClassNames:
    """An adapter's own class names, and the labels of its controls that they stand for."""

    spec: Model
    adapter_class: type[Adapter]
    controls: tuple[Control, ...]
    target: Target

    @cached_property
    def translation(self) -> dict[str, dict[str, str]]:
        """By kind of value: a pretrained model's class names, casefolded -> labels of the config."""
        kinds: dict[str, dict[str, str]] = {}
        for control in self.controls:
            names = kinds.setdefault(kind_of(control.value_type), {})
            for label in (control.companion or control.control_tag).labels:
                stored = control.name_of(label)
                if stored not in control.labels:
                    continue
                classes = self.spec.labels.get(stored, self.spec.labels.get(label.value))
                for name in classes or label.predicted_values or (stored, label.value):
                    names.setdefault(name.casefold(), stored)
        return kinds

    @cached_property
    def known(self) -> dict[str, tuple[str, ...]]:
        """The adapter's own class names at the start, by kind of value, where they are known."""
        return self.adapter_class.class_names(self.spec.options, self.target)

    def meanings(self, control: Control) -> dict[str, tuple[str, ...]]:
        """Return for each label of a control the adapter's initial classes that stand for it."""
        kind = kind_of(control.value_type)
        translation = self.translation.get(kind, {})
        found: dict[str, list[str]] = {label: [] for label in control.labels}
        for name in self.known.get(kind, ()):
            label = translation.get(name.casefold())
            if label in found:
                found[label].append(name)
        return {label: tuple(names) for label, names in found.items()}

    @cached_property
    def meaningless(self) -> bool:
        """True if none of the adapter's initial classes maps to a label of its controls."""
        named = [control for control in self.controls if self.known.get(kind_of(control.value_type))]
        if not named or self.target.open or any(not control.labels for control in self.controls):
            return False
        return not any(names for control in named for names in self.meanings(control).values())

    @cached_property
    def former(self) -> dict[str, str]:
        """Former names -> labels; a name that is a label today stays that label."""
        tags = {control: control.companion or control.control_tag for control in self.controls}
        had = {
            old: control.name_of(label) for control, tag in tags.items() for label in tag.labels for old in label.was
        }
        return {
            old: label for old, label in had.items() if old not in self.target.labels and label in self.target.labels
        }

    def _renamed(self, values: Sequence[Value]) -> Sequence[Value]:
        """Return the values of a version that learnt former names, with today's; where it learnt both names of a label,
        their sum.
        """
        if not any(label_of(value) in self.former for value in values):
            return values
        choices: dict[str, float | None] = {}
        others: list[Value] = []
        for value in values:
            name = label_of(value) or ""
            label = self.former.get(name, name)
            if isinstance(value, Choice):
                before = choices.get(label)
                choices[label] = (
                    value.score if before is None or value.score is None else min(1.0, before + value.score)
                )
            else:
                others.append(value if label == name else msgspec.structs.replace(value, label=label))
        return [Choice(label, score) for label, score in choices.items()] + others

    def translate(self, values: Sequence[Value], adapter: Adapter) -> Sequence[Value]:
        """Return values with labels of the config, where `adapter` has its own names; classes without a label are dropped.

        Where several classes stand for one choice, their probabilities add up if one label holds, else the highest
        counts.
        """
        if not adapter.own_names:
            return self._renamed(values) if self.former else values
        merged: dict[str, float | None] = {}
        others: list[Value] = []
        for value in values:
            given = label_of(value)
            if given is None:
                others.append(value)
                continue
            names = self.translation.get(kind_of(type(value)), {})
            # Options that come with a task are not known here; the control selects those of the task.
            label = names.get(given.casefold(), given if self.target.open else None)
            if label is None:
                # A tag without labels takes all values of a model, whatever their class.
                if not names:
                    others.append(msgspec.structs.replace(value, label=""))
                continue
            if not isinstance(value, Choice):
                others.append(msgspec.structs.replace(value, label=label))
                continue
            before = merged.get(label)
            if before is None or value.score is None:
                merged[label] = value.score
            else:
                both = max(before, value.score) if self.target.multiple else min(1.0, before + value.score)
                merged[label] = both
        return [Choice(label, score) for label, score in merged.items()] + others
