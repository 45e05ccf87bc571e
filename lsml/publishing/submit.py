"""Submitting: predictions that a version is sure of become annotations; people annotate a share of them as a check."""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from lsml.binding import Binding
from lsml.errors import FetchError, StudioMissing
from lsml.labeling import AnnotatedTask, Annotation
from lsml.labeling.objects import Fetch, Unreadable
from lsml.metrics import judge
from lsml.prediction import Outcome
from lsml.publishing.publish import PublishInputs
from lsml.recipe import Submit
from lsml.store import Store, Submission
from lsml.studio.annotations import AnnotationAuthor
from lsml.studio.predictions import OpenTask
from lsml.versions import data_hash

_PAGE = 100  # tasks between two checks of people's annotations
LEAST_AUDITED = 20  # annotations of people; with fewer the share of right ones says little
LEAST_CALIBRATED = 30  # held-out tasks; with fewer confidence is not calibrated
_RIGHT = 0.999  # a metric on one task from which it counts as right
_Z = 1.959964  # of a 95 % interval


class Precision(NamedTuple):
    """The audited tasks, those of them that people annotated as the version did, and a 95 % interval of the share
    (Wilson's).
    """

    right: int
    audited: int

    @property
    def share(self) -> float:
        """The share of right tasks; 1 if none was audited yet."""
        return self.right / self.audited if self.audited else 1.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share; 0 to 1 if none was audited yet."""
        if not self.audited:
            return 0.0, 1.0
        n, p = self.audited, self.share
        middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def below(self, bar: float) -> bool:
        """Return True if the share is below a bar: surely, or on enough audited tasks."""
        return self.interval[1] < bar or (self.audited >= LEAST_AUDITED and self.share < bar)

    def __str__(self) -> str:
        if not self.audited:
            return "nothing audited yet"
        low, high = self.interval
        return f"precision {self.share:.3f} ({low:.3f} to {high:.3f}) on {self.audited} audited"


@dataclass(frozen=True)
class Submitting:
    """The inputs of one submitting: a publishing's inputs, the store's project, the settings, and the annotator."""

    inputs: PublishInputs
    store: Store
    project: str
    settings: Submit
    annotator: AnnotationAuthor
    learnt: frozenset[bytes]  # hashes of the data that the version learnt, which does not calibrate it
    refresh: Callable[[], object] = lambda: None  # reads new annotations
    dry: bool = False


@dataclass
class Submitted:
    """The result of a submitting: tasks submitted, left to people for the audit, and not sure enough; and why it stopped."""

    submitted: int = 0
    audit: int = 0
    unsure: int = 0
    precision: Precision = field(default_factory=lambda: Precision(0, 0))
    calibrated: int = 0
    stopped: str | None = None
    dry: bool = False

    def __str__(self) -> str:
        would = "would submit" if self.dry else "submitted"
        on = f"calibrated on {self.calibrated} held-out tasks" if self.calibrated else "not calibrated"
        said = (
            f"{would} {self.submitted:,} tasks, left {self.audit:,} to people for the audit and {self.unsure:,} with "
            f"a lower confidence; confidence {on}; {self.precision}"
        )
        return f"{said}; stopped: {self.stopped}" if self.stopped else said


def submit(given: Submitting) -> Submitted:
    """Submit predictions that the version is sure of, until none is left or people's annotations show that it is not good
    enough.

    Each submission is stored before it is sent to Label Studio, and sent exactly once. Raises StudioError.
    """
    inputs, above = given.inputs, given.settings.above
    given.refresh()
    calibration = Calibration.of(given)
    done = Submitted(calibrated=calibration.tasks, dry=given.dry)
    _finish_begun(given)
    known = given.store.submissions.known(given.project)
    after = 0
    while True:
        given.refresh()
        done.precision = audited(given)
        if done.precision.below(above):
            done.stopped = f"the {done.precision} tasks is below {above:g}; check the differences, and train again"
            return done
        inputs.patience.check()
        page, total = inputs.patience.ask(partial(inputs.predictions.lacking, None, after, _PAGE))
        if not page:
            return done
        after = page[-1].id
        tasks = [task for task in page if str(task.id) not in known and not inputs.skip(str(task.id))]
        for task, confidence, result in _sure(inputs, tasks, calibration):
            if confidence < above:
                done.unsure += 1
            elif is_audited(str(task.id), given.settings.audit):
                done.audit += 1
                _submit(given, task, confidence, result, audit=True)
            else:
                done.submitted += 1
                _submit(given, task, confidence, result, audit=False)
        progress = done.submitted + done.audit + done.unsure
        inputs.progress(min(1.0, progress / max(1, total + progress)), f"submitted {done.submitted:,} tasks")


def undo(store: Store, project: str, annotator: AnnotationAuthor, told: Callable[[str], None]) -> int:
    """Delete every submission that nobody has changed, and end the audit. Return the number of deleted annotations."""
    deleted = 0
    for submission in store.submissions.of_project(project, audit=False):
        submission_id = submission.annotation
        if submission_id is None:  # it is unknown whether it reached Label Studio, so it is sent again
            try:
                submission_id = annotator.annotate(submission.task, submission.result, submission.unique_id)
            except StudioMissing:
                store.submissions.forget(project, submission.task)  # the task was deleted meanwhile
                continue
            store.submissions.made(project, submission.task, submission_id)
        if annotator.take_back(submission_id, submission.result):
            store.submissions.forget(project, submission.task)
            deleted += 1
        else:
            told(f"annotation {submission_id} of task {submission.task} stays: a person changed it")
    for submission in store.submissions.of_project(project, audit=True):
        store.submissions.forget(project, submission.task)
    return deleted


def is_audited(task: str, share: float) -> bool:
    """Return True if people annotate a task, by a hash of its id that differs from the hash for held-out tasks."""
    digest = hashlib.sha256(f"audit {task}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48 < share


def audited(given: Submitting) -> Precision:
    """Return how many of the audited tasks people annotated as this version would have.

    Answers of other versions do not count.
    """
    inputs = given.inputs
    left = given.store.submissions.of_project(given.project, audit=True)
    waiting = {one.task: one for one in left if one.version == inputs.model_version}
    if not waiting:
        return Precision(0, 0)
    right = total = 0
    for task in given.store.annotations.tasks(given.project):
        submission = waiting.get(task.id)
        if submission is None:
            continue
        guess = AnnotatedTask(task.id, task.data, (Annotation("0", submission.result),))
        agreed = agrees(inputs.binding, task, guess, inputs.fetch)
        if agreed is not None:
            total += 1
            right += agreed
    return Precision(right, total)


def agrees(binding: Binding, task: AnnotatedTask, guess: AnnotatedTask, fetch: Fetch) -> bool | None:
    """Return True if people annotated a task like `guess`, in each control; None where they did not."""
    truth = binding.learn(task, fetch).answers
    if not truth:
        return None
    guessed = binding.learn(guess, fetch, anyone=True).answers
    for name, answers in truth.items():
        control = binding.controls.get(name)
        if control is None:
            continue
        pairs = [(answer, (guessed.get(name) or [()])[0]) for answer in answers]
        value = judge(control.value_type, pairs)["value"]
        if value is not None and value < _RIGHT:
            return False
    return True


class Calibration:
    """A map from a model's confidence to the share of right answers at that confidence, measured on `tasks` held-out tasks."""

    def __init__(self, pairs: Sequence[tuple[float, bool]]) -> None:
        self.tasks = len(pairs) if len(pairs) >= LEAST_CALIBRATED else 0
        self._curve: Any = None
        if self.tasks:
            from sklearn.isotonic import IsotonicRegression

            # One more right and one more wrong prediction at the ends, because few predictions never prove a share of 0 or 1.
            seen = [*pairs, (0.0, False), (1.0, True)]
            self._curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
            self._curve.fit([confidence for confidence, _ in seen], [float(right) for _, right in seen])

    @classmethod
    def of(cls, given: Submitting) -> Calibration:
        """Return the calibration on annotated tasks that the version never learnt."""
        inputs = given.inputs
        pairs = []
        tasks = [
            task for task in given.store.annotations.tasks(given.project) if data_hash(task.data) not in given.learnt
        ]
        for begin in range(0, len(tasks), _PAGE):
            some = tasks[begin : begin + _PAGE]
            for task, outcome in zip(some, inputs.predict(some), strict=True):
                confidence = confidence_of(inputs.binding, outcome)
                if confidence is None or outcome.prediction is None:
                    continue
                guess = AnnotatedTask(task.id, task.data, (Annotation("0", outcome.prediction["result"]),))
                try:
                    right = agrees(inputs.binding, task, guess, inputs.fetch)
                except (FetchError, Unreadable):
                    continue
                if right is not None:
                    pairs.append((confidence, right))
        return cls(pairs)

    def __call__(self, confidence: float) -> float:
        """Return the calibrated confidence, in [0, 1]; with too few held-out tasks, the confidence itself."""
        return float(self._curve.predict([confidence])[0]) if self._curve is not None else confidence


