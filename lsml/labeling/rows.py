"""Rows as tasks: JSON-MIN, CSV and TSV, whose columns are matched to a labeling config."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lsml.errors import RequestError
from lsml.labeling import ControlTag, LabelingConfig, ObjectTag, split_path

Row = Mapping[str, object]
# Columns that Label Studio adds to a JSON-MIN or CSV export.
_ADDED = frozenset({"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"})
_ANSWERING = frozenset({"label", "labels", "category", "class", "target", "answer"})
_SHOWING = frozenset({"text", "content", "body", "sentence", "message", "document"})
_IN_REGION = ("original_width", "original_height", "image_rotation")  # of a region, not of its value


@dataclass(frozen=True)
class Named:
    """The columns that the file's owner names, where they are not called as fields and controls. `text`: what is shown;
    `label`: the answer.
    """

    text: str | None = None
    label: str | None = None


AS_THEY_ARE: Final = Named()


@dataclass
class _Columns:
    """The meaning of columns. `fields`: the task's field -> its column; `answers`: the control's name -> its column."""

    fields: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    guessed: bool = False


def tasks_of_rows(
    rows: Sequence[Row],
    config: LabelingConfig | None,
    where: str,
    *,
    table: bool,
    answers: bool,
    named: Named = AS_THEY_ARE,
) -> tuple[list[dict[str, object]], list[str]]:
    """Return (tasks, notes on the meaning of columns) for rows, each a mapping from column to cell.

    `table`: the rows are of a CSV file, whose cells are texts; otherwise of JSON, where a row can be a task's bare
    data. `answers`: columns with answers become annotations; otherwise they stay in the data, unless Label Studio
    exported them as answers. Raises RequestError where answers are wanted and no column holds them.
    """
    exported = any("annotation_id" in row for row in rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    if config is None or not rows:
        return [{"data": dict(row)} for row in rows], []
    columns = _understand(rows, names, config, closed=exported or table, named=named, where=where)
    wanted = answers or exported
    if not wanted:
        columns.answers = {}
    elif answers and (table or exported) and not columns.answers:
        controls = [control for control in config.controls if control.repeater is None]
        raise RequestError(
            f"{where}: no column has the labels of {', '.join(control.selector for control in controls)}; it has "
            f"{', '.join(names)}; give a column the control's name, use --label-column of train and evaluate, or "
            "export the project as JSON in Label Studio"
        )
    labels = {label.name.casefold() for control in config.controls for label in control.labels}
    if table and columns.guessed and any(name.casefold() in labels for name in names):
        raise RequestError(f"{where}: the first line seems to be a task; add a header with the column names")
    missing = [name for name in _fields(config) if name not in columns.fields]
    if table and missing:
        raise RequestError(
            f"{where}: no column is `{missing[0]}`, which the labeling config shows; it has {', '.join(names)}; "
            f"rename the right one to {missing[0]}"
        )
    reader = _RowReader(
        columns,
        config,
        exported=exported,
        table=table,
        id_column=_id_column(rows, names, exported=exported, table=table),
    )
    tasks = reader.tasks(rows)
    if reader.unread and not reader.read and answers:
        raise RequestError(f"{where}: {reader.first}; export the project as JSON in Label Studio")
    notes = []
    if columns.said and (table or columns.guessed or columns.answers):
        notes.append(f"{where}: " + "; ".join(columns.said))
    notes += [
        f"{where}: {count} cells of column `{name}` cannot be read and are treated as empty; {reader.first}"
        for name, count in reader.unread.items()
    ]
    return tasks, notes


def _id_column(rows: Sequence[Row], names: Sequence[str], *, exported: bool, table: bool) -> str | None:
    """Return the column that holds task ids. In a table that Label Studio did not write, its cells must be unique."""
    if "id" not in names or not (exported or table):
        return None
    ids = [row.get("id") for row in rows]
    return "id" if exported or (all(ids) and len(set(map(str, ids))) == len(ids)) else None


def _fields(config: LabelingConfig) -> dict[str, ObjectTag]:
    """Return the fields of a task that the objects of controls show, each with its object."""
    named = dict.fromkeys(name for control in config.controls for name in control.to_names)
    objects = [config.objects[name] for name in named if name in config.objects]
    found: dict[str, ObjectTag] = {}
    for tag in objects:
        if tag.repeater is None and tag.value.startswith("$"):
            found.setdefault(re.split(r"[.\[]", tag.value[1:])[0], tag)
    return found


def _understand(
    rows: Sequence[Row], names: Sequence[str], config: LabelingConfig, *, closed: bool, named: Named, where: str
) -> _Columns:
    """Return the meaning of columns under a labeling config. `closed`: `id` and similar columns are Label Studio's, and no
    data. Raises RequestError where a named column is not there, or could mean several things.
    """
    fields = _fields(config)
    controls = [
        control
        for control in config.controls
        if control.to_names and control.repeater is None and not control.per_region
    ]
    columns = _as_named(named, names, fields, controls, where)
    taken = {*columns.fields.values(), *columns.answers.values()}
    free = [name for name in names if name not in {*fields, *taken} and not (closed and name in _ADDED)]
    for control in controls:
        same = _same(control.name, free)
        if same is not None and control.name not in columns.answers:
            columns.answers[control.name] = same
            columns.said.append(f"column `{same}` answers {control.selector}")
    free = [name for name in free if name not in columns.answers.values()]
    if not columns.answers:
        guess = _guess_answer(rows, free, controls)
        if guess is not None:
            control, name, why = guess
            columns.answers[control.name] = name
            columns.guessed = True
            columns.said.append(f"column `{name}` answers {control.selector}, guessed {why}")
            free.remove(name)
    for name, tag in fields.items():
        if name in columns.fields:
            continue
        found = name if name in names else _same(name, free)
        why = ""
        if found is None and len(fields) == 1:
            likely = free if len(free) == 1 else [one for one in free if one.casefold() in _SHOWING]
            if len(likely) == 1:
                found, columns.guessed = likely[0], True
                why = ", guessed from " + ("what is left" if len(free) == 1 else "its name")
        if found is not None:
            columns.fields[name] = found
            columns.said.insert(0, f"column `{found}` is used for {tag.tag}#{tag.name}{why}")
    return columns


def _as_named(
    named: Named,
    names: Sequence[str],
    fields: Mapping[str, ObjectTag],
    controls: Sequence[ControlTag],
    where: str,
) -> _Columns:
    """Return the columns that the file's owner names. Raises RequestError."""
    columns = _Columns()
    for option, column, meant in (
        ("--text-column", named.text, list(fields)),
        ("--label-column", named.label, [control.name for control in controls]),
    ):
        if column is None:
            continue
        if column not in names:
            raise RequestError(f"{where}: has no column `{column}`, given with {option}; it has {', '.join(names)}")
        open_ = [name for name in meant if name not in names] or meant
        if len(open_) != 1:
            raise RequestError(
                f"{where}: {option} could mean {' or '.join(open_) or 'nothing'} of the labeling config; "
                "rename the columns to these"
            )
        (columns.fields if option == "--text-column" else columns.answers)[open_[0]] = column
    columns.said = [
        f"column `{column}` is used for {fields[name].tag}#{fields[name].name}"
        for name, column in columns.fields.items()
    ]
    tags = {control.name: control for control in controls}
    columns.said += [f"column `{column}` answers {tags[name].selector}" for name, column in columns.answers.items()]
    return columns


