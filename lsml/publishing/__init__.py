"""Publishing. In: a served version and a project of Label Studio; out: a prediction on every unannotated task."""

from lsml.publishing.beginning import begin
from lsml.publishing.patience import Patience
from lsml.publishing.prepare import prepared, published_model, submitting
from lsml.publishing.publish import PublishInputs, PublishResult, publish, shares
from lsml.publishing.submit import Submitted, Submitting, submit, undo

__all__ = [
    "Patience",
    "PublishInputs",
    "PublishResult",
    "Submitted",
    "Submitting",
    "begin",
    "prepared",
    "publish",
    "published_model",
    "shares",
    "submit",
    "submitting",
    "undo",
]
