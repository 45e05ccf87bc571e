"""The bodies of requests and answers, as `/openapi.json` shows them; a view's `Route` names its own.

Requests are read leniently, as Label Studio sends them, and refused with lsml's own messages. Answers are these structs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lsml.doctor.findings import Finding
from lsml.learning.agreement import Annotator, ControlAgreement
from lsml.learning.corrections import Corrections
from lsml.store import Action as Done
from lsml.store import RunLine

ProjectKey = Annotated[
    Annotated[str, Meta(min_length=1, max_length=200)] | int,
    Meta(description='Label Studio\'s own key of a project, `"<id>.<created>"`, or its number.'),
]
Config = Annotated[str | None, Meta(description="A labeling config's XML.")]
Action = Annotated[
    str,
    Meta(
        min_length=1,
        extra_json_schema={
            "anyOf": [{"enum": ["ANNOTATION_CREATED", "ANNOTATIONS_DELETED", "START_TRAINING"]}, {"minLength": 1}]
        },
    ),
]


class Error(msgspec.Struct):
    """The error of a refused request."""

    error: Annotated[str, Meta(description="The error, and what to do.")]


class Health(msgspec.Struct):
    """The sign that the server answers."""

    status: Literal["UP"]
    model_class: str
    recipe: str


class Readiness(msgspec.Struct):
    """The readiness of the server, with reasons if it is not ready."""

    ready: bool
    why_not: list[str]


class SetupBody(msgspec.Struct):
    """A project as Label Studio describes it."""

    project: ProjectKey | UnsetType = UNSET
    schema: Config = None
    hostname: str | None = None
    access_token: str | None = None
    extra_params: Any = None


class ModelVersion(msgspec.Struct):
    """The version of the predictions to come."""

    model_version: str


class Task(msgspec.Struct):
    """A task of Label Studio."""

    data: dict[str, Any]
    id: int | str | None = None


class PredictBody(msgspec.Struct):
    """Tasks to predict."""

    tasks: list[Task]
    project: ProjectKey | None = None
    label_config: Config = None
    model_version: Annotated[str | None, Meta(description="One of `/versions`; by default the promoted one.")] = None
    params: dict[str, Any] | None = None


class Predictions(msgspec.Struct):
    """A prediction for each task; an empty list for a task without a prediction."""

    results: list[dict[str, Any] | Annotated[list[Any], Meta(max_length=0)]]
    why_not: Annotated[
        list[str] | UnsetType, Meta(description="Why tasks have no prediction; absent if all have one.")
    ] = UNSET
    label_scores: Annotated[
        list[dict[str, dict[str, float]]] | UnsetType,
        Meta(
            description="With `label_scores: true` in `params`, for each task the score of each label of choices, by "
            "control, highest first."
        ),
    ] = UNSET


class WebhookProject(msgspec.Struct):
    """The project of an event."""

    id: int
    created_at: str | UnsetType = UNSET


class WebhookAnnotation(msgspec.Struct):
    """The annotation of an event."""

    id: int
    result: list[dict[str, Any]]
    task: int | UnsetType = UNSET


class WebhookBody(msgspec.Struct):
    """An event of Label Studio."""

    action: Action
    project: WebhookProject
    task: Task | UnsetType = UNSET
    annotation: WebhookAnnotation | UnsetType = UNSET


class Heard(msgspec.Struct):
    """The effect of an event."""

    status: str
    changed: int | UnsetType = UNSET
    job: str | UnsetType = UNSET
    action: str | UnsetType = UNSET


class TrainBody(msgspec.Struct):
    """The project to train."""

    project: ProjectKey | UnsetType = UNSET


class Started(msgspec.Struct):
    """The requested training run."""

    status: str
    job: str | UnsetType = UNSET


class JobBody(msgspec.Struct):
    """The id of a training run."""

    job: str


class RunLog(msgspec.Struct):
    """The newest lines that a run logged, oldest first."""

    lines: list[RunLine]


class Run(msgspec.Struct):
    """A run, with the states that Label Studio names."""

    job: str
    kind: Literal["training", "publishing", "review"]
    job_status: Literal["queued", "started", "finished", "failed", "canceled"]
    project: str
    cause: str
    attempt: int
    progress: Annotated[float, Meta(ge=0, le=1)]
    message: str
    error: str | None
    version: int | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    seconds_left: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="An estimate, from the progress so far.")
    ]


class OfProject(msgspec.Struct):
    """The key of a project; by default all projects."""

    project: str | UnsetType = UNSET


class ProjectVersions(msgspec.Struct):
    """The model versions of one project."""

    project: str
    title: str
    model_version: str
    versions: list[str]


class Versions(msgspec.Struct):
    """The model versions, of all projects and of each."""

    versions: list[str]
    projects: list[ProjectVersions]


class ValidateBody(msgspec.Struct):
    """A labeling config."""

    config: str


class Validation(msgspec.Struct):
    """The result of binding the recipe to a labeling config."""

    valid: bool
    status: str
    bound: dict[str, str]
    unbound: list[str]
    warnings: list[str]


class DeleteBody(msgspec.Struct):
    """The project that Label Studio disconnects."""

    project: ProjectKey


class Deleted(msgspec.Struct):
    """The data that lsml keeps of a disconnected project."""

    status: str
    kept: str


class VersionShown(msgspec.Struct):
    """One version, with the content of its card."""

    version: int


class OutlookShown(msgspec.Struct):
    """The expected gain from more annotations."""

    prospect: str
    sentence: str
    curve: list[VersionShown]


class Published(msgspec.Struct):
    """The number of published predictions, and their version."""

    predictions: int
    model_version: str | None


class Project(msgspec.Struct):
    """A project: what is bound and served, its annotations, runs and versions."""

    project: str
    title: str
    address: Annotated[str | None, Meta(description="The project's address in Label Studio.")]
    model_version: str
    state: str
    unbound: list[str]
    warnings: list[str]
    annotations: int
    accepted_predictions: int
    changes_since_last_run: int
    changes_needed: int | None
    promoted: int | None
    reading_error: str | None
    outlook: OutlookShown
    versions: list[VersionShown]
    runs: list[Run]
    publishing: Run | None
    published: Published
    publishings: list[Run]
    reviews: list[Run]


class ProjectList(msgspec.Struct):
    """Every project of a recipe."""

    recipe: str
    projects: list[Project]


class PromoteBody(msgspec.Struct):
    """The version to serve."""

    version: int


class Accepted(msgspec.Struct):
    """The acceptance of a request that is carried out later."""

    status: str


class TwoVersions(msgspec.Struct):
    """The numbers of two versions."""

    new: str
    old: str


class SomeVersions(msgspec.Struct):
    """The numbers of two versions, each with a default."""

    new: str | UnsetType = UNSET
    old: str | UnsetType = UNSET


class OnePicture(msgspec.Struct):
    """The image of a task: the task's id, the name of the object tag, and the page of a list of images."""

    task: str
    object: str
    page: Annotated[str, Meta(pattern="^[0-9]{1,5}$")] = "0"


class PeopleShown(msgspec.Struct):
    """The annotators, their agreement, and their corrections of predictions."""

    annotators: list[Annotator]
    controls: list[ControlAgreement]
    corrections: Corrections


class Findings(msgspec.Struct):
    """The findings of `lsml doctor`."""

    findings: list[Finding]


class ActionList(msgspec.Struct):
    """People's actions on a project, newest first."""

    actions: list[Done]


class LeastSure(msgspec.Struct):
    """An unannotated task, with the score that Label Studio shows."""

    task: str
    score: float
    holds: str
    url: str | None


class SuspectShown(msgspec.Struct):
    """An annotation that is probably wrong."""

    task: str
    control: str
    given: str
    suggested: str
    quality: float
    confidence: float | None
    holds: str
    url: str | None


class ToLookAt(msgspec.Struct):
    """The least certain tasks, the number of unannotated tasks, and the last review."""

    least_sure: list[LeastSure]
    waiting: int
    unknown: Annotated[str | None, Meta(description="Why the least certain tasks are not known.")]
    tasks: int
    suspects: list[SuspectShown]
    notes: list[str]
    reviewed_at: float | None
    review: Run | None
