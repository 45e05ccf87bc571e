"""An endpoint: its path, its view, and what that takes and gives, from which `/openapi.json` is made."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NewType

import msgspec
from flask import Response

Media = NewType("Media", str)  # what is no JSON: its media type
PAGE = Media("text/html")


@dataclass(frozen=True)
class Route:
    """One endpoint. `path` is as Flask has it: `/projects/<project>`.

    `gives`: the type of the answer, which msgspec encodes, or its media type. `takes`: that of a POST's body; of a GET the
    members of the query. `statuses`: those besides 200 with which the answer is of this type. `is_open`: it needs no password.
    """

    method: Literal["GET", "POST"]
    path: str
    view: Callable[..., Response]
    gives: Any
    takes: type[msgspec.Struct] | None = None
    statuses: tuple[int, ...] = ()
    is_open: bool = False

    @property
    def summary(self) -> str:
        """Return the first sentence of what the view says of itself."""
        view = self.view.func if isinstance(self.view, partial) else self.view
        said = " ".join((inspect.getdoc(view) or "").split())
        return re.split(r"(?<=[.;:]) ", said, maxsplit=1)[0]
