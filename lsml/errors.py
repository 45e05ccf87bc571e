"""Every error that lsml raises on purpose, with the exit code of a command and the HTTP status of a response.

    LsmlError                  1 / 500   an error with a sentence for people
    ├── RecipeError            2 / 422   the recipe is wrong; carries every Problem at once
    ├── LabelingConfigError    2 / 400   the labeling config cannot be read
    ├── RequestError           2 / 400   a request or an input file is malformed
    │   ├── Unauthorized       2 / 401
    │   ├── Forbidden          2 / 403   a page of another site, or an unknown host name
    │   ├── NotFound           2 / 404
    │   ├── TooLarge           2 / 413
    │   └── WrongType          2 / 415   a body without a JSON content type
    ├── AdapterError           1 / 500   an adapter cannot be used or broke its contract
    │   └── UnknownAdapter     2 / 422
    ├── NotEnoughData          1 / 409   too few examples to learn from; nothing is broken
    ├── Cancelled              1 / 409   a person cancelled the training run
    ├── FetchError             1 / 502   a task's URL could not be fetched
    ├── StudioError            1 / 502   Label Studio's own API refused or did not answer
    ├── Busy                   1 / 503   too many requests wait
    ├── StoreError             1 / 503   the data directory cannot be used
    │   ├── Unreachable        1 / 503   the database does not answer or takes no writes now
    │   ├── VersionError       1 / 503   a saved version is missing, changed or of another format
    │   └── NoRoom             1 / 507   a limit of the recipe: the disk, or a project's annotations
    └── PortInUse              1 / 500   another program listens there

The message is one sentence: where, what was found, what was expected, what to do. It never holds a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

_SHOWN: Final = 50  # problems shown at once
_LONGEST: Final = 1000  # characters of a problem, as a key or a value may be of any length


class LsmlError(Exception):
    """An error that lsml can explain; its text says what to do."""

    exit_code: ClassVar[int] = 1
    status: ClassVar[int] = 500
    retry_after_s: ClassVar[int | None] = None  # when another try may help


@dataclass(frozen=True, order=True)
class Problem:
    """One error in a file: `file:line:column: key: the error; what to do`. Lines and columns count from 1."""

    line: int
    column: int
    key: str
    message: str
    file: str = "recipe.yaml"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        text = f"{self.key}: {self.message}" if self.key else self.message
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
        # One problem is one physical line, even if the recipe's value has line breaks.
        return where + "".join(c if c.isprintable() else " " for c in text)


class RecipeError(LsmlError):
    """An invalid recipe. `problems` holds all errors in line order; the text is one line for each of the first fifty."""

    exit_code = 2
    status = 422

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.shown)))

    @property
    def shown(self) -> tuple[Problem, ...]:
        """The problems in the text: the first fifty, and if there are more, one with the number of the others."""
        if len(self.problems) <= _SHOWN:
            return self.problems
        more = f"and {len(self.problems) - _SHOWN:,} more problems; correct those above first"
        return (*self.problems[:_SHOWN], replace(self.problems[_SHOWN], key="", message=more))


class LabelingConfigError(LsmlError):
    """A labeling config that cannot be read: not XML, too large, too deep.

    `what`: the sentence alone. `position`: line and column, from 1; None where it is about the whole config. `source`:
    the config's name for people, "labeling config" or its file.
    """

    exit_code = 2
    status = 400

    def __init__(self, what: str, position: tuple[int, int] | None = None, *, source: str = "labeling config") -> None:
        self.what = what
        self.position = position
        self.source = source
        where = f":{position[0]}:{position[1]}" if position else ""
        super().__init__(f"{source}{where}: {what}")

    def of(self, source: str) -> LabelingConfigError:
        """Return the same error for a file."""
        return LabelingConfigError(self.what, self.position, source=source)


class RequestError(LsmlError):
    """A request or an input file with an invalid form."""

    exit_code = 2
    status = 400


class Unauthorized(RequestError):
    """A request whose username and password are missing or wrong."""

    status = 401


class Forbidden(RequestError):
    """A request of a browser for a page of another site, or to a host name that lsml does not accept."""

    status = 403


class NotFound(RequestError):
    """A request for something that does not exist."""

    status = 404


class TooLarge(RequestError):
    """A request that is larger than the recipe allows."""

    status = 413


class WrongType(RequestError):
    """A request whose body has no JSON content type."""

    status = 415


class AdapterError(LsmlError):
    """An adapter that cannot be used, or broke its contract."""


class UnknownAdapter(AdapterError):
    """The name of an adapter that no installed package registers."""

    exit_code = 2
    status = 422


class NotEnoughData(LsmlError):
    """Too few examples, or too few different ones, to learn from."""

    status = 409


class Cancelled(LsmlError):
    """A training run that somebody cancelled."""

    status = 409


class FetchError(LsmlError):
    """A task's URL that could not be fetched. `passing`: the failure is temporary."""

    status = 502
    reason: ClassVar[str] = "not fetched"  # a short name to count it by

    def __init__(self, message: str, *, passing: bool = False) -> None:
        self.passing = passing
        super().__init__(message)


class StudioError(LsmlError):
    """A refusal of Label Studio's own API, or no response."""

    status = 502


class StudioAway(StudioError):
    """No response from Label Studio, or it is too busy. It may respond after `wait_s` seconds, if it said so.

    It is unknown whether the request had an effect.
    """

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        self.wait_s = wait_s
        super().__init__(message)


class StudioMissing(StudioError):
    """A request for something that Label Studio does not have (status 404)."""


class StudioExists(StudioError):
    """A request to make something that Label Studio already has (status 409)."""


class StudioRefused(StudioError):
    """A request that Label Studio refused for its content (status 400 or 422)."""


class Busy(LsmlError):
    """A request that came while too many others waited."""

    status = 503
    retry_after_s = 5


class StoreError(LsmlError):
    """A data directory, or its content, that cannot be used."""

    status = 503


class Unreachable(StoreError):
    """A database that does not answer or takes no writes now, and may in a moment. It may have done what it was asked."""

    retry_after_s = 5


class VersionError(StoreError):
    """A saved version that is missing, was changed, or has another format."""


class NoRoom(StoreError):
    """A disk with less free space than the recipe wants, or a project with as many annotations as it allows."""

    status = 507


class PortInUse(LsmlError):
    """A port on which another program listens."""
