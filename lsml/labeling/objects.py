"""Readers of object tags' data, one for each tag. The tag chooses the reader; it is never guessed from the value."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from lsml.errors import LsmlError
from lsml.labeling import ObjectTag, resolve_value
from lsml.labeling.clock import Clock
from lsml.labeling.documents import Dialogue, HtmlDocument, PlainText
from lsml.labeling.html import images_in
from lsml.labeling.items import Items
from lsml.labeling.series import Series, UnreadableSeries
from lsml.labeling.view import Document, Film, View
from lsml.wording import JSON


class Picture(NamedTuple):
    """A fetched image: the path of an upright file, and its (width, height) in pixels."""

    path: Path
    size: tuple[int, int]


# The corners of a part of an image, in pixels: top left, top right, bottom right, bottom left of the upright part.
Corners = tuple[tuple[float, float], ...]
Times = tuple[float, float]  # of a part of a recording: its begin and end in seconds


class Clip(NamedTuple):
    """A fetched video: its path, the (width, height) of a frame in pixels, and its length in seconds."""

    path: Path
    size: tuple[int, int]
    duration_s: float


class Form(Enum):
    """The form in which an adapter reads a PDF document."""

    TEXT = "text"
    FIRST_PAGE = "first page"
    PAGES = "pages"


class Fetch(Protocol):
    """The interface that fetches the media of tasks. All methods raise FetchError, or Unreadable, with a sentence."""

    def hold(self) -> AbstractContextManager[Fetch]:
        """Return a context with a Fetch for one request or one training run. While it is open its files stay, and each is
        fetched once.
        """

    def text(self, url: str, task: Mapping[str, object]) -> str:
        """Return the text behind a URL."""

    def file(self, url: str, task: Mapping[str, object]) -> Path:
        """Return the path of the file behind a URL, unchanged."""

    def image(self, url: str, task: Mapping[str, object]) -> Picture:
        """Return the image behind a URL, complete and upright."""

    def crops(self, picture: Picture, outlines: Sequence[Corners]) -> list[Path]:
        """Return the parts of an image that has been fetched, each as an upright image file."""

    def stretches(self, path: Path, times: Sequence[Times]) -> list[Path]:
        """Return the parts of a recording that has been fetched, each as a WAV file."""

    def video(self, url: str, task: Mapping[str, object]) -> Clip:
        """Return the video behind a URL."""

    def document(self, url: str, task: Mapping[str, object]) -> str:
        """Return the text of the PDF document behind a URL."""

    def pages(self, url: str, task: Mapping[str, object], *, first: bool) -> list[Picture]:
        """Return the pages of the PDF document behind a URL, or only the `first`, as images."""


T = TypeVar("T")
R = TypeVar("R")
AT_A_TIME = 8
PDF = "Pdf"
UNDEFINED = "$undefined$"  # the field of a task that was imported as plain text
FRAME_RATE = 24.0  # frames per second of a <Video> without frameRate, https://labelstud.io/tags/video


class Unreadable(LsmlError):
    """An error for one task whose data cannot be read. `reason` is a short name to count it by; the text is the whole
    sentence.
    """

    status = 422

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


def _as_text(tag: ObjectTag, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise Unreadable(
        "wrong type",
        f"{tag.tag}#{tag.name} shows {tag.value}, which is {JSON.kind(value)} in this task; expected a text",
    )


def _plain(tag: ObjectTag, value: object) -> Document:
    return PlainText(_as_text(tag, value), saves_text=tag.saves_text)


def _page(tag: ObjectTag, value: object) -> Document:
    return HtmlDocument(
        _as_text(tag, value), saves_text=tag.saves_text, inline=tag.attributes.get("inline", "").lower() == "true"
    )


def _dialogue(tag: ObjectTag, value: object) -> Document:
    """Return the utterances of a dialogue, without the speakers' names, which are not part of the utterances."""
    key = tag.attributes.get("textKey", "text")
    if isinstance(value, str):
        return PlainText(value, saves_text=tag.saves_text)
    if not isinstance(value, list):
        raise Unreadable(
            "wrong type",
            f"{tag.tag}#{tag.name} shows {tag.value}, which is {JSON.kind(value)} in this task; "
            "expected a list of utterances",
        )
    said = [item.get(key) if isinstance(item, Mapping) else None for item in value]
    return Dialogue(["" if text is None else str(text) for text in said], saves_text=tag.saves_text)


def _chat(tag: ObjectTag, value: object) -> Document:
    """Return the messages of a chat, each after its role, as in `user: Hello`. A message without a text is left out."""
    messages = _json(tag, value, "the text in this task") if isinstance(value, str) else value
    if not isinstance(messages, list):
        raise Unreadable(
            "wrong type",
            f"{tag.tag}#{tag.name} shows {tag.value}, which is {JSON.kind(messages)} in this task; "
            "expected a list of messages",
        )
    return PlainText("\n".join(text for _, (_, text, _) in said_by(messages)))


