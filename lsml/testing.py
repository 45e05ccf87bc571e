"""The conformance suite of the adapter contract: for lsml's own adapters and for plug-ins alike.

In a plug-in's tests:

    from lsml.testing import AdapterCase, AdapterConformance

    class TestMine(AdapterConformance):
        case = AdapterCase(adapter=Mine, examples=..., batch=...)

pytest then collects one test for each promise of `lsml.adapters.base`. Without pytest, `check(case)` runs them all and
returns what failed.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from lsml.adapters.base import API, Adapter, Data, Example, InteractiveAdapter, Target, TrainableAdapter
from lsml.controls import CONTROLS
from lsml.errors import NotEnoughData
from lsml.labeling import KNOWN_OBJECT_TAGS, ControlTag, Label
from lsml.labeling.documents import Dialogue, PlainText
from lsml.labeling.view import Film, View
from lsml.metrics import judge
from lsml.values import VALUE_TYPES, Choice, Mask, Number, Scored, Span, Track, Value, kind_of, label_of

_DECIDES = ("predictions", "training", "machine", "secret")
_PICKLE_NAMES = (".pkl", ".pickle", ".joblib")
_SEED = 7


@dataclass(frozen=True)
class AdapterCase:
    """An adapter with data to try it on.

    `examples`: enough to learn from, for a trainable adapter; `batch`: data to predict, at least three of them, different.
    `prompts`: for an interactive adapter, data with the regions that a person made there, at least one that it can answer.
    `tolerance`: how far a score or a number may be off between two runs on the same data, for libraries whose
    arithmetic depends on the batch. `path`: folders from which a fresh process imports the adapter, beside the usual ones.
    """

    adapter: type[Adapter]
    batch: Sequence[Data]
    examples: Sequence[Example] = ()
    prompts: Sequence[tuple[Data, Sequence[Value]]] = ()
    options: dict[str, Any] = field(default_factory=dict)
    target: Target = field(default_factory=Target)
    tolerance: float = 0.0
    path: Sequence[str] = ()

    def new(self) -> Adapter:
        """A new instance: the starting point."""
        return self.adapter(msgspec.convert(self.options, self.adapter.Options), self.target)

    def ready(self) -> Adapter:
        """An instance that answers: trained on the examples if it can learn, once for all checks."""
        if id(self) not in _READY:
            _READY[id(self)] = (self, self.trained())
        return _READY[id(self)][1]

    def trained(self) -> Adapter:
        """Another instance that answers, trained anew."""
        adapter = self.new()
        if isinstance(adapter, TrainableAdapter):
            adapter.fit(list(self.examples), _SEED)
        return adapter


# The case is kept beside its adapter, so that its id stays its own.
_READY: dict[int, tuple[AdapterCase, Adapter]] = {}


class AdapterConformance:
    """One test for each promise; subclass it with a `case`."""

    case: ClassVar[AdapterCase]

    def test_it_declares_itself(self) -> None:
        """Name, contract version, what it consumes and produces."""
        adapter = self.case.adapter
        assert adapter.api == API, f"api is {adapter.api}; this contract has version {API}"
        assert adapter.name, "name is empty"
        assert adapter.title, "title is empty"
        assert adapter.consumes, "consumes names no object tag"
        assert adapter.consumes <= set(KNOWN_OBJECT_TAGS), (
            f"consumes: {adapter.consumes - set(KNOWN_OBJECT_TAGS)} is unknown"
        )
        assert adapter.produces, "produces names no value type"
        assert adapter.produces <= set(VALUE_TYPES), "produces: not all of it is a value type"

    def test_every_option_is_described_bounded_by_a_type_and_has_a_default(self) -> None:
        """Without them neither the schema nor `lsml adapters` could tell what an option does."""
        options = self.case.adapter.Options
        options()  # every field has a default
        info = msgspec.inspect.type_info(options)
        assert isinstance(info, msgspec.inspect.StructType), "Options is no msgspec.Struct"
        assert info.forbid_unknown_fields, "Options accepts unknown options; add forbid_unknown_fields=True"
        for option in info.fields:
            where = f"option {option.encode_name}"
            meta = option.type
            assert isinstance(meta, msgspec.inspect.Metadata), f"{where} has no msgspec.Meta"
            assert (meta.extra_json_schema or {}).get("description"), f"{where} has no description"
            decides = (meta.extra or {}).get("decides")
            assert decides in _DECIDES, f"{where} decides {decides!r}; expected one of {', '.join(_DECIDES)}"
            assert not isinstance(meta.type, msgspec.inspect.AnyType), f"{where} takes anything; give it a type"

    def test_an_unknown_option_is_refused(self) -> None:
        """A misspelt option must not become a default in silence."""
        try:
            msgspec.convert({"no-such-option": 1}, self.case.adapter.Options)
        except msgspec.ValidationError:
            return
        raise AssertionError("Options accepts an unknown option; add forbid_unknown_fields=True")

    def test_importing_it_does_not_import_its_library(self) -> None:
        """`lsml validate` and the server start without it."""
        adapter = self.case.adapter
        code = f"import sys, {adapter.__module__}; print([m for m in {list(adapter.requires)!r} if m in sys.modules])"
        imported = self._fresh(code).strip()
        assert imported == "[]", f"importing {adapter.__module__} imports {imported}; import inside methods"

    def test_untrained_is_quiet(self) -> None:
        """What learnt nothing abstains."""
        adapter = self.case.new()
        if isinstance(adapter, TrainableAdapter) and not adapter.ready:
            answered = adapter.predict(list(self.case.batch))
            assert answered == [[] for _ in self.case.batch], "an untrained model answers"
        ready = self.case.ready()
        assert ready.ready, "it is not ready after training"

    def test_one_list_of_values_for_each_element_in_order(self) -> None:
        """As many lists as elements, each of what the adapter produces, in the order of the batch."""
        adapter, batch = self.case.ready(), list(self.case.batch)
        answered = adapter.predict(batch)
        assert len(answered) == len(batch), f"{len(answered)} answers for {len(batch)} elements"
        for values in answered:
            assert isinstance(values, (list, Scored)), f"an answer is a {type(values).__name__}; expected a list"
            for value in values:
                assert type(value) in self.case.adapter.produces, f"{value!r} is not what it produces"
        self._same(adapter.predict(batch[::-1])[::-1], answered, "the order of the batch changes the answers")

    def test_an_empty_batch_gives_an_empty_list(self) -> None:
        """No element, no answer."""
        assert self.case.ready().predict([]) == []

    def test_labels_are_the_ones_given(self) -> None:
        """Labels of the target; where that is open, of the examples."""
        adapter = self.case.ready()
        if adapter.own_names:
            return
        allowed = {None, *self.case.target.labels}
        if self.case.target.open:
            allowed |= {label_of(value) for example in self.case.examples for value in example.values}
        for values in adapter.predict(list(self.case.batch)):
            for value in values:
                assert label_of(value) in allowed, f"label {label_of(value)!r} was not given"

    def test_a_prediction_does_not_depend_on_its_neighbours(self) -> None:
        """One by one is as good as together."""
        adapter, batch = self.case.ready(), list(self.case.batch)
        alone = [adapter.predict([data])[0] for data in batch]
        self._same(adapter.predict(batch), alone, "an answer depends on its neighbours")

    def test_inputs_are_left_untouched(self) -> None:
        """Neither the batch nor the examples change."""
        batch = copy.deepcopy(list(self.case.batch))
        examples = copy.deepcopy(list(self.case.examples))
        files = {data: data.read_bytes() for data in batch if isinstance(data, Path)}
        adapter = self.case.new()
        if isinstance(adapter, TrainableAdapter):
            adapter.fit(examples, _SEED)
        adapter.predict(batch)
        assert batch == list(self.case.batch), "predict changed its batch"
        assert examples == list(self.case.examples), "fit changed its examples"
        for path, content in files.items():
            assert path.read_bytes() == content, f"{path.name} was changed"

    def test_values_survive_the_controls(self) -> None:
        """What is shown to annotators, they can give back: encode and decode."""
        adapter, batch = self.case.ready(), list(self.case.batch)
        answered = list(zip(batch, adapter.predict(batch), strict=True))
        if isinstance(adapter, InteractiveAdapter):
            answered += [(data, adapter.respond(data, prompts)) for data, prompts in self.case.prompts]
        for data, values in answered:
            for control in _controls_for(self.case.adapter, self.case.target, values):
                on = _shown(data, control)
                own = [value for value in values if isinstance(value, control.value_type)]
                task: dict[str, Any] = {}
                chosen = control.select(control.possible(own, task), lambda _label: 0.0)
                assert chosen or not own, f"{control.tag}: none of {own[:3]} can be shown"
                regions = control.encode(chosen, "object", on)
                for region in regions:
                    problem = control.check(region, task)
                    assert problem is None, f"{control.tag}: {problem}"
                decoded = list(control.decode(regions, on).values or ())
                expected = _encodable(control, chosen, on)
                assert len(decoded) == len(expected) and all(map(_alike, decoded, expected)), (
                    f"{control.tag}: not what was shown: {decoded[:3]} for {expected[:3]}"
                )

    def test_it_answers_what_a_person_made(self) -> None:
        """With values that it produces, labels of the target, the same ones each time; and nothing with nothing."""
        adapter = self.case.ready()
        if not isinstance(adapter, InteractiveAdapter):
            return
        assert self.case.prompts, "an interactive adapter needs `prompts` in its case"
        allowed = {None, *self.case.target.labels, *(() if self.case.target.labels else ("",))}
        answers = []
        for data, prompts in self.case.prompts:
            given = copy.deepcopy(list(prompts))
            values = adapter.respond(data, prompts)
            assert list(prompts) == given, "respond changed its prompts"
            self._same([adapter.respond(data, prompts)], [values], "the same prompts are answered otherwise")
            for value in values:
                assert type(value) in adapter.produces, f"{value!r} is not what it produces"
                assert self.case.target.open or label_of(value) in allowed, f"label {label_of(value)!r} was not given"
            answers += values
            assert adapter.respond(data, []) == [], "it answers where nothing was asked"
        assert answers, "it answers none of the prompts"

    def test_spans_count_code_points(self) -> None:
        """A sign in front of a text moves its spans by one character, also where it takes two units of UTF-16."""
        if Span not in self.case.adapter.produces:
            return
        adapter = self.case.ready()
        texts = [data for data in self.case.batch if isinstance(data, str)]
        texts += [example.data for example in self.case.examples if isinstance(example.data, str)]
        after_one = adapter.predict([f"\u2603 {text}" for text in texts])
        after_two = adapter.predict([f"\U0001f916 {text}" for text in texts])
        for one, two in zip(after_one, after_two, strict=True):
            plain, astral = _places(one), _places(two)
            moved = [(start + 1, end + 1) for start, end in plain]
            assert not plain or astral != moved, f"offsets count UTF-16 units: {astral[:3]} for {plain[:3]}"

    def test_four_threads_agree(self) -> None:
        """The server calls it from several threads at once."""
        adapter, batch, prompts = self.case.ready(), list(self.case.batch), list(self.case.prompts)

        def answered() -> list[Sequence[Value]]:
            responded = [adapter.respond(*one) for one in prompts] if isinstance(adapter, InteractiveAdapter) else []
            return [*adapter.predict(batch), *responded]

        expected = answered()
        answers: list[Any] = []

        def ask() -> None:
            for _ in range(10):
                try:
                    answers.append(answered())
                except Exception as error:
                    answers.append(error)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for answer in answers:
            assert not isinstance(answer, Exception), f"a thread failed: {answer!r}"
            self._same(answer, expected, "threads disagree")

    def test_too_few_examples_raise_not_enough_data(self) -> None:
        """With a sentence, and nothing else."""
        adapter = self.case.new()
        if not isinstance(adapter, TrainableAdapter):
            return
        for examples in ([], list(self.case.examples)[:1]):
            try:
                adapter.fit(examples, _SEED)
            except NotEnoughData as error:
                assert str(error), "NotEnoughData without a sentence"
            else:
                raise AssertionError(f"fit learns from {len(examples)} examples")

    def test_fit_beats_the_commonest_answer(self) -> None:
        """On its own examples, a model must do better than one that always says the same."""
        if not isinstance(self.case.new(), TrainableAdapter):
            return
        answered = self.case.ready().predict([example.data for example in self.case.examples])
        kinds = {type(value) for example in self.case.examples for value in example.values}
        for kind in kinds - {Choice, Number}:
            of_kind = [
                ([v for v in example.values if isinstance(v, kind)], [v for v in values if isinstance(v, kind)])
                for example, values in zip(self.case.examples, answered, strict=True)
            ]
            judged = judge(kind, of_kind)
            assert (judged["value"] or 0) > 0, f"it finds nothing of its own examples ({judged['metric']} is 0)"
        if not kinds & {Choice, Number}:
            return
        numbers = [
            value.value for example in self.case.examples for value in example.values if isinstance(value, Number)
        ]
        if numbers:
            mean = sum(numbers) / len(numbers)
            pairs = [
                (next(v.value for v in example.values if isinstance(v, Number)), values)
                for example, values in zip(self.case.examples, answered, strict=True)
                if any(isinstance(v, Number) for v in example.values)
            ]
            error = sum(
                (truth - next(v.value for v in values if isinstance(v, Number))) ** 2 for truth, values in pairs
            )
            assert error < sum((truth - mean) ** 2 for truth, _ in pairs), "it is no better than the mean"
            return
        truths = [_labels(example.values) for example in self.case.examples]
        said = [_best(values, self.case.target.multiple) for values in answered]
        right = sum(truth == guess for truth, guess in zip(truths, said, strict=True))
        commonest = Counter(truths).most_common(1)[0][1]
        assert right > commonest, f"{right} of {len(truths)} right; always the commonest answer gets {commonest}"

    def test_the_same_examples_and_seed_give_the_same_model(self) -> None:
        """So that a training can be repeated."""
        batch = list(self.case.batch)
        self._same(self.case.trained().predict(batch), self.case.ready().predict(batch), "two trainings differ")

    def test_a_saved_version_loads_in_a_fresh_process_from_a_moved_folder(self) -> None:
        """Versions are saved in one process and served in another, and folders move."""
        adapter, batch = self.case.ready(), list(self.case.batch)
        if not isinstance(adapter, TrainableAdapter):
            return
        with tempfile.TemporaryDirectory() as directory:
            made, moved = Path(directory) / "made", Path(directory) / "moved"
            made.mkdir()
            adapter.save(made)
            _no_pickles(made)
            made.rename(moved)
            code = (
                "import json, sys, msgspec, pathlib\n"
                f"from {type(adapter).__module__} import {type(adapter).__qualname__} as Adapter\n"
                "from lsml.adapters.base import Target\n"
                "given = json.load(sys.stdin)\n"
                "target = msgspec.convert(given['target'], Target)\n"
                "adapter = Adapter(msgspec.convert(given['options'], Adapter.Options), target)\n"
                "adapter.load(pathlib.Path(given['folder']))\n"
                "batch = [pathlib.Path(data) for data in given['batch']] if given['paths'] else given['batch']\n"
                "assert adapter.ready, 'it is not ready after load'\n"
                "print(msgspec.json.encode([list(values) for values in adapter.predict(batch)]).decode())\n"
            )
            given = {
                "options": self.case.options,
                "target": msgspec.to_builtins(self.case.target),
                "folder": str(moved),
                "batch": [str(data) for data in batch],
                "paths": any(isinstance(data, Path) for data in batch),
            }
            printed = self._fresh(code, json.dumps(given))
        loaded = msgspec.json.decode(printed.splitlines()[-1], type=list[list[Value]])
        self._same(loaded, adapter.predict(batch), "the loaded version answers otherwise")

    def _fresh(self, code: str, given: str = "") -> str:
        """What `code` prints in a new interpreter."""
        setup = f"import sys; sys.path[:0] = {[*self.case.path, *sys.path]!r}\n"
        done = subprocess.run(
            [sys.executable, "-c", setup + code], input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def _same(self, found: Sequence[Sequence[Value]], expected: Sequence[Sequence[Value]], message: str) -> None:
        assert len(found) == len(expected), message
        for ours, theirs in zip(found, expected, strict=True):
            assert len(ours) == len(theirs), f"{message}: {ours} and {theirs}"
            for one, other in zip(ours, theirs, strict=True):
                assert self._close(one, other), f"{message}: {one} and {other}"

    def _close(self, one: Value, other: Value) -> bool:
        return _alike(one, other, self.case.tolerance, exactly=True)


def checks() -> list[str]:
    """The names of all checks, in the order of the contract."""
    return [name for name in vars(AdapterConformance) if name.startswith("test_")]


def check(case: AdapterCase) -> dict[str, str]:
    """Run every check; what failed, by name, with the reason."""
    suite = type("Suite", (AdapterConformance,), {"case": case})()
    failures = {}
    for name in checks():
        try:
            getattr(suite, name)()
        except Exception as error:
            # A broken adapter may raise anything; each check reports and the next one runs.
            failures[name] = str(error) or type(error).__name__
    return failures


def _shown(data: Data, control: Any) -> View:
    """What a control is told of the data of a case; a text is a dialogue of one piece where it answers for nothing else."""
    if not isinstance(data, Path):
        return View(data, document=Dialogue([data]) if control.objects == {"Paragraphs"} else PlainText(data))
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(data) as image:
            return View(data, size=image.size)
    except UnidentifiedImageError:
        return _shown_video(data)


def _shown_video(path: Path) -> View:
    """The same of a video, whose tag counts its frames as the file does."""
    import cv2

    video = cv2.VideoCapture(str(path))
    try:
        rate, frames = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
        size = int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
    finally:
        video.release()
    assert rate > 0 and frames > 0, f"{path.name} is neither a picture nor a video that OpenCV reads"
    return View(path, size=size, film=Film(rate, frames / rate))


def _controls_for(adapter: type[Adapter], target: Target, values: Sequence[Value]) -> list[Any]:
    """A control of each kind that can show what the adapter answers."""
    names = target.labels or tuple(label for value in values if (label := label_of(value)))
    labels = tuple(Label(value=name, path=(name,)) for name in dict.fromkeys(names))
    attributes = {"Choices": {"choice": "multiple" if target.multiple else "single"}}
    made = []
    for tag, control in CONTROLS.items():
        if control.value_type not in adapter.produces or tag == "Taxonomy":
            continue
        if target.kinds and kind_of(control.value_type) not in target.kinds:
            continue
        if control.companion_tag is not None:
            companion = ControlTag(control.companion_tag, "labels", ("object",), labels)
            made.append(control(ControlTag(tag, "control", ("object",)), companion))
        else:
            made.append(control(ControlTag(tag, "control", ("object",), labels, attributes.get(tag, {}))))
    return made


def _encodable(control: Any, values: Sequence[Value], on: View) -> list[Value]:
    """What a control can say of values: numbers in its range and steps, masks of the image's size, tracks on frames."""
    if any(isinstance(value, Number | Track) for value in values):
        return list(control.decode(control.encode(values, "object", on), on).values or ())
    return [_resized(value, on.size) if isinstance(value, Mask) and on.size else value for value in values]


