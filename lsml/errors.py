"""Every error that lsml raises on purpose, with the exit code of a command and the HTTP status of an answer.

    LsmlError                  1 / 500   something lsml names and explains
    ├── RecipeError            2 / 422   the recipe is wrong; carries every Problem at once
    ├── LabelingConfigError    2 / 400   the labeling config cannot be read
    ├── RequestError           2 / 400   a request or an input file is malformed
    │   ├── Unauthorized       2 / 401
    │   ├── Forbidden          2 / 403   a page of another site, or a name that is not lsml's
    │   ├── NotFound           2 / 404
    │   ├── TooLarge           2 / 413
    │   └── WrongType          2 / 415   a body that is not said to be JSON
    ├── AdapterError           1 / 500   an adapter cannot be had or broke its contract
    │   └── UnknownAdapter     2 / 422
    ├── NotEnoughData          1 / 409   too few examples to learn from; nothing is broken
    ├── Cancelled              1 / 409   a person cancelled the training run
    ├── FetchError             1 / 502   a task's URL could not be brought here
    ├── StudioError            1 / 502   Label Studio's own API refused or did not answer
    ├── StoreError             1 / 503   the data directory cannot be used
    │   ├── VersionError       1 / 503   a saved version is missing, changed or of another format
    │   └── NoRoom             1 / 507   a limit of the recipe: the disk, or a project's annotations
    └── PortInUse              1 / 500   another program listens there

The message is one sentence: where, what was found, what was expected, what to do. It never holds a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

_SHOWN: Final = 50  # problems; more than anybody corrects at once
_LONGEST: Final = 1000  # characters of a problem; a key or a value may have any number


class LsmlError(Exception):
    """Something went wrong that lsml can name; its text says what to do."""

    exit_code: ClassVar[int] = 1
    status: ClassVar[int] = 500


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in a file: `file:line:column: key: what is wrong; what to do`. Lines and columns count from 1."""

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
        # One problem is one physical line, whatever the recipe had in it.
        return where + "".join(c if c.isprintable() else " " for c in text)


class RecipeError(LsmlError):
    """A recipe is wrong. `problems` holds all of them in line order; the text is one line for each of the first fifty."""

    exit_code = 2
    status = 422

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.shown)))

    @property
    def shown(self) -> tuple[Problem, ...]:
        """The problems that the text tells: the first fifty, and where there are more, one that says how many."""
        if len(self.problems) <= _SHOWN:
            return self.problems
        more = f"and {len(self.problems) - _SHOWN:,} problems from here on; correct those above first"
        return (*self.problems[:_SHOWN], replace(self.problems[_SHOWN], key="", message=more))


class LabelingConfigError(LsmlError):
    """A labeling config cannot be read: not XML, too large, too deep.

    `what`: the sentence alone. `position`: line and column, from 1; None where it is about the whole. `source`: what people
    call the config, "labeling config" or its file.
    """

    exit_code = 2
    status = 400

    def __init__(self, what: str, position: tuple[int, int] | None = None, *, source: str = "labeling config") -> None:
        self.what = what
        self.position = position
        self.source = source
        place = f":{position[0]}:{position[1]}" if position else ""
        super().__init__(f"{source}{place}: {what}")

    def of(self, source: str) -> LabelingConfigError:
        """Return the same, said of a file."""
        return LabelingConfigError(self.what, self.position, source=source)


class RequestError(LsmlError):
    """A request or an input file does not have the form it must have."""

    exit_code = 2
    status = 400


class Unauthorized(RequestError):
    """The request's username and password are missing or wrong."""

    status = 401


class Forbidden(RequestError):
    """A browser asked for a page of another site, or a request is addressed to a name that is not lsml's."""

    status = 403


class NotFound(RequestError):
    """What was asked for does not exist."""

    status = 404


class TooLarge(RequestError):
    """The request is larger than the recipe allows."""

    status = 413


class WrongType(RequestError):
    """The request's body is not said to be JSON."""

    status = 415


class AdapterError(LsmlError):
    """An adapter cannot be had, or answered against its contract."""


class UnknownAdapter(AdapterError):
    """No installed package registers an adapter of that name."""

    exit_code = 2
    status = 422


class NotEnoughData(LsmlError):
    """Too few examples, or too few different ones, to learn from."""

    status = 409


class Cancelled(LsmlError):
    """Somebody cancelled this training run."""

    status = 409


class FetchError(LsmlError):
    """What a task's URL names could not be brought here. `passing`: it may be there in a moment."""

    status = 502
    reason: ClassVar[str] = "not fetched"  # a short, countable name

    def __init__(self, message: str, *, passing: bool = False) -> None:
        self.passing = passing
        super().__init__(message)


class StudioError(LsmlError):
    """Label Studio's own API refused, or did not answer."""

    status = 502


class StudioAway(StudioError):
    """Nobody answers at Label Studio's address, or it is too busy; it may later, after `wait_s` seconds where it said so.

    Whether what was asked happened is not known.
    """

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        self.wait_s = wait_s
        super().__init__(message)


class StudioMissing(StudioError):
    """Label Studio has nothing at what was asked for (status 404)."""


class StudioExists(StudioError):
    """Label Studio has what was to be made already (status 409)."""


class StudioRefused(StudioError):
    """Label Studio refused what was sent, for what it says itself (status 400 or 422)."""


class StoreError(LsmlError):
    """The data directory, or what it holds, cannot be used."""

    status = 503


class VersionError(StoreError):
    """A saved version is missing, was changed, or has another format."""


class NoRoom(StoreError):
    """The disk has less free than the recipe wants, or a project has as many annotations as it allows."""

    status = 507


class PortInUse(LsmlError):
    """Another program listens on the port."""
