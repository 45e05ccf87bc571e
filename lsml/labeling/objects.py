"""What an adapter sees of an object tag: one reader for each tag, chosen by the tag and never guessed from the value."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from lsml.errors import LsmlError
from lsml.labeling import ObjectTag, resolve_value
from lsml.labeling.clock import Clock
from lsml.labeling.documents import Dialogue, Page, PlainText
from lsml.labeling.series import Series, UnreadableSeries
from lsml.labeling.view import Document, Film, View


class Picture(NamedTuple):
    """An image that was brought here: its path, upright, and its (width, height) in pixels."""

    path: Path
    size: tuple[int, int]


class Clip(NamedTuple):
    """A video that was brought here: its path, the (width, height) of a frame, and how long it takes."""

    path: Path
    size: tuple[int, int]
    duration_s: float


class Fetch(Protocol):
    """How what a task's URL names is brought here. All raise FetchError, or Unreadable, with a sentence."""

    def hold(self) -> AbstractContextManager[Fetch]:
        """A Fetch for a request or a training: while it is open its files stay, and each is asked for once."""

    def text(self, url: str, task: Mapping[str, Any]) -> str:
        """The text behind a URL."""

    def file(self, url: str, task: Mapping[str, Any]) -> Path:
        """The file behind a URL, as it is."""

    def image(self, url: str, task: Mapping[str, Any]) -> Picture:
        """The image behind a URL, whole and upright."""

    def video(self, url: str, task: Mapping[str, Any]) -> Clip:
        """The video behind a URL."""


T = TypeVar("T")
R = TypeVar("R")
_AT_A_TIME = 8
UNDEFINED = "$undefined$"  # the field of a task that was imported as plain text
FRAME_RATE = 24.0  # frames per second of a <Video> that does not say, https://labelstud.io/tags/video


class Unreadable(LsmlError):
    """One task's data cannot be read. `reason` is a short, countable name; the text is the whole sentence."""

    status = 422

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