def _resized(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask in the size of its image, as the controls write it."""
    from lsml.values.geometry import resized_pixels

    facts = {name: getattr(mask, name) for name in ("score", "item", "group")}
    return Mask.from_pixels(resized_pixels(mask.pixels(), *size), mask.label, **facts)


def _places(values: Sequence[Value]) -> list[tuple[int, int]]:
    return [(value.start, value.end) for value in values if isinstance(value, Span)]


_BESIDE = frozenset({"score", "group", "aspect"})  # what a value has beside what it says


def _alike(one: Any, other: Any, tolerance: float = 1e-6, exactly: bool = False) -> bool:
    """Whether two values say the same: numbers may differ by `tolerance`; `exactly`: in scores and groups, too."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= tolerance
    if type(one) is not type(other):
        return False
    if isinstance(one, msgspec.Struct):
        names = [name for name in one.__struct_fields__ if exactly or name not in _BESIDE]
        return all(_alike(getattr(one, name), getattr(other, name), tolerance, exactly) for name in names)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(
            _alike(ours, theirs, tolerance, exactly) for ours, theirs in zip(one, other, strict=True)
        )
    return bool(one == other)


def _labels(values: Sequence[Value]) -> tuple[str, ...]:
    return tuple(sorted(value.label for value in values if isinstance(value, Choice)))


def _best(values: Sequence[Value], multiple: bool) -> tuple[str, ...]:
    choices = [value for value in values if isinstance(value, Choice)]
    if multiple:
        return _labels([value for value in choices if (value.score or 0.0) >= 0.5])
    return _labels([max(choices, key=lambda value: value.score or 0.0)]) if choices else ()


def _no_pickles(directory: Path) -> None:
    """Nothing in a saved folder may run when it is loaded."""
    for path in directory.rglob("*"):
        if not path.is_file():
            continue
        names = [path.name]
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names += archive.namelist()
        pickled = [name for name in names if name.endswith(_PICKLE_NAMES)]
        head = path.read_bytes()[:2]
        assert not pickled and not (head[:1] == b"\x80" and head[1:] <= b"\x05"), f"{path.name} is a pickle"