def said_by(messages: object) -> list[tuple[int, tuple[object, str, Mapping[str, object]]]]:
    """Return (its index, (role, the text after the role, the message itself)) of each message of a chat that has a text."""
    if isinstance(messages, str):
        try:
            messages = json.loads(messages)
        except ValueError:
            return []
    found = []
    for index, one in enumerate(messages if isinstance(messages, list) else []):
        role, text = (one.get("role"), one.get("content")) if isinstance(one, Mapping) else (None, None)
        if isinstance(text, str) and text.strip():
            found.append((index, (role, f"{role}: {text}" if role else text, one)))
    return found


def _read_text(tag: ObjectTag, value: object, task: Mapping[str, object], fetch: Fetch) -> list[View]:
    if tag.behind_url and isinstance(value, str):
        value = fetch.text(value, task)
        if tag.tag == "Paragraphs":
            value = _json(tag, value, "the content of its URL")
    document = _TEXTS[tag.tag](tag, value)
    text = document.text
    if not text or text.isspace():
        raise Unreadable("empty", f"{tag.tag}#{tag.name} shows {tag.value}, which is empty in this task")
    return [View(text, document=document)]


_TEXTS: dict[str, Callable[[ObjectTag, Any], Document]] = {
    "Text": _plain,
    "HyperText": _page,
    "Paragraphs": _dialogue,
    "Chat": _chat,
}
JOINABLE = frozenset({*_TEXTS, "Table"})  # object tags of which several can be joined as one input


def _read_table(tag: ObjectTag, value: object, _task: Mapping[str, object], _fetch: Fetch) -> list[View]:
    """Return the columns of a table, by name, from an object in the task's JSON, or from a text that holds one."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            raise Unreadable("wrong type", f"{tag.tag}#{tag.name} shows {tag.value}, a text that is not JSON") from None
    if isinstance(value, Mapping) and value:
        return [View(dict(value))]
    raise Unreadable(
        "wrong type" if value else "empty",
        f"{tag.tag}#{tag.name} shows {tag.value}, which is {JSON.kind(value) if value else 'empty'} in this task; "
        "expected an object of names and values",
    )


def _read_list(tag: ObjectTag, value: object, task: Mapping[str, object], fetch: Fetch) -> list[View]:
    """Return the items of a list by their ids: the title, the body and the text of the HTML of each; or the image of each,
    where the HTML of all of them shows one and no text.
    """
    items = _json(tag, value, "the text in this task") if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(one, Mapping) and "id" in one for one in items):
        raise Unreadable(
            "wrong type",
            f"{tag.tag}#{tag.name} shows {tag.value}; expected a list of objects with an id, a title and a body",
        )
    if not items:
        raise Unreadable("empty", f"{tag.tag}#{tag.name} shows {tag.value}, which is an empty list in this task")
    images = {str(one["id"]): _image_of(one) for one in items}
    if all(images.values()):
        return [View(Items(tuple(images), paths=tuple(str(fetch.image(url, task).path) for url in images.values())))]
    texts = {str(one["id"]): _text_of(one) for one in items}
    return [View(Items(tuple(texts), tuple(texts.values())))]


def _image_of(item: Mapping[str, object]) -> str:
    """Return the URL of the image that an item is, under its title; empty for one with a text or several images."""
    html = item.get("html")
    if item.get("body") or not isinstance(html, str):
        return ""
    found = images_in(html)
    return found[0] if len(found) == 1 and not HtmlDocument(html, inline=True).text.strip() else ""


def _text_of(item: Mapping[str, object]) -> str:
    html = item.get("html")
    parts = [
        item.get("title"),
        item.get("body"),
        HtmlDocument(html, inline=True).text if isinstance(html, str) else None,
    ]
    return "\n".join(part for part in parts if isinstance(part, str) and part.strip())


def _read_image(tag: ObjectTag, value: object, task: Mapping[str, object], fetch: Fetch) -> list[View]:
    """Return a page for each image of a list; for a single image, one page without `item`."""
    if not isinstance(value, list):
        picture = fetch.image(_as_url(tag, value), task)
        return [View(picture.path, picture.size)]
    if not value:
        raise Unreadable("empty", f"{tag.tag}#{tag.name} shows {tag.value}, which is an empty list in this task")
    pictures = [fetch.image(_as_url(tag, one), task) for one in value]
    return [View(picture.path, picture.size, item=item) for item, picture in enumerate(pictures)]


def _read_pdf(tag: ObjectTag, value: object, task: Mapping[str, object], fetch: Fetch, form: Form) -> list[View]:
    """Return the text of a PDF document, or its pages."""
    url = _as_url(tag, value)
    if form is not Form.TEXT:
        pictures = fetch.pages(url, task, first=form is Form.FIRST_PAGE)
        return [View(picture.path, picture.size, item=item) for item, picture in enumerate(pictures)]
    text = fetch.document(url, task)
    if not text:
        raise Unreadable(
            "empty",
            f"{tag.tag}#{tag.name} shows {tag.value}, a PDF document without text, such as a scan; use an adapter that "
            "looks at pages, such as image-classifier",
        )
    return [View(text, document=PlainText(text))]


def _read_video(tag: ObjectTag, value: object, task: Mapping[str, object], fetch: Fetch) -> list[View]:
    clip = fetch.video(_as_url(tag, value), task)
    return [View(clip.path, clip.size, film=Film(_frame_rate(tag, task), clip.duration_s))]


def _read_audio(tag: ObjectTag, value: object, task: Mapping[str, object], fetch: Fetch) -> list[View]:
    return [View(fetch.file(_as_url(tag, value), task))]


def _read_series(tag: ObjectTag, value: Any, task: Mapping[str, Any], fetch: Fetch) -> list[View]:
    """Return a series of a file behind a URL, or of columns in the task itself. Its points are read when they are needed."""
    columns = value
    if isinstance(value, str) and value.lstrip().startswith("{"):
        columns = _json(tag, value, "the text in this task")
    path = None
    if not isinstance(columns, Mapping):
        path, columns = str(fetch.file(_as_url(tag, value), task)), None
    elif not columns or not all(isinstance(column, list) for column in columns.values()):
        raise Unreadable(
            "wrong type" if columns else "empty",
            f"{tag.tag}#{tag.name} shows {tag.value}, which is not an object of columns in this task; expected "
            '{"time": [...], "channel": [...]}, or a URL of CSV or JSON',
        )
    time = tag.attributes.get("timeColumn", "").strip()
    clock = Clock(tag.attributes.get("timeFormat", "") if time else "")  # rows are counted without a time column
    series = Series(path, columns, time, tag.channels, tag.attributes.get("sep", ","), clock)
    try:
        series.names()
    except UnreadableSeries as error:
        raise Unreadable("wrong type", f"{tag.tag}#{tag.name} shows {tag.value}: {error}") from error
    return [View(series, clock=clock)]


def _as_url(tag: ObjectTag, value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise Unreadable(
        "wrong type",
        f"{tag.tag}#{tag.name} shows {tag.value}, which is {'empty' if value == '' else JSON.kind(value)} in this task; "
        "expected a URL or a path",
    )


def _frame_rate(tag: ObjectTag, task: Mapping[str, Any]) -> float:
    """Return the frames per second as Label Studio's editor counts them, by default 24.

    A `frameRate` below 1 means seconds per frame.
    """
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


# (tag, value in the task, task, fetch) -> pages
Reader = Callable[[ObjectTag, Any, Mapping[str, object], Fetch], list[View]]
READERS: dict[str, Reader] = {
    **dict.fromkeys(_TEXTS, _read_text),
    "Table": _read_table,
    "List": _read_list,
    "Image": _read_image,
    "Video": _read_video,
    "Audio": _read_audio,
    "AudioPlus": _read_audio,
    "TimeSeries": _read_series,
}


def read_ahead(read: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield `read` of each item, in order. Some items are read at a time, as they wait for downloads, but not too far ahead."""
    pool = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="fetch")
    try:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(read, item))
            if len(waiting) > 4 * AT_A_TIME:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def needs_fetch(tag: ObjectTag) -> bool:
    """Return True if reading the tag's data takes a file from elsewhere."""
    return tag.tag not in JOINABLE or tag.behind_url


