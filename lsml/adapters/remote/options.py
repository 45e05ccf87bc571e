"""The options of `remote`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from lsml.adapters.base import MACHINE, PREDICTIONS
from lsml.adapters.parts.asking import Retries
from lsml.adapters.remote.paths import PATTERN

_Path = Annotated[str, Meta(pattern=PATTERN)]


def _where(what: str) -> Meta:
    return Meta(description=f"Path from there to {what}.", extra=PREDICTIONS)


class RemoteOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `remote`."""

    url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^/\s@]+(/\S*)?|.*\$\{.*)?$",  # or a variable of the environment
            description="The service's URL, for POST. No part of a task is added to it.",
            extra=PREDICTIONS,
        ),
    ] = ""
    protocol: Annotated[
        Literal["http", "label-studio"],
        Meta(
            description="http: any service, as the options below say; label-studio: another ML backend of Label Studio, "
            "which gets the tasks at `url`/predict.",
            extra=PREDICTIONS,
        ),
    ] = "http"
    send: Annotated[
        Literal["json", "file"],
        Meta(
            description="json: the request below, for texts; file: the file's bytes, for sound and images.",
            extra=PREDICTIONS,
        ),
    ] = "json"
    request: Annotated[
        dict[str, Any],
        Meta(description="The JSON to send; `{text}` in its strings is the task's text.", extra=PREDICTIONS),
    ] = msgspec.field(default_factory=lambda: {"text": "{text}"})
    content_type: Annotated[
        str, Meta(description="The content type of a file.", extra=PREDICTIONS, pattern=r"^[\w.+-]+/[\w.+-]+$")
    ] = "application/octet-stream"
    headers: Annotated[
        dict[str, Annotated[str, Meta(pattern=r"^[^\r\n]*$")]],
        Meta(description="More headers, without secrets.", extra=PREDICTIONS),
    ] = {}
    authorization: Annotated[
        Annotated[str, Meta(pattern=r"^[^\r\n]*$")] | None,
        Meta(description="The Authorization header, as `Bearer ${MY_KEY}`.", extra={"decides": "secret"}),
    ] = None
    each: Annotated[
        _Path,
        Meta(
            description="The path of the values, such as `results[*]`; $: the whole answer.",
            extra=PREDICTIONS,
        ),
    ] = "$"
    label: Annotated[_Path, _where("its label, or to a class name that `labels` maps")] = "label"
    score: Annotated[_Path, _where("its score from 0 to 1, if there is one")] = "score"
    start: Annotated[_Path, _where("a span's first character, from 0")] = "start"
    end: Annotated[_Path, _where("the character after a span")] = "end"
    text: Annotated[_Path, _where("a text")] = "text"
    number: Annotated[_Path, _where("a number")] = "number"
    project: Annotated[
        str,
        Meta(
            description="label-studio: the project that the backend is told, such as `7.1795424700`, where it keeps "
            "models by project.",
            extra=PREDICTIONS,
        ),
    ] = "lsml"
    tasks: Annotated[
        int, Meta(ge=1, le=1000, description="label-studio: the most tasks of a request.", extra=MACHINE)
    ] = 16
    private: Annotated[
        bool, Meta(description="`true` allows a service at an address that is not public.", extra=MACHINE)
    ] = False
    timeout: Annotated[float, Meta(gt=0, le=600, description="The most seconds of an attempt.", extra=MACHINE)] = 30.0
    retries: Retries = 2
    concurrency: Annotated[int, Meta(ge=1, le=64, description="Requests at once.", extra=MACHINE)] = 4
