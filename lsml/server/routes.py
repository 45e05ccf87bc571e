"""An endpoint: its path, its view, and the types of its input and answer, from which `/openapi.json` is made."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NewType

import msgspec
from flask import Response

Media = NewType("Media", str)  # the media type of an answer that is not JSON
PAGE = Media("text/html")


@dataclass(frozen=True)
class Route:
    """One endpoint. `path` is as Flask has it: `/projects/<project>`.

    `gives`: the type of the answer, which msgspec encodes, or its media type. `takes`: the type of a POST's body, or of a
    GET's query. `statuses`: the codes besides 200 with an answer of this type. `is_open`: it needs no password.
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
        """The first sentence of the view's docstring."""
        view = self.view.func if isinstance(self.view, partial) else self.view
        said = " ".join((inspect.getdoc(view) or "").split())
        return re.split(r"(?<=[.;:]) ", said, maxsplit=1)[0]
