"""`<Choices>`: `{"choices": ["Bug"]}`, one region with everything that is selected.

https://labelstud.io/tags/choices
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from lsml.controls.base import Region, shown
from lsml.controls.classes import ClassControl, listed
from lsml.controls.label_names import LabelNames
from lsml.labeling import ControlTag
from lsml.labeling.remarks import Remark
from lsml.labeling.view import View
from lsml.values import Value


class Choices(ClassControl):
    """One label (`choice="single"`, the default, or `single-radio`) or several (`choice="multiple"`) of a list."""

    tag: ClassVar[str] = "Choices"

    def __init__(self, control_tag: ControlTag, companion: ControlTag | None = None) -> None:
        super().__init__(control_tag, companion)
        # An older annotation may hold the value of a choice that has an alias now. A name wins over another's value.
        self._names = LabelNames(
            {label.value: label.name for label in control_tag.labels} | {name: name for name in self.labels}
        )
        self._own = dict.fromkeys(self.labels)

    @cached_property
    def multiple(self) -> bool:
        """Whether several labels may hold at once."""
        return self.control_tag.attributes.get("choice", "").lower() == "multiple"

    def allowed(self, data: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The labels of the config, and the task's own options."""
        return self._own | {path[-1]: None for path, _leaf in self._options(data)} if self.open else self._own

    def encode(self, values: Sequence[Value], to_name: str, on: View | None = None) -> list[Region]:
        """One region with all labels; its score is that of the least sure one."""
        labels, score = self._shown_labels(values)
        return [self._region({"choices": labels}, to_name, score)] if labels else []

    def check(self, region: Region, data: Mapping[str, Any]) -> str | None:
        """What is wrong with a region, in a sentence, or None."""
        value = self._value(region)
        if value is None:
            return self._form_problem(region)
        labels = value.get("choices")
        if not isinstance(labels, list):
            return f"{self.control_tag.selector}: value.choices is {shown(labels)}; expected a list of labels"
        for label in labels:
            if not isinstance(label, str):
                return f"{self.control_tag.selector}: value.choices holds {shown(label)}; expected labels as text"
        return self._answers_problem("choices", labels, data)

    def _answers(self, value: Mapping[str, Any]) -> list[Any]:
        return listed(value.get("choices"))

    def _label(self, answer: Any, remarks: list[Remark]) -> str | None:
        """The label that an answer names: a text, or with `allowNested` the path that ends in it."""
        names = [name for name in (reversed(answer) if isinstance(answer, list) else [answer]) if isinstance(name, str)]
        for name in names:
            if name in self._names or not self.open:
                label = self._names.find(name, remarks)
                if label is not None:
                    return label
            elif name:
                return name
        return None
