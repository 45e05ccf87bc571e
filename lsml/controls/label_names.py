"""The labels of a control tag by all names that annotations may use for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from lsml.labeling.remarks import Reason, Remark

Name = str | tuple[str, ...]  # or, in a tree, the path of names from the root down


class LabelNames:
    """Names, or paths of names, and their labels. `former`: the same for former names."""

    def __init__(self, labels: Mapping[Any, str], former: Mapping[Any, str] = MappingProxyType({})) -> None:
        self._former: dict[Name, str] = {name: label for name, label in former.items() if name not in labels}
        self._labels: dict[Name, str] = dict(labels)
        folded: dict[Name, set[str]] = {}
        for name, label in self._labels.items():
            folded.setdefault(_folded(name), set()).add(label)
        # Labels that differ only in capitals keep them apart.
        self._by_folded: dict[Name, str] = {name: min(found) for name, found in folded.items() if len(found) == 1}

    def __contains__(self, name: object) -> bool:
        return name in self._labels or name in self._former

    def find(self, name: Name, remarks: list[Remark]) -> str | None:
        """Return the label of that name; else, with a remark, the one with that former name, or the only one that differs
        just in capitals; else None.
        """
        label = self._labels.get(name)
        if label is not None:
            return label
        reason, label = Reason.RENAMED, self._former.get(name)
        if label is None:
            reason, label = Reason.OTHER_CAPITALS, self._by_folded.get(_folded(name))
        if label is not None:
            written = name if isinstance(name, str) else " > ".join(name)
            remarks.append(Remark(reason, f"`{written}` is read as `{label}`"))
        return label


def _folded(name: Name) -> Name:
    return name.casefold() if isinstance(name, str) else tuple(part.casefold() for part in name)


def distinct(labels: Sequence[str]) -> list[str]:
    """Return each label once, in order."""
    return list(dict.fromkeys(labels))
