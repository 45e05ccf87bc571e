"""`<Taxonomy>`: `{"taxonomy": [["Animals", "Owl"]]}`, one region with the path from the root of each selected node.

A label is a path as `lsml.labeling.join_path` writes it. https://labelstud.io/tags/taxonomy
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar

from lsml.controls.base import Region
from lsml.controls.classes import ClassControl, former_paths, listed, task_options, value_paths
from lsml.controls.label_names import LabelNames
from lsml.labeling import ControlTag, Label, join_path, split_path
from lsml.labeling.remarks import Remark
from lsml.wording import JSON


class Taxonomy(ClassControl):
    """Nodes of a tree, inner ones too unless `leafsOnly`; several, unless `maxUsages="1"`."""

    tag: ClassVar[str] = "Taxonomy"

    def __init__(
        self, control_tag: ControlTag, companion: ControlTag | None = None, text_tag: ControlTag | None = None
    ) -> None:
        super().__init__(control_tag, companion, text_tag)
        selectable = [label for label in control_tag.labels if label.leaf or not self.leaves_only]
        self.labels = tuple(dict.fromkeys(self.name_of(label) for label in selectable))
        self._own = dict.fromkeys(self.labels)
        names = {label.path: self.name_of(label) for label in selectable}
        # An older annotation may hold the values of nodes that now have aliases. Names win over values.
        values = value_paths(control_tag.labels)
        former = {path: names[now] for path, now in former_paths(control_tag.labels).items() if now in names}
        self._names = LabelNames({values[path]: name for path, name in names.items()} | names, former)

    def name_of(self, label: Label) -> str:
        """Return the path of a node."""
        return join_path(label.path)

    @property
    def leaves_only(self) -> bool:
        """True if only nodes without children can be selected."""
        return self.control_tag.attributes.get("leafsOnly", "").lower() == "true"

    @cached_property
    def limit(self) -> int | None:
        """`maxUsages`; None where it is missing or no whole number above 0."""
        written = self.control_tag.attributes.get("maxUsages", "").strip()
        return int(written) if written.isascii() and written.isdigit() and len(written) < 10 and int(written) else None

    @cached_property
    def multiple(self) -> bool:
        """True if several labels may hold at once."""
        return self.limit != 1

    @property
    def open(self) -> bool:
        """True if the labels come with each task, or from `apiUrl`."""
        return super().open or self._remote

    @property
    def _remote(self) -> bool:
        return bool(self.control_tag.attributes.get("apiUrl"))

    def facts(self) -> dict[str, object]:
        """Return the facts of all classes, whether only leaves can be selected, and the source of a tree outside the config."""
        return super().facts() | {
            "leafs_only": self.leaves_only,
            "api_url": self.control_tag.attributes.get("apiUrl"),
        }

    def allowed(self, data: Mapping[str, object]) -> Mapping[str, object] | None:
        """Return the selectable nodes of the config and of the task's own tree; None where the tree is behind a URL."""
        if self._remote:
            return None
        if not self.open:
            return self._own
        options = (
            join_path(path) for path, leaf in task_options(self.control_tag, data) if leaf or not self.leaves_only
        )
        return self._own | dict.fromkeys(options)

    def _written(self, labels: Sequence[str]) -> dict[str, object]:
        return {"taxonomy": [list(split_path(label)) for label in labels]}

    def _answers(self, value: Mapping[str, object]) -> list[object]:
        return listed(value.get("taxonomy"))

    def _label(self, answer: object, remarks: list[Remark]) -> str | None:
        names = tuple(answer) if isinstance(answer, list) else (answer,)
        if not names or not all(isinstance(name, str) and name for name in names):
            return None
        if names in self._names or not self.open:
            return self._names.find(names, remarks)
        return join_path(names)

    def check(self, region: Region, data: Mapping[str, object]) -> str | None:
        """Return the error in a region, in a sentence, or None."""
        value = self._value(region)
        if value is None:
            return self._form_problem(region)
        selector, paths = self.control_tag.selector, value.get("taxonomy")
        if not isinstance(paths, list):
            return f"{selector}: value.taxonomy is {JSON.shown(paths)}; expected a list of paths"
        for path in paths:
            if not isinstance(path, list):
                return f"{selector}: value.taxonomy holds {JSON.shown(path)}; expected paths, each a list of names"
            if not path or not all(isinstance(name, str) and name for name in path):
                return f"{selector}: value.taxonomy holds a path without names; expected names from the root down"
        return self._answers_problem("taxonomy", [join_path(tuple(path)) for path in paths], data)