def confidence_of(binding: Binding, outcome: Outcome) -> float | None:
    """Return a version's least confidence in its answers to a task; None where a control has none."""
    least = 1.0
    for name in binding.controls:
        scores = [getattr(value, "score", None) for value in outcome.values.get(name, ())]
        if not scores or any(score is None for score in scores):
            return None
        least = min(least, *(float(score) for score in scores if score is not None))
    return least


def _sure(
    inputs: PublishInputs, tasks: Sequence[OpenTask], calibration: Calibration
) -> Iterator[tuple[OpenTask, float, list[object]]]:
    """Yield each task with the calibrated confidence and the result of its annotation; 0 and an empty result without
    prediction.
    """
    for task, outcome in zip(tasks, inputs.predict(tasks), strict=True):
        confidence = confidence_of(inputs.binding, outcome)
        if confidence is None or outcome.prediction is None:
            yield task, 0.0, []
        else:
            yield task, calibration(confidence), outcome.prediction["result"]


def _submit(given: Submitting, task: OpenTask, confidence: float, result: list[object], *, audit: bool) -> None:
    if given.dry:
        return
    name = f"lsml {given.project} {task.id} {given.inputs.model_version}"
    submission = Submission(
        given.project, str(task.id), given.inputs.model_version, confidence, result, audit,
        unique_id=str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
    )  # fmt: skip
    given.store.submissions.add(submission)
    if not audit:
        _tell(given, submission)


def _tell(given: Submitting, submission: Submission) -> None:
    annotation = given.inputs.patience.ask(
        lambda: given.annotator.annotate(submission.task, submission.result, submission.unique_id)
    )
    given.store.submissions.made(given.project, submission.task, annotation)


def _finish_begun(given: Submitting) -> None:
    """Send submissions again that were stored by a killed process, as it is unknown whether Label Studio got them."""
    if given.dry:
        return
    for submission in given.store.submissions.of_project(given.project, audit=False):
        if submission.annotation is None:
            try:
                _tell(given, submission)
            except StudioMissing:
                given.store.submissions.forget(given.project, submission.task)  # the task was deleted meanwhile
