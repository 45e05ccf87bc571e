"""The `storage:` part of a recipe: where annotations and versions are."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Meta

from lsml.recipe.draft import Draft
from lsml.recipe.server import Masked

_VARIABLES: Final = {
    "database": "LSML_DATABASE_PASSWORD",
    "queue": "LSML_QUEUE_PASSWORD",
}  # keys with addresses, and variables for their passwords


_Queue = Annotated[
    Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$(?!\n)",
            extra_json_schema={"errorMessage": "expected letters, digits, `_` or `-`, such as gpu"},
        ),
    ]
    | None,
    Meta(description="The workers that do runs of this kind; null: those without --queue."),
]


class Queues(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The classes of workers, by the kind of run: those that were started with `lsml work --queue NAME`."""

    training: _Queue = None
    publishing: _Queue = None
    review: _Queue = None

    @property
    def named(self) -> tuple[str | None, ...]:
        """The queues that workers must serve between them, each once; None is that of workers without --queue."""
        return tuple(dict.fromkeys((self.training, self.publishing, self.review)))


class Storage(Masked, frozen=True, forbid_unknown_fields=True):
    """The place of annotations and versions: a folder, or engines that several machines share."""

    directory: Annotated[
        str, Meta(min_length=1, description="A folder, relative to the recipe's; the data is in its subfolder <name>.")
    ] = ".lsml"
    database: Annotated[
        Annotated[str, Meta(pattern=r"^postgres(ql)?://\S+$(?!\n)")] | None,
        Meta(
            description="The address of a PostgreSQL database instead of a file in the folder, such as "
            "postgresql://lsml:${LSML_DATABASE_PASSWORD}@db.example.com/lsml. The tables are in a schema <name>.",
            extra={"decides": "secret"},
            extra_json_schema={"errorMessage": "expected an address such as postgresql://user@host/database"},
        ),
    ] = None
    queue: Annotated[
        Annotated[str, Meta(pattern=r"^rediss?://\S+$(?!\n)")] | None,
        Meta(
            description="The address of a Redis that wakes workers, instead of a file in the folder, such as "
            "redis://:${LSML_QUEUE_PASSWORD}@redis.example.com/0. It carries only the ids of runs.",
            extra={"decides": "secret"},
            extra_json_schema={"errorMessage": "expected an address such as redis://host/0"},
        ),
    ] = None
    artifacts: Annotated[
        Annotated[str, Meta(pattern=r"^(s3|gs|gcs|az|abfs|file)://\S+$(?!\n)")] | None,
        Meta(
            description="The place of the files of versions, instead of the folder, which then keeps copies: "
            "s3://bucket/prefix, gs://, az://, or file:// of a shared disk. The files are in a subfolder <name>. "
            "Credentials come from the environment, as for other programs of that service.",
            extra_json_schema={"errorMessage": "expected an address such as s3://bucket/prefix"},
        ),
    ] = None
    queues: Annotated[
        Queues,
        Meta(
            description="The workers that do each kind of run, such as `{training: gpu}` for those of `lsml work --queue gpu`. "
            "`lsml run` does every run itself."
        ),
    ] = Queues()

    def _hidden(self) -> frozenset[str]:
        return frozenset(_VARIABLES)

    @property
    def passwords(self) -> tuple[str, ...]:
        """The passwords in the addresses, as they are written and as they are meant."""
        found = [urlsplit(url).password for url in (self.database, self.queue) if url is not None]
        return tuple(dict.fromkeys(form for one in found if one for form in (one, unquote(one))))


def shown_address(url: str) -> str:
    """Return an address of `storage` without user, password and options."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def check_storage(draft: Draft) -> None:
    """Note addresses that cannot be read, and warn of passwords in the file."""
    draft.possible(("storage", "directory"))
    storage = draft.data.value.get("storage", {})
    if not isinstance(storage, dict) or draft.wrong(("storage",)):
        return
    for key, variable in _VARIABLES.items():
        if not storage.get(key):
            continue
        try:
            parts = urlsplit(storage[key])
            password = parts.password
            if key == "queue":  # a database may have several hosts, each with its port
                _ = parts.port  # a ValueError where it is no port
        except ValueError:
            draft.add(
                ("storage", key), "not an address; check the host and the port, and write %2F for a / in a password"
            )
            continue
        if password and not draft.data.locations[("storage", key)].from_environment:
            draft.warn_of_secret(("storage", key), variable)


def read_storage(value: object) -> Storage:
    """Return the struct of a valid `storage:` key."""
    return msgspec.convert(value, Storage)
