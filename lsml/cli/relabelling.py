"""The output of `lsml versions --labels`: the effect of a changed config or recipe on annotated labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lsml.binding.survey import LabelCounts, Survey


def told_survey(survey: Survey) -> list[str]:
    """Return lines for people: for each control the kept, renamed and dropped labels, each with its count and what to do."""
    lines = []
    for counts in survey.controls:
        renamed, dropped = sum(counts.renamed.values()), sum(counts.dropped.values())
        kept = sum(counts.labels.values()) - renamed
        lines.append(f"{counts.control}: {kept} kept, {renamed} renamed, {dropped} dropped")
        lines += [f"    {line}" for line in _details(counts)]
    for name, count in survey.others.items():
        lines.append(
            f"`{name}`: {count} dropped: the labeling config has no control of that name; restore the old name, or "
            "these annotations are not used"
        )
    return lines


def _details(counts: LabelCounts) -> Sequence[str]:
    lines = [f"{label}: {count}" for label, count in counts.labels.items()]
    lines += [f"renamed {count}: {said}" for said, count in _commonest(counts.renamed)]
    for name, count in _commonest(counts.dropped):
        near = f" (near: {', '.join(counts.near[name])})" if counts.near.get(name) else ""
        lines.append(
            f"dropped {count}: `{name}` is no longer a label of it{near}; if it was renamed, write `labels: {{LABEL: "
            f"{{was: [{name}]}}}}`"
        )
    return lines


def _commonest(counted: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counted.items(), key=lambda one: (-one[1], one[0]))
