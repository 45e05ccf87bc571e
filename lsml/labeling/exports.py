"""Files of annotated tasks in the formats that people have. In: a path and a labeling config; out: tasks, and notes on the
reading.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import msgspec

from lsml.errors import RequestError
from lsml.files.strict_json import decode_once, first_half
from lsml.labeling import LabelingConfig
from lsml.labeling.annotated import REPLACED, are, many, task_id
from lsml.labeling.importing import only_field
from lsml.labeling.rows import AS_THEY_ARE, Named, tasks_of_rows

_AS_JSON = "export the project as JSON in Label Studio"
_DELIMITERS = {",": "CSV", "\t": "TSV", ";": "CSV with semicolons"}
_CELL = 1 << 26  # the most characters in a cell; the csv module's own limit is too low for a long text
_BEGINNINGS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))  # as Excel saves a table as "Unicode text"


@dataclass(frozen=True)
class Export:
    """The tasks of a file, each with `data`, and sentences about the reading for the file's owner."""

    tasks: list[dict[str, Any]]
    notes: tuple[str, ...] = ()


def read_export(
    path: Path, config: LabelingConfig | None, *, answers: bool = True, columns: Named = AS_THEY_ARE
) -> Export:
    """Return the tasks of a file. Its content, not its name, decides the format.

    Formats: a Label Studio export or import as JSON or JSON lines, also with the old `completions`; JSON-MIN; a folder
    or file of a target storage, which holds annotations with their tasks; and a CSV or TSV file with a column that is
    shown and one with answers; without answers also a TXT file, each line a task. `answers`: annotations are wanted, so
    a task that stands there twice counts once, and the later copy wins. `columns`: those that the file's owner names.
    Tasks with texts that are not Unicode are left out. Raises RequestError with what to do.
    """
    where = str(path)
    if not answers and config is not None and (lines := _lines(path)) is not None:
        field = only_field(where, config)
        return Export([{"data": {field: line}} for line in lines])
    entries = _of_folder(path) if path.is_dir() else _entries(path)
    if isinstance(entries, _Table):
        tasks, notes = tasks_of_rows(entries.rows, config, where, table=True, answers=answers, named=columns)
        notes = [note.replace(f"{where}: ", f"{where}: read as {entries.name}: ", 1) for note in notes[:1]] + notes[1:]
    else:
        tasks, notes = _tasks(entries, config, where, answers=answers, columns=columns)
    tasks, broken = _in_unicode(tasks, where)
    notes += broken
    if answers:
        tasks, repeated = _once(tasks, where)
        notes += repeated
    return Export(tasks, tuple(notes))


@dataclass(frozen=True)
class _Table:
    """A table with a heading. `name`: the name of its format."""

    name: str
    rows: list[dict[str, str]]