def read_object(tag: ObjectTag, task: Mapping[str, object], fetch: Fetch, form: Form = Form.TEXT) -> list[View]:
    """Return the view of `tag` in `task`: one page, or for a list of images one for each. `form`: that of a PDF document.

    Raises Unreadable, with a sentence that names the task's key; FetchError where a URL cannot be fetched.
    """
    data = task.get("data")
    if not isinstance(data, dict):
        raise Unreadable("no data", 'the task has no data; expected {"data": {...}}')
    field = tag.field
    value = data[field] if field in data else _shown(tag, data)
    if value is None:
        raise Unreadable("no data", f"{tag.tag}#{tag.name} shows {tag.value}, which is null in this task")
    if tag.tag == PDF:
        return _read_pdf(tag, value, task, fetch, form)
    return READERS[tag.tag](tag, value, task, fetch)


def _shown(tag: ObjectTag, data: Mapping[str, object]) -> Any:
    """Return what a tag shows of data that have no field of the tag's name. Raises Unreadable."""
    # A task that was imported as plain text before its project had fields: Label Studio shows it under the config's field.
    if UNDEFINED in data and tag.field is not None:
        return data[UNDEFINED]
    try:
        return resolve_value(tag.value, data)
    except KeyError as missing:
        present = ", ".join(sorted(map(str, data))[:10]) or "nothing"
        raise Unreadable(
            "no data",
            f"{tag.tag}#{tag.name} shows {tag.value}, and the task's data has no {missing.args[0]!r}; it has {present}",
        ) from None


def _json(tag: ObjectTag, text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("wrong type", f"{tag.tag}#{tag.name}: {what} is not JSON") from None
