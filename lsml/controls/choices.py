"""`<Choices>`: `{"choices": ["Bug"]}`, one region with all selected labels; with `allowNested` each is a path,
`{"choices": [["Animals", "Owl"]]}`. A label is then a path as `lsml.labeling.join_path` writes it.

https://labelstud.io/tags/choices
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, TypeGuard

from lsml.controls.base import Region
from lsml.controls.classes import ClassControl, former_paths, listed, task_options, value_paths
from lsml.controls.label_names import LabelNames
from lsml.labeling import ControlTag, Label, join_path, split_path
from lsml.labeling.remarks import Remark
from lsml.wording import JSON


class Choices(ClassControl):
    """One label (`choice="single"`, the default, or `single-radio`) or several (`choice="multiple"`) of a list."""

    tag: ClassVar[str] = "Choices"

    def __init__(
        self, control_tag: ControlTag, companion: ControlTag | None = None, text_tag: ControlTag | None = None
    ) -> None:
        super().__init__(control_tag, companion, text_tag)
        labels = control_tag.labels
        # An older annotation may hold the value of a choice that now has an alias. A name wins over another's value.
        former: dict[Any, str] = {name: self.name_of(label) for label in labels for name in label.was}
        if self.nested:
            values = value_paths(labels)
            named: dict[Any, str] = {values[label.path]: self.name_of(label) for label in labels}
            named |= {label.path: self.name_of(label) for label in labels}
            # A name without its parents is accepted where no other choice has it.
            counts = Counter(name for label in labels for name in {label.value, label.name})
            for label in labels:
                named |= {name: self.name_of(label) for name in (label.value, label.name) if counts[name] == 1}
            former |= {path: join_path(now) for path, now in former_paths(labels).items()}
        else:
            named = {label.value: label.name for label in labels} | {name: name for name in self.labels}
        self._names = LabelNames(named, former)
        self._own = dict.fromkeys(self.labels)

    @cached_property
    def nested(self) -> bool:
        """True if choices may be nested (`allowNested`). The editor then writes and shows a choice as its path of names;
        else it shows only the choices at the top.
        """
        return self.control_tag.attributes.get("allowNested", "").lower() == "true"

    @property
    def caution(self) -> str | None:
        """A warning that nested choices are not shown, where the tag does not allow them; or None."""
        if self.nested or all(len(label.path) < 2 for label in self.control_tag.labels):
            return None
        inner = next(label for label in self.control_tag.labels if len(label.path) > 1)
        return (
            f"{self.control_tag.selector}: Label Studio shows only its top-level choices, not "
            f'{JSON.shown(inner.value)} inside {JSON.shown(inner.path[-2])}; write allowNested="true"'
        )

    def name_of(self, label: Label) -> str:
        """Return the name of a choice; for a nested one its path, as two may have the same name under different parents."""
        return join_path(label.path) if self.nested and label.path else label.name

    def facts(self) -> dict[str, object]:
        """Return the facts of all classes, and whether labels are paths."""
        return super().facts() | ({"nested": True} if self.nested else {})

    @cached_property
    def multiple(self) -> bool:
        """True if several labels may hold at once."""
        return self.control_tag.attributes.get("choice", "").lower() == "multiple"

    def allowed(self, data: Mapping[str, object]) -> Mapping[str, object] | None:
        """Return the labels of the config, and the task's own options."""
        if not self.open:
            return self._own
        paths = (path for path, _leaf in task_options(self.control_tag, data))
        return self._own | {join_path(path) if self.nested else path[-1]: None for path in paths}

    def _written(self, labels: Sequence[str]) -> dict[str, object]:
        return {"choices": [list(split_path(label)) for label in labels] if self.nested else list(labels)}

    def check(self, region: Region, data: Mapping[str, object]) -> str | None:
        """Return the error in a region, in a sentence, or None."""
        value = self._value(region)
        if value is None:
            return self._form_problem(region)
        labels = value.get("choices")
        if not isinstance(labels, list):
            return f"{self.control_tag.selector}: value.choices is {JSON.shown(labels)}; expected a list of labels"
        expected = "paths, each a list of names" if self.nested else "labels as text"
        for label in labels:
            if not (_is_path(label) if self.nested else isinstance(label, str)):
                return f"{self.control_tag.selector}: value.choices holds {JSON.shown(label)}; expected {expected}"
        answered = [join_path(tuple(label)) if self.nested else label for label in labels]
        return self._answers_problem("choices", answered, data)

    def _answers(self, value: Mapping[str, Any]) -> list[Any]:
        answers = listed(value.get("choices"))
        if not self.nested:
            return answers
        # The editor adds a choice itself where all choices in it are selected.
        paths = [answer for answer in answers if _is_path(answer)]
        return [
            answer
            for answer in answers
            if not any(len(path) > len(answer) and path[: len(answer)] == answer for path in paths if _is_path(answer))
        ]

    def _label(self, answer: Any, remarks: list[Remark]) -> str | None:
        """Return the label of an answer, which is a name or a path of names."""
        if self.nested:
            name = tuple(answer) if _is_path(answer) else answer
            known = self._names.find(name, remarks) if isinstance(name, str | tuple) else None
            if known is None and self.open and name and isinstance(name, str | tuple):
                return join_path((name,) if isinstance(name, str) else name)
            return known
        names = [name for name in (reversed(answer) if isinstance(answer, list) else [answer]) if isinstance(name, str)]
        for name in names:
            if name in self._names or not self.open:
                label = self._names.find(name, remarks)
                if label is not None:
                    return label
            elif name:
                return name
        return None


def _is_path(answer: object) -> TypeGuard[list[str]]:
    return isinstance(answer, list) and bool(answer) and all(isinstance(name, str) and name for name in answer)