def _text_of(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from None
    encoding = next((name for begin, name in _BEGINNINGS if content.startswith(begin)), "utf-8-sig")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise RequestError(f"{path}: is not UTF-8; {_AS_JSON}, or save a table as UTF-8") from None


def _lines(path: Path) -> list[str] | None:
    """Return the lines of a TXT file that are not blank; None where it holds JSON or a table of tabs, or has another name."""
    if path.suffix.lower() != ".txt" or path.is_dir():
        return None
    text = _text_of(path)
    if "\t" in text or text.lstrip()[:1] in ("[", "{"):
        return None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _entries(path: Path) -> list[object] | _Table:
    """Return the entries of a file. Raises RequestError."""
    text = _text_of(path)
    try:
        content = _json(text)
    except (ValueError, RecursionError) as error:
        table = None if text.lstrip()[:1] in ("", "{", "[") else _table(text, path)
        if table is None:
            raise RequestError(f"{path}: is not JSON: {error}; {_AS_JSON}") from None
        return table
    if isinstance(content, dict) and isinstance(content.get("tasks"), list):
        content = content["tasks"]
    if isinstance(content, dict) and (isinstance(content.get("data"), dict) or _is_stored(content)):
        content = [content]
    if not isinstance(content, list):
        raise RequestError(f'{path}: expected a list of tasks such as [{{"data": {{"text": "some text"}}}}]')
    return content


def _json(text: str) -> Any:
    """Return JSON, or a list of the entries of JSON lines. Raises ValueError."""
    try:
        return decode_once(text)
    except ValueError:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if len(lines) < 2 or not lines[0][1].lstrip().startswith("{"):
            raise
        entries: list[object] = []
        for number, line in lines:
            try:
                entries.append(decode_once(line))
            except ValueError as error:
                if not entries:
                    break  # the object goes on in the next line
                place = f"column {error.colno}: {error.msg}" if isinstance(error, JSONDecodeError) else str(error)
                raise ValueError(f"line {number}, {place}") from None
        else:
            return entries
        raise


def _of_folder(path: Path) -> list[object]:
    """Return the entries of a folder's files in the order of their names. A target storage writes one annotation into each."""
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    found: list[object] = []
    for file in files:
        entries = _entries(file)
        if isinstance(entries, _Table):
            raise RequestError(f"{file}: is not JSON, and folders of tables are not supported; name the file itself")
        found += entries
    if not found:
        raise RequestError(f"{path}: is a folder without tasks; name a file, or the folder of a target storage")
    return found


def _table(text: str, path: Path) -> _Table | None:
    """Return a table of two columns or more, or of one where the file's name is that of a table; None where the text is no
    table.
    """
    csv.field_size_limit(_CELL)
    found: tuple[int, str, list[list[str]]] | None = None
    # Between tabs, a quotation mark is often part of the text.
    for delimiter, plain in [*((one, False) for one in _DELIMITERS), ("\t", True)]:
        try:
            reader = csv.reader(
                io.StringIO(text, newline=""),
                delimiter=delimiter,
                quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL,
                strict=True,
            )
            lines = [cells for cells in reader if any(cell.strip() for cell in cells)]
        except csv.Error:
            continue
        width = len(lines[0]) if lines else 0
        if width > (found[0] if found else 0) and all(len(cells) <= width for cells in lines):
            found = width, delimiter, lines
    if found is not None and found[0] == 1 and any(delimiter in found[2][0][0] for delimiter in _DELIMITERS):
        found = None  # the heading has columns, and the lines below it have more
    called = path.suffix.lower() in (".csv", ".tsv")
    if found is None and called:
        raise RequestError(
            f"{path}: is not a valid table: a line has more cells than the header, or a quotation mark is not "
            'closed; put a cell with the delimiter into quotation marks, "like, this"'
        )
    if found is None or (found[0] == 1 and not called):
        return None
    width, delimiter, lines = found
    cells_of = [cells + [""] * (width - len(cells)) for cells in lines]
    heading = [cell.strip() for cell in cells_of[0]]
    # A first column without a name holds row numbers, as pandas writes it; others without a name must be empty.
    kept = [
        column
        for column, name in enumerate(heading)
        if name or (column and any(cells[column] for cells in cells_of[1:]))
    ]
    names = [heading[column] for column in kept]
    if len(set(names)) < len(names) or not all(names):
        raise RequestError(f"{path}: the first line is the header; give each column a different name")
    return _Table(
        _DELIMITERS[delimiter], [{heading[column]: cells[column] for column in kept} for cells in cells_of[1:]]
    )


def _is_stored(entry: object) -> bool:
    """Return True if it is an annotation of a target storage, which holds its task."""
    return isinstance(entry, Mapping) and isinstance(entry.get("result"), list) and "task" in entry


def _tasks(
    entries: Sequence[Any], config: LabelingConfig | None, where: str, *, answers: bool, columns: Named
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return (tasks, sentences) of JSON entries."""
    for index, entry in enumerate(entries, 1):
        if not isinstance(entry, Mapping):
            raise RequestError(f'{where}: task {index} is not an object; expected {{"data": {{...}}}}')
    if entries and all("data" not in entry and not _is_stored(entry) for entry in entries):
        held = next((key for key in ("annotations", "completions", "predictions") if key in entries[0]), None)
        if held is None:
            return tasks_of_rows(entries, config, where, table=False, answers=answers, named=columns)
    if columns != AS_THEY_ARE:
        raise RequestError(f"{where}: holds whole tasks; --text-column and --label-column are for tables")
    tasks: list[dict[str, Any]] = []
    stored: dict[str, dict[str, Any]] = {}
    for index, entry in enumerate(entries, 1):
        if _is_stored(entry):
            task = _stored(entry, index, where)
            known = stored.setdefault(task_id(task), task)
            if known is task:
                tasks.append(task)
            else:
                known["annotations"] += task["annotations"]
            continue
        held = next((key for key in ("annotations", "completions", "predictions") if key in entry), None)
        if "data" in entry and (held or entry["data"] is None or isinstance(entry["data"], Mapping)):
            tasks.append(_task(entry))  # one whose data is no object is left out later, without the others
        elif held:
            raise RequestError(f"{where}: task {index} has `{held}` and no `data`; {_AS_JSON}")
        else:
            tasks.append({"data": dict(entry)})  # Label Studio imports bare data as well
    return tasks, []


def _task(entry: Mapping[str, object]) -> dict[str, object]:
    """Return a task; in an old export, its completions become annotations."""
    task = dict(entry)
    completions = task.pop("completions", None)
    if completions is not None and not task.get("annotations"):
        task["annotations"] = completions
    return task


def _stored(entry: Mapping[str, object], index: int, where: str) -> dict[str, object]:
    """Return the task inside an annotation of a target storage, with the annotation."""
    task = entry["task"]
    if not isinstance(task, Mapping) or not isinstance(task.get("data"), Mapping):
        raise RequestError(f"{where}: entry {index} is an annotation without its task's data; {_AS_JSON}")
    annotation = {key: value for key, value in entry.items() if key != "task"}
    kept = {key: value for key, value in task.items() if key in ("id", "data")}
    return {**kept, "annotations": [annotation]}


def _in_unicode(tasks: Sequence[dict[str, object]], where: str) -> tuple[list[dict[str, object]], list[str]]:
    """Return the tasks whose texts are all valid Unicode, and a sentence where others are left out."""
    kept: list[dict[str, object]] = []
    broken: list[str] = []
    for number, task in enumerate(tasks, 1):
        try:
            msgspec.json.encode(task)
            half = None
        except (UnicodeEncodeError, OverflowError):  # the second for an integer of more than 64 bits
            half = first_half(task, f"task {task.get('id', number)}")
        if half is None:
            kept.append(task)
        else:
            broken.append(half)
    if not broken:
        return kept, []
    them = f"{many(len(broken), 'task')} {are(len(broken))}"
    return kept, [
        f"{where}: {them} left out: a text holds half of a surrogate pair (\\ud800 to \\udfff), which is not a character; "
        f"correct it in the file; the first: {broken[0]}"
    ]


def _once(tasks: Sequence[dict[str, object]], where: str) -> tuple[list[dict[str, object]], list[str]]:
    """Return each task once, and a sentence where some repeat. The last copy counts, by id, or without an id by data.

    Earlier copies that differ from the last are kept in it under REPLACED.
    """
    kept: dict[str, dict[str, object]] = {}
    replaced: defaultdict[str, list[dict[str, object]]] = defaultdict(list)
    first = ""
    for task in tasks:
        id = task_id(task)
        if id in kept and not first:
            first = id
        if id in kept and kept[id] != task:
            replaced[id].append(kept[id])
        kept[id] = task
    for id, copies in replaced.items():
        kept[id] = {**kept[id], REPLACED: copies}
    repeated = len(tasks) - len(kept)
    if not repeated:
        return list(tasks), []
    what = f"task {first}" if not first.startswith("data-") else "one without an id"
    return list(kept.values()), [
        f"{where}: {repeated} of its {len(tasks)} tasks are duplicates, first {what}; of each, the last one counts"
    ]
