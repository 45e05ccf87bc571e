"""Remarks on annotations: regions that are left out, or read differently from how they are written, and the reason."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """The reason why a region, or a label of it, was left out or read differently. Its text is a name to count it by."""

    UNKNOWN_LABEL = "unknown label"
    NO_LABEL = "no label"
    TOO_MANY_LABELS = "too many labels"
    NOT_A_LIST = "not a list"
    NO_OFFSETS = "no offsets"
    OUT_OF_ORDER = "start after end"
    BEYOND_TEXT = "beyond the text"
    CONTRADICTS_TEXT = "disagrees with its text"
    OUTSIDE_IMAGE = "outside the image"
    NO_AREA = "no area"
    NO_NUMBER = "no number"
    NO_TIME = "no time"
    NO_DATE = "no date"
    OFF_SCALE = "off the scale"
    NO_TEXT = "no text"
    UNREADABLE_PIXELS = "unreadable brush"
    OTHER_TYPE = "another type"
    OTHER_CONTROL = "another control"
    NO_REGION = "not a region"
    OTHER_REGION = "another region"
    OTHER_MESSAGE = "another message"
    NOT_UNICODE = "not Unicode"
    ACCEPTED = "accepted prediction"
    SUBMITTED = "submitted"
    OTHER_ANNOTATOR = "another annotator"
    NO_TRUTH = "no ground truth"
    OTHER_CAPITALS = "other capitals"
    RENAMED = "former name"
    OTHER_KEY = "label under another key"
    OTHER_OFFSETS = "other offsets"

    @property
    def lost(self) -> bool:
        """True if something was left out; False if it was understood, though Label Studio writes it differently."""
        return self not in (Reason.OTHER_CAPITALS, Reason.RENAMED, Reason.OTHER_KEY, Reason.OTHER_OFFSETS)


# The reason, and what to do. `{subject}` is the subject of the remark.
_SENTENCES: dict[str, tuple[str, str]] = {
    Reason.UNKNOWN_LABEL: (
        "labelled {subject}, which is not in the labeling config",
        ("add it to the config or change the label"),
    ),
    Reason.NO_LABEL: ("drawn without a label", "give each a label"),
    Reason.TOO_MANY_LABELS: ("with {subject}; the first counts", 'write choice="multiple" or maxUsages in the tag'),
    Reason.NOT_A_LIST: ("their labels are {subject}", "expected a list of labels"),
    Reason.NO_OFFSETS: ("without offsets", "export them again, with their start and end"),
    Reason.OUT_OF_ORDER: ("they start at or after their end", "mark them anew"),
    Reason.BEYOND_TEXT: ("they end beyond the text", "is this the annotated text?"),
    Reason.CONTRADICTS_TEXT: ("their offsets mean {subject}", "was the text changed after the annotation?"),
    Reason.OUTSIDE_IMAGE: ("outside the image", "coordinates are percent of the image, from 0 to 100"),
    Reason.NO_AREA: ("they cover nothing", "draw them anew"),
    Reason.NO_NUMBER: ("{subject} instead of a number", "correct them in the export"),
    Reason.NO_TIME: ("{subject} instead of a time", "was the timeFormat changed after the annotation?"),
    Reason.NO_DATE: ("{subject} instead of a date or a time", "was the format changed after the annotation?"),
    Reason.OFF_SCALE: ("{subject} is not on the tag's scale", "annotate them again, or correct maxRating"),
    Reason.NO_TEXT: ("{subject} instead of a text", "correct them in the export"),
    Reason.UNREADABLE_PIXELS: ("{subject}", "export them again from Label Studio"),
    Reason.OTHER_TYPE: ("their type is {subject}", "was the config changed after the annotation?"),
    Reason.OTHER_CONTROL: ("from {subject}, which the labeling config lacks", "restore the control's old name"),
    Reason.NO_REGION: ("{subject} instead of a region", "correct them in the export"),
    Reason.OTHER_REGION: (
        "for a region that the model does not get",
        "`needs` names the tags of these regions, and their task's latest annotation has them",
    ),
    Reason.OTHER_MESSAGE: (
        "for a message that the model does not get",
        "it has those of the task's data, of the roles in `whenRole`",
    ),
    Reason.NOT_UNICODE: (
        "with half of a surrogate pair, which is not a character",
        "correct the task or its annotation",
    ),
    Reason.ACCEPTED: (
        "predictions that nobody opened or changed",
        "`training: {learn_from: {accepted: true}}` uses them, too",
    ),
    Reason.SUBMITTED: (
        "submitted by lsml itself",
        "lsml does not train on them unless a person changes them",
    ),
    Reason.OTHER_ANNOTATOR: (
        "by {subject}, who is excluded",
        "see `training.learn_from` of the recipe",
    ),
    Reason.NO_TRUTH: (
        "not marked as ground truth",
        "`training: {learn_from: {ground_truth: prefer}}` uses them, too",
    ),
    Reason.OTHER_CAPITALS: ("{subject}", "it is the only label that differs in upper and lower case"),
    Reason.RENAMED: ("{subject}", "the recipe says so under `was`"),
    Reason.OTHER_KEY: ("their labels are under {subject}", "another type's key"),
    Reason.OTHER_OFFSETS: ("their offsets are not those of Label Studio", "they were placed by their text"),
}


class Remark(NamedTuple):
    """One part of an annotation that was left out or read differently. `subject`: its short name, such as the label."""

    reason: Reason | str  # a text for data that could not be read
    subject: str = ""


class Misread(ValueError):
    """A region that cannot be understood."""

    def __init__(self, reason: Reason, subject: str = "") -> None:
        super().__init__(f"{reason}: {subject}" if subject else str(reason))
        self.remark = Remark(reason, subject)


def matter(reason: str, subject: str) -> tuple[str, str]:
    """Return the fault of regions, by the text of a Reason, and what to do."""
    phrase, fix = _SENTENCES[reason]
    return phrase.replace("{subject}", subject), fix


def lost(remarks: Iterable[Remark]) -> bool:
    """Return True if one of the remarks is about something that was left out."""
    return any(not isinstance(remark.reason, Reason) or remark.reason.lost for remark in remarks)