def _as_text(tag: ObjectTag, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise Unreadable(
        "wrong type",
        f"{tag.tag}#{tag.name} shows {tag.value}, which is {kind_of_json(value)} in this task; expected a text",
    )


def _plain(tag: ObjectTag, value: Any) -> Document:
    return PlainText(_as_text(tag, value), tag.saves_text)


def _page(tag: ObjectTag, value: Any) -> Document:
    return Page(_as_text(tag, value), tag.saves_text, tag.attributes.get("inline", "").lower() == "true")


def _dialogue(tag: ObjectTag, value: Any) -> Document:
    """The utterances of a dialogue; the speakers' names are left out: they are no part of what was said."""
    key = tag.attributes.get("textKey", "text")
    if isinstance(value, str):
        return PlainText(value, tag.saves_text)
    if not isinstance(value, list):
        raise Unreadable(
            "wrong type",
            f"{tag.tag}#{tag.name} shows {tag.value}, which is {kind_of_json(value)} in this task; "
            "expected a list of utterances",
        )
    said = [item.get(key) if isinstance(item, Mapping) else None for item in value]
    return Dialogue(["" if text is None else str(text) for text in said], tag.saves_text)


def kind_of_json(value: Any) -> str:
    """What people call a value of a task's data."""
    names = {type(None): "null", bool: "a boolean", list: "a list", dict: "an object", str: "a text"}
    return names.get(type(value), "a number")


def _read_text(tag: ObjectTag, value: Any, task: Mapping[str, Any], fetch: Fetch) -> list[View]:
    if tag.behind_url and isinstance(value, str):
        value = fetch.text(value, task)
        if tag.tag == "Paragraphs":
            value = _json(tag, value, "what is behind its URL")
    document = _TEXTS[tag.tag](tag, value)
    if not document.text or document.text.isspace():
        raise Unreadable("empty", f"{tag.tag}#{tag.name} shows {tag.value}, which is empty in this task")
    return [View(document.text, document=document)]


_TEXTS: dict[str, Callable[[ObjectTag, Any], Document]] = {"Text": _plain, "HyperText": _page, "Paragraphs": _dialogue}
JOINABLE = frozenset({*_TEXTS, "Table"})  # what several object tags can be joined from


def _read_table(tag: ObjectTag, value: Any, _task: Mapping[str, Any], _fetch: Fetch) -> list[View]:
    """The columns of a table, by name, as the task's JSON has them, or a text that is such JSON."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            raise Unreadable("wrong type", f"{tag.tag}#{tag.name} shows {tag.value}, a text that is no JSON") from None
    if isinstance(value, Mapping) and value:
        return [View(dict(value))]
    raise Unreadable(
        "wrong type" if value else "empty",
        f"{tag.tag}#{tag.name} shows {tag.value}, which is {kind_of_json(value) if value else 'empty'} in this task; "
        "expected an object of names and values",
    )


def _read_image(tag: ObjectTag, value: Any, task: Mapping[str, Any], fetch: Fetch) -> list[View]:
    """A page for each image of a list; one without `item` where there is no list."""
    if not isinstance(value, list):
        picture = fetch.image(_as_url(tag, value), task)
        return [View(picture.path, picture.size)]
    if not value:
        raise Unreadable("empty", f"{tag.tag}#{tag.name} shows {tag.value}, which is an empty list in this task")
    pictures = [fetch.image(_as_url(tag, one), task) for one in value]
    return [View(picture.path, picture.size, item=item) for item, picture in enumerate(pictures)]


def _read_video(tag: ObjectTag, value: Any, task: Mapping[str, Any], fetch: Fetch) -> list[View]:
    clip = fetch.video(_as_url(tag, value), task)
    return [View(clip.path, clip.size, film=Film(_frame_rate(tag, task), clip.duration_s))]


def _read_audio(tag: ObjectTag, value: Any, task: Mapping[str, Any], fetch: Fetch) -> list[View]:
    return [View(fetch.file(_as_url(tag, value), task))]


def _read_series(tag: ObjectTag, value: Any, task: Mapping[str, Any], fetch: Fetch) -> list[View]:
    """A series of a file behind a URL, or of columns in the task itself; its points are read when they are asked for."""
    columns = value
    if isinstance(value, str) and value.lstrip().startswith("{"):
        columns = _json(tag, value, "the text in this task")
    path = None
    if not isinstance(columns, Mapping):
        path, columns = str(fetch.file(_as_url(tag, value), task)), None
    elif not columns or not all(isinstance(column, list) for column in columns.values()):
        raise Unreadable(
            "wrong type" if columns else "empty",
            f"{tag.tag}#{tag.name} shows {tag.value}, which is no object of columns in this task; "
            'expected {"time": [...], "channel": [...]}, or a URL of CSV or JSON',
        )
    time = tag.attributes.get("timeColumn", "").strip()
    clock = Clock(tag.attributes.get("timeFormat", "") if time else "")  # rows are counted without a time column
    series = Series(path, columns, time, tag.channels, tag.attributes.get("sep", ","), clock)
    try:
        series.names()
    except UnreadableSeries as error:
        raise Unreadable("wrong type", f"{tag.tag}#{tag.name} shows {tag.value}: {error}") from error
    return [View(series, clock=clock)]


def _as_url(tag: ObjectTag, value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise Unreadable(
        "wrong type",
        f"{tag.tag}#{tag.name} shows {tag.value}, which is {'empty' if value == '' else kind_of_json(value)} in this task; "
        "expected a URL or a path",
    )


def _frame_rate(tag: ObjectTag, task: Mapping[str, Any]) -> float:
    """Frames per second as Label Studio's editor counts them: 24 where nothing usable is said, and below 1 it is taken
    for seconds per frame."""
    given: Any = tag.attributes.get("frameRate", "")
    if given.startswith("$"):
        try:
            given = resolve_value(given, task["data"])
        except KeyError:
            given = ""
    try:
        rate = float(given)
    except (TypeError, ValueError):
        return FRAME_RATE
    if not 0 < rate < math.inf:
        return FRAME_RATE
    return rate if rate >= 1 else 1 / rate


# (the tag, what the task has there, the task, how files come here) -> page by page
Reader = Callable[[ObjectTag, Any, Mapping[str, Any], Fetch], list[View]]
READERS: dict[str, Reader] = {
    **dict.fromkeys(_TEXTS, _read_text),
    "Table": _read_table,
    "Image": _read_image,
    "Video": _read_video,
    "Audio": _read_audio,
    "AudioPlus": _read_audio,
    "TimeSeries": _read_series,
}


def read_ahead(read: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`read` of each item, in order: some at a time, for they wait for downloads, and no further ahead than that."""
    pool = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="fetch")
    try:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(read, item))
            if len(waiting) > 4 * _AT_A_TIME:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def needs_fetch(tag: ObjectTag) -> bool:
    """True if reading it takes a file from elsewhere."""
    return tag.tag not in JOINABLE or tag.behind_url


def read_object(tag: ObjectTag, task: Mapping[str, Any], fetch: Fetch) -> list[View]:
    """What `tag` shows in `task`, page by page; one page for everything but a list of images.

    Raises Unreadable, with a sentence that names the task's key; FetchError where a URL cannot be brought here.
    """
    data = task.get("data")
    if not isinstance(data, dict):
        raise Unreadable("no data", 'the task has no data; expected {"data": {...}}')
    try:
        value = data[UNDEFINED] if _imported_as_text(tag, data) else resolve_value(tag.value, data)
    except KeyError as missing:
        present = ", ".join(sorted(map(str, data))[:10]) or "nothing"
        raise Unreadable(
            "no data",
            f"{tag.tag}#{tag.name} shows {tag.value}, and the task's data has no {missing.args[0]!r}; it has {present}",
        ) from None
    if value is None:
        raise Unreadable("no data", f"{tag.tag}#{tag.name} shows {tag.value}, which is null in this task")
    return READERS[tag.tag](tag, value, task, fetch)


def _imported_as_text(tag: ObjectTag, data: Mapping[str, Any]) -> bool:
    """True if the task was imported as plain text before its project knew fields: Label Studio shows it under the config's."""
    return UNDEFINED in data and tag.value.startswith("$") and tag.value[1:] not in data


def _json(tag: ObjectTag, text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("wrong type", f"{tag.tag}#{tag.name}: {what} is not JSON") from None
