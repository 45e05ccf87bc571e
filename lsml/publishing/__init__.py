"""A served version and a project of Label Studio in, a prediction of that version on every task that waits for people out."""

from lsml.publishing.patience import Patience
from lsml.publishing.prepare import prepared, submitting
from lsml.publishing.publish import Inputs, Published, publish
from lsml.publishing.submit import Submitted, Submitting, submit, undo

__all__ = [
    "Inputs",
    "Patience",
    "Published",
    "Submitted",
    "Submitting",
    "prepared",
    "publish",
    "submit",
    "submitting",
    "undo",
]
