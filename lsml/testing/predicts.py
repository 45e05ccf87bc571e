"""Checks of predictions, and of answers to what a person drew."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from pathlib import Path

from lsml.adapters.base import InteractiveAdapter, TrainableAdapter
from lsml.testing.case import SEED
from lsml.testing.compare import alike, places
from lsml.testing.suite import Suite
from lsml.testing.views import controls_for, encodable, view_of
from lsml.values import Scored, Span, Value, label_of


class Predicts(Suite):
    """Checks of order, labels, independence, threads, and of the way through the controls and back."""

    def test_untrained_is_quiet(self) -> None:
        """An untrained model abstains."""
        adapter = self.case.new()
        if isinstance(adapter, TrainableAdapter) and not adapter.ready:
            answered = adapter.predict(list(self.case.batch))
            assert answered == [[] for _ in self.case.batch], "an untrained model predicts"
        ready = self.case.ready()
        assert ready.ready, "it is not ready after training"

    def test_one_list_of_values_for_each_element_in_order(self) -> None:
        """There are as many lists as elements, in the order of the batch, each of value types that the adapter produces."""
        adapter, batch = self.case.ready(), list(self.case.batch)
        answered = adapter.predict(batch)
        assert len(answered) == len(batch), f"{len(answered)} lists of values for {len(batch)} elements"
        for values in answered:
            assert isinstance(values, (list, Scored)), f"a result is a {type(values).__name__}; expected a list"
            for value in values:
                assert type(value) in self.case.adapter.produces, f"{value!r} is not what it produces"
        self.same(adapter.predict(batch[::-1])[::-1], answered, "the order of the batch changes the results")

    def test_an_empty_batch_gives_an_empty_list(self) -> None:
        """Without elements there are no predictions."""
        assert self.case.ready().predict([]) == []

    def test_labels_are_the_ones_given(self) -> None:
        """Labels are those of the target; where the target is open, those of the examples."""
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
        """An element is predicted alike alone and in a batch."""
        adapter, batch = self.case.ready(), list(self.case.batch)
        alone = [adapter.predict([data])[0] for data in batch]
        self.same(adapter.predict(batch), alone, "a result depends on its neighbours")

    def test_inputs_are_left_untouched(self) -> None:
        """Neither the batch nor the examples change."""
        batch = copy.deepcopy(list(self.case.batch))
        examples = copy.deepcopy(list(self.case.examples))
        files = {data: data.read_bytes() for data in batch if isinstance(data, Path)}
        adapter = self.case.new()
        if isinstance(adapter, TrainableAdapter):
            adapter.fit(examples, SEED)
        adapter.predict(batch)
        assert batch == list(self.case.batch), "predict changed its batch"
        assert examples == list(self.case.examples), "fit changed its examples"
        for path, content in files.items():
            assert path.read_bytes() == content, f"{path.name} was changed"

    def test_values_survive_the_controls(self) -> None:
        """A value that is encoded as a region and decoded again stays the same."""
        adapter, batch = self.case.ready(), list(self.case.batch)
        answered = list(zip(batch, adapter.predict(batch), strict=True))
        if isinstance(adapter, InteractiveAdapter):
            answered += [(data, adapter.respond(data, prompts)) for data, prompts in self.case.prompts]
        for data, values in answered:
            for control in controls_for(self.case.adapter, self.case.target, values):
                on = view_of(data, control)
                own = [value for value in values if isinstance(value, control.value_type)]
                task: dict[str, object] = {}
                chosen = control.select(control.possible(own, task), lambda _label: 0.0)
                assert chosen or not own, f"{control.tag}: none of {own[:3]} can be written as a region"
                regions = control.encode(chosen, "object", on)
                for region in regions:
                    problem = control.check(region, task)
                    assert problem is None, f"{control.tag}: {problem}"
                decoded = list(control.decode(regions, on).values or ())
                expected = encodable(control, chosen, on)
                assert len(decoded) == len(expected) and all(map(alike, decoded, expected)), (
                    f"{control.tag}: decoding gives {decoded[:3]} for {expected[:3]}"
                )

    def test_it_answers_what_a_person_made(self) -> None:
        """Answers are values that it produces, with labels of the target, and are repeatable. Without prompts there are
        none.
        """
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
            self.same([adapter.respond(data, prompts)], [values], "the same prompts get another answer")
            for value in values:
                assert type(value) in adapter.produces, f"{value!r} is not what it produces"
                assert self.case.target.open or label_of(value) in allowed, f"label {label_of(value)!r} was not given"
            answers += values
            assert adapter.respond(data, []) == [], "it answers without a prompt"
        assert answers, "it answers none of the prompts"

    def test_spans_count_code_points(self) -> None:
        """A character in front of a text moves its spans by one, also where it takes two units of UTF-16."""
        if Span not in self.case.adapter.produces:
            return
        adapter = self.case.ready()
        texts = [data for data in self.case.batch if isinstance(data, str)]
        texts += [example.data for example in self.case.examples if isinstance(example.data, str)]
        after_one = adapter.predict([f"\u2603 {text}" for text in texts])
        after_two = adapter.predict([f"\U0001f916 {text}" for text in texts])
        for one, two in zip(after_one, after_two, strict=True):
            plain, astral = places(one), places(two)
            shifted = [(start + 1, end + 1) for start, end in plain]
            assert not plain or astral != shifted, f"offsets count UTF-16 units: {astral[:3]} for {plain[:3]}"

    def test_four_threads_agree(self) -> None:
        """The server calls an adapter from several threads at once."""
        adapter, batch, prompts = self.case.ready(), list(self.case.batch), list(self.case.prompts)

        def answered() -> list[Sequence[Value]]:
            responded = [adapter.respond(*one) for one in prompts] if isinstance(adapter, InteractiveAdapter) else []
            return [*adapter.predict(batch), *responded]

        expected = answered()
        answers: list[Exception | Sequence[Sequence[Value]]] = []

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
            self.same(answer, expected, "threads disagree")
