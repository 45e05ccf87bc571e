"""`<Pairwise>`: `{"selected": "left"}` or `"right"`, one of the two objects that `toName` names.

The editor has no tie: an annotator who selects neither gives no answer. https://labelstud.io/tags/pairwise
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from lsml.controls.base import Region
from lsml.controls.classes import ClassControl
from lsml.labeling import ControlTag
from lsml.labeling.remarks import Remark
from lsml.wording import JSON

SIDES: Final = ("left", "right")


class Pairwise(ClassControl):
    """The better one of two objects: the label `left` stands for the first that `toName` names, `right` for the second."""

    tag: ClassVar[str] = "Pairwise"
    objects: ClassVar[frozenset[str] | None] = frozenset({"Text", "HyperText", "Paragraphs", "Chat", "Image"})
    compares: ClassVar[bool] = True

    def __init__(
        self, control_tag: ControlTag, companion: ControlTag | None = None, text_tag: ControlTag | None = None
    ) -> None:
        super().__init__(control_tag, companion, text_tag)
        self.labels = SIDES

    @classmethod
    def refusal(cls, control_tag: ControlTag) -> str | None:
        """Return that it must compare two different objects, where it does not; or None."""
        if len(set(control_tag.to_names)) != 2 or len(control_tag.to_names) != 2:
            return f'{control_tag.selector} compares two objects; write toName="first,second"'
        return super().refusal(control_tag)

    def allowed(self, data: Mapping[str, object]) -> Mapping[str, object] | None:
        """Return both sides."""
        return dict.fromkeys(SIDES)

    def _written(self, labels: Sequence[str]) -> dict[str, object]:
        return {"selected": labels[0]}

    def check(self, region: Region, data: Mapping[str, object]) -> str | None:
        """Return the error in a region, in a sentence, or None."""
        value = self._value(region)
        if value is None:
            return self._form_problem(region)
        selected = value.get("selected")
        if selected not in SIDES:
            return f'{self.control_tag.selector}: value.selected is {JSON.shown(selected)}; expected "left" or "right"'
        return None

    def _answers(self, value: Mapping[str, object]) -> list[object]:
        selected = value.get("selected")
        return [] if selected is None else [selected]

    def _label(self, answer: object, remarks: list[Remark]) -> str | None:
        return answer if isinstance(answer, str) and answer in SIDES else None
