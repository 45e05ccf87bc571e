"""Checks of fitting, saving and loading."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path

import msgspec

from lsml.adapters.base import PageRegion, TrainableAdapter
from lsml.errors import NotEnoughData
from lsml.files.pickles import pickle_in
from lsml.labeling.items import Items
from lsml.labeling.series import Series
from lsml.metrics import judge
from lsml.testing.case import SEED
from lsml.testing.compare import best_of, labels_of
from lsml.testing.suite import Suite
from lsml.values import Choice, Marked, Number, Value

_KINDS = {
    Series: "series",
    Path: "paths",
    PageRegion: "regions",
    Items: "items",
    Marked: "marked",
}  # of data that JSON does not hold as they are


class Learns(Suite):
    """Checks of fitting, saving and loading, for a trainable adapter."""

    def test_too_few_examples_raise_not_enough_data(self) -> None:
        """The error is NotEnoughData with a sentence, and no other."""
        adapter = self.case.new()
        if not isinstance(adapter, TrainableAdapter):
            return
        for examples in ([], list(self.case.examples)[:1]):
            try:
                adapter.fit(examples, SEED)
            except NotEnoughData as error:
                assert str(error), "NotEnoughData without a message"
            else:
                raise AssertionError(f"fit accepts {len(examples)} examples")

    def test_fit_beats_the_commonest_answer(self) -> None:
        """On its own examples, a model must do better than one that always gives the most frequent answer."""
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
            assert (judged["value"] or 0) > 0, f"it finds nothing in its own examples ({judged['metric']} is 0)"
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
            assert error < sum((truth - mean) ** 2 for truth, _ in pairs), "it is no better than predicting the mean"
            return
        truths = [labels_of(example.values) for example in self.case.examples]
        said = [best_of(values, multiple=self.case.target.multiple) for values in answered]
        right = sum(truth == guess for truth, guess in zip(truths, said, strict=True))
        commonest = Counter(truths).most_common(1)[0][1]
        assert right > commonest, (
            f"{right} of {len(truths)} right; always predicting the commonest label gets {commonest}"
        )

    def test_the_same_examples_and_seed_give_the_same_model(self) -> None:
        """Training can be repeated."""
        batch = list(self.case.batch)
        self.same(self.case.trained().predict(batch), self.case.ready().predict(batch), "two trainings differ")

    def test_a_saved_version_loads_in_a_fresh_process_from_a_moved_folder(self) -> None:
        """Versions are saved in one process and served in another, and folders move."""
        adapter, batch = self.case.ready(), list(self.case.batch)
        if not isinstance(adapter, TrainableAdapter):
            return
        with tempfile.TemporaryDirectory() as directory:
            made, moved = Path(directory) / "made", Path(directory) / "moved"
            made.mkdir()
            adapter.save(made)
            found = pickle_in(made)
            assert found is None, f"{found} is a pickle"
            made.rename(moved)
            code = (
                "import json, sys, msgspec, pathlib\n"
                f"from {type(adapter).__module__} import {type(adapter).__qualname__} as Adapter\n"
                "from lsml.adapters.base import Target\n"
                "given = json.load(sys.stdin)\n"
                "target = msgspec.convert(given['target'], Target)\n"
                "adapter = Adapter(msgspec.convert(given['options'], Adapter.Options), target)\n"
                "adapter.load(pathlib.Path(given['folder']))\n"
                "from lsml.labeling.items import Items\n"
                "from lsml.labeling.series import Series\n"
                "from lsml.adapters.base import PageRegion\n"
                "from lsml.values import Marked\n"
                "kinds = {'paths': pathlib.Path, 'series': lambda data: msgspec.convert(data, Series),\n"
                "         'regions': lambda data: msgspec.convert(data, PageRegion),\n"
                "         'marked': lambda data: msgspec.convert(data, Marked),\n"
                "         'items': lambda data: msgspec.convert(data, Items)}\n"
                "made = kinds.get(given['kind'])\n"
                "batch = list(map(made, given['batch'])) if made else given['batch']\n"
                "assert adapter.ready, 'it is not ready after load'\n"
                "print(msgspec.json.encode([list(values) for values in adapter.predict(batch)]).decode())\n"
            )
            given = {
                "options": self.case.options,
                "target": msgspec.to_builtins(self.case.target),
                "folder": str(moved),
                "batch": [str(data) if isinstance(data, Path) else msgspec.to_builtins(data) for data in batch],
                "kind": next((name for kind, name in _KINDS.items() if isinstance(batch[0], kind)), ""),
            }
            printed = self.fresh(code, json.dumps(given))
        loaded = msgspec.json.decode(printed.splitlines()[-1], type=list[list[Value]])
        self.same(loaded, adapter.predict(batch), "the loaded version predicts something else")
