"""The section `server` of a recipe: where lsml listens, who may ask, and how much. And how structs hide their secrets."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, field

from lsml.recipe.quantities import SIZE, Size, duration, in_bytes, size

_SEGMENT: Final = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+"


class Masked(msgspec.Struct, frozen=True):
    """A struct whose repr shows `***` instead of its secrets."""

    def _hidden(self) -> frozenset[str]:
        return frozenset()

    def __rich_repr__(self) -> list[tuple[str, object]]:
        hidden = self._hidden()
        pairs = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, "***" if name in hidden and value is not None else value) for name, value in pairs]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits, so that no request takes the memory, time or disk space of the others."""

    body: Annotated[Size, size("The largest request.")] = "100MB"
    tasks: Annotated[int, Meta(ge=1, le=1_000_000, description="The most tasks of one request to /predict.")] = 10_000
    time_s: Annotated[
        float,
        duration(
            1,
            "A longer request to /predict returns the predictions made so far, and none for the other tasks; "
            "Label Studio itself gives up after 100 s.",
        ),
    ] = field(default=60.0, name="time")
    waiting: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="The most requests that wait to be answered; with so many, further ones to /predict are refused with "
            "status 503 and Retry-After. Webhooks never are.",
        ),
    ] = 64
    text: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000_000,
            description="The most characters of a task's text; a task with more gets no prediction.",
        ),
    ] = 1_000_000
    labels: Annotated[
        int, Meta(ge=1, le=1_000_000, description="The most labels of one labeling config that Label Studio sends.")
    ] = 20_000
    annotations: Annotated[
        int,
        Meta(
            ge=1, le=1_000_000_000,
            description="The most annotations of one project; further ones are refused with status 507.",
        ),
    ] = 1_000_000  # fmt: skip
    free_disk: Annotated[
        Annotated[int, Meta(ge=0, le=10**15)] | Annotated[str, Meta(pattern=SIZE)],
        size(
            "With less free space on the data directory's disk, annotations are refused with status 507 and trainings fail."
        ),
    ] = "100MB"

    @property
    def body_bytes(self) -> int:
        """The largest request, in bytes."""
        return in_bytes(self.body)

    @property
    def free_disk_bytes(self) -> int:
        """The bytes that must stay free on the disk."""
        return in_bytes(self.free_disk)


class User(Masked, frozen=True, forbid_unknown_fields=True):
    """A person who may use the page and the API."""

    password: Annotated[str, Meta(min_length=1, description="The password of this user.", extra={"decides": "secret"})]
    role: Annotated[
        Literal["reader", "owner"],
        Meta(
            description=(
                "A reader may see pages and try the model; an owner may also promote, train, publish, review and cancel."
            )
        ),
    ] = "reader"

    def _hidden(self) -> frozenset[str]:
        return frozenset({"password"})


class Server(Masked, frozen=True, forbid_unknown_fields=True):
    """The address of lsml, and who has access."""

    host: Annotated[str, Meta(min_length=1, description="The address to listen on; 0.0.0.0 for every network.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535, description="The port to listen on; 0 takes a free one.")] = 9090
    username: Annotated[
        str | None, Meta(description="The user name that requests must have, with the password (basic auth).")
    ] = None
    password: Annotated[
        str | None, Meta(description="The password of that user name.", extra={"decides": "secret"})
    ] = None
    users: Annotated[
        dict[
            Annotated[
                str,
                Meta(
                    pattern=r"^[^:\s]+$(?!\n)",
                    extra_json_schema={"errorMessage": "expected a name without spaces or colons"},
                ),
            ],
            User,
        ],
        Meta(
            description="People beside `username`, by name: `{ana: {password: ..., role: owner}}`. Each may use the page and "
            "the API with a password of their own, and the audit log says who did what."
        ),
    ] = {}
    secret_path: Annotated[
        Annotated[str, Meta(pattern=rf"^/*{_SEGMENT}(?:/{_SEGMENT})*/*$(?!\n)")] | None,
        Meta(
            description="A prefix of every path that only Label Studio knows. It also protects the webhook, which "
            "has no password.",
            extra={"decides": "secret"},
            extra_json_schema={"errorMessage": "expected letters, digits, `-`, `_`, `.` or `~`, and `/` between them"},
        ),
    ] = None

    hosts: Annotated[
        list[
            Annotated[
                str,
                Meta(
                    pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$(?!\n)",
                    extra_json_schema={
                        "errorMessage": "expected the name of a host, such as lsml.example.com, without http://, port or path"
                    },
                ),
            ]
        ],
        Meta(
            description="Host names with dots, such as `lsml.example.com`, that requests may use. IP addresses, "
            "`localhost` and names without dots are always allowed; with a password or a secret path any name is."
        ),
    ] = []
    processes: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="The number of processes that answer requests at one port, each with a copy of every model: for models "
            "that compute in Python, which uses one core for each process. Not on Windows.",
        ),
    ] = 1
    cache: Annotated[
        Annotated[int, Meta(ge=0, le=10**15)] | Annotated[str, Meta(pattern=SIZE)],
        size("The memory for what models answered, so that an equal task is not computed again; 0 for none."),
    ] = "64MB"
    gather_s: Annotated[
        float,
        duration(
            0,
            "How long a request of a few tasks waits at most while its model computes another one, to be predicted "
            "together with those that wait beside it; 0: never. Where a model gains nothing, none waits.",
        ),
    ] = field(default=0.1, name="gather")
    limits: Annotated[Limits, Meta(description="The limits of requests and storage.")] = Limits()

    @property
    def cache_bytes(self) -> int:
        """The bytes of the prediction cache."""
        return in_bytes(self.cache)

    def _hidden(self) -> frozenset[str]:
        return frozenset({"password", "secret_path"})
