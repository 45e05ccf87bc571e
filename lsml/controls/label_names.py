"""The labels of a control tag by every name that an annotation may call them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lsml.labeling.remarks import Reason, Remark

Name = str | tuple[str, ...]  # or, in a tree, the path of names from the root down


class LabelNames:
    """Names, or paths of names, and the labels that they mean."""

    def __init__(self, labels: Mapping[str, str] | Mapping[tuple[str, ...], str]) -> None:
        self._labels: dict[Name, str] = {name: label for name, label in labels.items()}  # noqa: C416
        folded: dict[Name, set[str]] = {}
        for name, label in self._labels.items():
            folded.setdefault(_folded(name), set()).add(label)
        # Two labels that differ by capitals alone are told apart by them.
        self._by_folded: dict[Name, str] = {name: min(found) for name, found in folded.items() if len(found) == 1}

    def __contains__(self, name: object) -> bool:
        return name in self._labels

    def find(self, name: Name, remarks: list[Remark]) -> str | None:
        """The label of that name; else the only one that differs by capitals alone, with a remark; else None."""
        label = self._labels.get(name)
        if label is None:
            label = self._by_folded.get(_folded(name))
            if label is not None:
                written = name if isinstance(name, str) else " > ".join(name)
                remarks.append(Remark(Reason.OTHER_CAPITALS, f"`{written}` is taken as `{label}`"))
        return label


def _folded(name: Name) -> Name:
    return name.casefold() if isinstance(name, str) else tuple(part.casefold() for part in name)


def distinct(labels: Sequence[str]) -> list[str]:
    """Each label once, in order."""
    return list(dict.fromkeys(labels))