def _same(name: str, names: Sequence[str]) -> str | None:
    """Return the column of that name; else the only one that differs from it just in capitals."""
    if name in names:
        return name
    folded = [one for one in names if one.strip().casefold() == name.casefold()]
    return folded[0] if len(folded) == 1 else None


def _guess_answer(
    rows: Sequence[Row], names: Sequence[str], controls: Sequence[ControlTag]
) -> tuple[ControlTag, str, str] | None:
    """Return (control, column, reason) where exactly one column holds a control's labels, or has a usual name of an answer."""
    found = []
    for control in controls:
        labels = {name.casefold() for label in control.labels for name in (label.name, label.value)}
        for name in names:
            cells = {str(row.get(name, "")).strip().casefold() for row in rows} - {""}
            if labels and cells and cells <= labels:
                found.append((control, name, "from its labels"))
    if not found and len(controls) == 1:
        found = [(controls[0], name, "from its name") for name in names if name.casefold() in _ANSWERING]
    return found[0] if len(found) == 1 else None


class _RowReader:
    """The reader that makes tasks of rows, and counts the cells that it cannot read."""

    def __init__(
        self, columns: _Columns, config: LabelingConfig, *, exported: bool, table: bool, id_column: str | None
    ) -> None:
        self._columns = columns
        self._controls = [control for control in config.controls if control.name in columns.answers]
        self._fields = _fields(config)
        self._exported = exported
        self._table = table
        self._id_column = id_column
        added = _ADDED if exported else {id_column}
        self._left_out = {name for name in added if name not in self._fields} | set(columns.answers.values())
        self.read = 0
        self.unread: Counter[str] = Counter()
        self.first = ""

    def tasks(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Return a task for each row; in an export, one for all rows of one id."""
        tasks: list[dict[str, Any]] = []
        by_id: dict[str, dict[str, Any]] = {}
        for number, row in enumerate(rows, 1):
            task = self._task(row, number)
            if self._exported and "id" in task:
                known = by_id.setdefault(str(task["id"]), task)
                if known is not task:
                    known["annotations"] += task["annotations"]
                    continue
            tasks.append(task)
        return tasks

    def _task(self, row: Row, number: int) -> dict[str, Any]:
        data = {name: cell for name, cell in row.items() if name not in self._left_out}
        for name, column in self._columns.fields.items():
            if column in row:
                data[name] = self._datum(self._fields[name], row[column])
        result = []
        answered = self._exported and row.get("annotation_id") not in (None, "")
        for control in self._controls:
            cell = row.get(self._columns.answers[control.name])
            if cell is None or cell in ("", []):
                continue
            regions = regions_of_cell(control, cell)
            if regions is None:
                column = self._columns.answers[control.name]
                self.first = self.first or f"column `{column}`, row {number}: not an answer of {control.selector}"
                self.unread[column] += 1
                continue
            self.read += 1
            answered = True
            result += regions
        task: dict[str, Any] = {"data": data, "annotations": []}
        if self._id_column is not None and row.get(self._id_column) not in (None, ""):
            task["id"] = _integer(row[self._id_column])
        if answered:
            named = {"id": _integer(row["annotation_id"])} if row.get("annotation_id") not in (None, "") else {}
            times = {key: row[key] for key in ("created_at", "updated_at") if self._exported and row.get(key)}
            task["annotations"].append({**named, **times, "result": result})
        return task

    def _datum(self, tag: ObjectTag, cell: object) -> Any:
        """Return a cell as a task has it. Texts stay texts; lists and objects in a table are decoded from JSON."""
        return _from_json(cell) if self._table and tag.tag != "Text" and tag.tag != "HyperText" else cell


def _integer(cell: object) -> Any:
    """Return an id as Label Studio has it; in a table it is a text."""
    return int(cell) if isinstance(cell, str) and cell.isascii() and cell.isdigit() and len(cell) < 19 else cell


def _from_json(cell: object) -> Any:
    """Return the list or object that a cell holds as JSON; else the cell."""
    if isinstance(cell, str) and cell.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(cell)
        except ValueError:
            return cell
    return cell


def regions_of_cell(control: ControlTag, cell: Any) -> list[dict[str, Any]] | None:
    """Return the regions that a cell of JSON-MIN or of a table stands for, or None where it stands for none.

    Label Studio writes a single choice or text as a plain string, and everything else as a list of `value`s.
    """
    kind = control.tag.lower()
    cell = _from_json(cell)
    items = cell if isinstance(cell, list) else [cell]
    values: list[dict[str, Any]] | None
    if items and all(isinstance(item, Mapping) for item in items):
        values = [dict(item) for item in items]
    else:
        plain = _PLAIN.get(control.tag)
        value = plain(control, items) if plain is not None else None
        values = None if value is None else [value]
    if values is None:
        return None
    regions = []
    for value in values:
        value.pop("type", None)
        around = {name: value.pop(name) for name in _IN_REGION if name in value}
        to_name = control.to_names[0]
        regions.append({"from_name": control.name, "to_name": to_name, "type": kind, "value": value, **around})
    return regions


def _choices(control: ControlTag, items: Sequence[object]) -> dict[str, object] | None:
    labels = [_text(item) for item in items]
    if any(label is None for label in labels):
        return None
    known = {name for label in control.labels for name in (label.name, label.value)}
    if len(labels) == 1 and labels[0] not in known and control.attributes.get("choice") == "multiple":
        for mark in ("|", ";", ","):
            parts = [part.strip() for part in (labels[0] or "").split(mark)]
            if len(parts) > 1 and set(parts) <= known:
                return {"choices": parts}
    return {"choices": labels}


def _taxonomy(_control: ControlTag, items: Sequence[Any]) -> dict[str, Any] | None:
    paths = [split_path(item) if isinstance(item, str) else item for item in items]
    if not all(isinstance(path, (list, tuple)) and all(isinstance(one, str) for one in path) for path in paths):
        return None
    return {"taxonomy": [list(path) for path in paths]}


def _number(control: ControlTag, items: Sequence[Any]) -> dict[str, Any] | None:
    try:
        number = float(items[0]) if len(items) == 1 and not isinstance(items[0], bool) else None
    except (TypeError, ValueError):
        return None
    if number is None:
        return None
    return {control.tag.lower(): int(number) if number == int(number) else number}


def _texts(_control: ControlTag, items: Sequence[object]) -> dict[str, object] | None:
    texts = [_text(item) for item in items]
    return None if any(text is None for text in texts) else {"text": texts}


def _moment(_control: ControlTag, items: Sequence[object]) -> dict[str, object] | None:
    return {"datetime": items[0]} if len(items) == 1 and isinstance(items[0], str) else None


_PLAIN: dict[str, Callable[[ControlTag, Sequence[object]], dict[str, object] | None]] = {
    "Choices": _choices,
    "Taxonomy": _taxonomy,
    "Rating": _number,
    "Number": _number,
    "TextArea": _texts,
    "DateTime": _moment,
}


def _text(cell: object) -> str | None:
    """Return a label or an answer as text; None for any other type."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip() if isinstance(cell, (str, int, float)) else None
