"""What models answered is kept by model, content and floor, within a number of bytes, and computed once at a time."""

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest

from lsml.adapters.base import Adapter, PageRegion, Prompted, Target
from lsml.binding import bind
from lsml.labeling import parse_labeling_config
from lsml.labeling.items import Items
from lsml.labeling.series import Series
from lsml.prediction import PredictionCache, Predictor, predict_tasks
from lsml.prediction.contents import content_of, held_bytes
from lsml.recipe import load_recipe
from lsml.values import AssignedValues, Box, Choice, DecidedSpans, Mask, Scored, Span
from tests.support.fetching import no_fetch


class Recording(Adapter):
    """Answers with the length of what it reads, and keeps which batches it was asked; `hold` makes it wait."""

    name = "recording"
    title = "for tests"
    consumes: ClassVar = frozenset({"Text"})
    produces: ClassVar = frozenset({Choice})

    def __init__(self, asks_service=False):
        super().__init__(Adapter.Options(), Target())
        self.batches = []
        self.asks_service = asks_service
        self.hold = threading.Event()
        self.hold.set()
        self.busy = threading.Event()

    def predict(self, batch):
        self.batches.append(list(batch))
        self.busy.set()
        assert self.hold.wait(20)
        if "broken" in batch:
            raise RuntimeError("the model broke")
        return [[Choice(str(len(Path(one).read_bytes() if isinstance(one, Path) else one)), 0.5)] for one in batch]


@pytest.fixture
def found():
    return {}


@pytest.fixture
def cache(found):
    return PredictionCache(
        100_000, lambda how, elements: found.update({how: found.get(how, 0) + elements}), quick_s=0.0
    )


def asked(cache, adapter, *batch, floor=0.0):
    return [values[0].label for values in cache.ask(adapter, batch, floor)]


def test_an_equal_element_is_computed_once_and_only_new_ones_reach_the_model(cache, found):
    adapter = Recording()
    assert asked(cache, adapter, "a", "bb") == ["1", "2"]
    assert asked(cache, adapter, "bb", "ccc", "a", "ccc") == ["2", "3", "1", "3"]
    assert adapter.batches == [["a", "bb"], ["ccc"]]
    assert found == {"miss": 3, "hit": 2, "shared": 1}


def test_another_model_and_another_floor_are_asked_themselves(cache):
    first, second = Recording(), Recording()
    asked(cache, first, "a")
    asked(cache, second, "a")
    asked(cache, first, "a", floor=0.5)
    assert (len(first.batches), len(second.batches)) == (2, 1)


def test_a_service_which_may_change_and_a_cache_of_no_bytes_are_asked_each_time(cache):
    service, adapter = Recording(asks_service=True), Recording()
    none = PredictionCache(0)
    for _ in range(2):
        asked(cache, service, "a")
        asked(none, adapter, "a")
    assert (len(service.batches), len(adapter.batches), cache.bytes, none.bytes) == (2, 2, 0, 0)


def test_a_model_that_is_as_quick_as_the_cache_is_asked_each_time_and_one_that_became_slow_is_not():
    adapter = Recording()
    quick = PredictionCache(100_000, quick_s=60.0)
    for _ in range(3):
        asked(quick, adapter, "a")
    assert (len(adapter.batches), quick.bytes > 0) == (3, True), "the first shows how long it takes"
    slow = PredictionCache(100_000, quick_s=0.0)
    for _ in range(3):
        asked(slow, adapter, "a")
    assert len(adapter.batches) == 4


def test_what_was_not_used_for_longest_goes_first_and_the_bytes_keep_to_the_budget():
    adapter = Recording()
    one = PredictionCache(100_000, quick_s=0.0)
    asked(one, adapter, "a")
    cache = PredictionCache(3 * one.bytes, quick_s=0.0)
    for text in ("a", "b", "c", "a", "d"):
        asked(cache, adapter, text)
    assert cache.bytes <= 3 * one.bytes
    adapter.batches.clear()
    asked(cache, adapter, "a", "b", "c", "d")
    assert adapter.batches == [["b"]]


def test_an_answer_larger_than_the_cache_is_not_kept():
    adapter, cache = Recording(), PredictionCache(10, quick_s=0.0)
    assert asked(cache, adapter, "a") == asked(cache, adapter, "a") == ["1"]
    assert (len(adapter.batches), cache.bytes) == (2, 0)


def test_a_model_that_is_no_longer_served_leaves_no_bytes(cache):
    adapter, other = Recording(), Recording()
    asked(cache, adapter, "a")
    before = cache.bytes
    del adapter
    gc.collect()
    asked(cache, other, "b")
    assert cache.bytes == before


def test_a_file_is_known_by_its_content(cache, tmp_path):
    adapter = Recording()
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("same")
    second.write_text("same")
    assert asked(cache, adapter, first) == asked(cache, adapter, second) == ["4"]
    assert len(adapter.batches) == 1
    first.write_text("other now")
    assert asked(cache, adapter, first) == ["9"]


def test_a_file_that_changes_while_it_is_read_is_not_kept(cache, tmp_path):
    adapter = Recording()
    file = tmp_path / "a.txt"
    file.write_text("old")
    adapter.hold.clear()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(asked, cache, adapter, file)
        assert adapter.busy.wait(20)
        file.write_text("changed")
        adapter.hold.set()
        assert answer.result() == ["7"]
    file.write_text("old")
    assert asked(cache, adapter, file) == ["3"]


def test_requests_that_are_equal_at_the_same_moment_are_computed_once(cache, found):
    adapter = Recording()
    adapter.hold.clear()
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(asked, cache, adapter, "a", "bb")
        assert adapter.busy.wait(20)
        others = [pool.submit(asked, cache, adapter, "bb") for _ in range(4)]
        while found.get("shared", 0) < 4:
            time.sleep(0.001)
        adapter.hold.set()
        assert first.result() == ["1", "2"]
        assert [one.result() for one in others] == [["2"]] * 4
    assert adapter.batches == [["a", "bb"]]


def test_a_small_request_does_not_wait_for_a_large_one(cache):
    adapter = Recording()
    adapter.hold.clear()
    with ThreadPoolExecutor(2) as pool:
        large = pool.submit(asked, cache, adapter, *map(str, range(100)))
        assert adapter.busy.wait(20)
        adapter.busy.clear()
        small = pool.submit(asked, cache, adapter, "7")
        assert adapter.busy.wait(20), "it computes its own"
        adapter.hold.set()
        assert (small.result(), len(large.result())) == (["1"], 100)
    assert adapter.batches[1] == ["7"]


def test_a_failure_is_kept_for_nobody_and_does_not_fail_the_request_that_waited(cache, found):
    adapter = Recording()
    adapter.hold.clear()
    with ThreadPoolExecutor(2) as pool:
        broken = pool.submit(asked, cache, adapter, "fine", "broken")
        assert adapter.busy.wait(20)
        waiting = pool.submit(asked, cache, adapter, "fine")
        while not found.get("shared"):
            time.sleep(0.001)
        adapter.hold.set()
        with pytest.raises(RuntimeError, match="the model broke"):
            broken.result()
        assert waiting.result() == ["4"]
    assert asked(cache, adapter, "fine") == ["4"]


BOX = Box(label="a", x=0.1, y=0.1, width=0.2, height=0.2)


def test_content_is_told_apart_whatever_it_is(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("1,2")
    same = tmp_path / "b.csv"
    same.write_text("1,2")
    page = PageRegion((BOX,), 0)
    every = [
        *("a", "b", {"a": 1}, {"a": "1"}, {"a": 1, "b": None}, file, Path(file).rename(tmp_path / "a.json")),
        *(Items(("l", "r"), ("a", "b")), Items(("l", "r"), ("ab", "")), Items(("l",), (), (str(same),))),
        *(Series(str(same)), Series(str(same), time="t"), Series(None, {"t": [1, 2]}), Series(str(same), begin=1.0)),
        *(page, PageRegion((BOX,), 1), Prompted("a", (BOX,)), Prompted("a", ()), Prompted(same, ()), same),
    ]
    every.remove(file)
    contents = [content_of(one) for one in every]
    assert None not in contents
    assert len(set(contents)) == len(every)
    assert content_of({"b": 1, "a": 2}) == content_of({"a": 2, "b": 1})
    assert content_of("\ud800") is not None


def test_what_cannot_be_known_is_never_kept(cache, tmp_path):
    assert content_of(object()) is content_of(tmp_path / "none") is content_of(Prompted(object(), ())) is None
    adapter = Recording()
    data = (1, 2)
    assert asked(cache, adapter, data) == asked(cache, adapter, data) == ["2"]
    assert len(adapter.batches) == 2


@pytest.mark.parametrize(
    ("small", "large"),
    [
        (Scored(["a"], frozenset("a"), [0.5]), Scored(["a", "b"], frozenset("ab"), [0.5, 0.5])),
        ([Choice("a", 0.5)], [Choice("a", 0.5)] * 2),
        (DecidedSpans([], decisions=[0.5]), DecidedSpans([Span(0, 1, "a")], decisions=[0.5] * 100)),
        (AssignedValues({"a": [Choice("x")]}), AssignedValues({"a": [Choice("x")], "b": [Choice("y" * 1000)]})),
        ([BOX], [Mask(label="a", width=100, height=100, runs=(0, *[1] * 10_000))]),
    ],
)
def test_more_values_take_more_bytes(small, large):
    assert 0 < held_bytes(small) < held_bytes(large)


def test_what_a_person_marks_is_answered_anew_each_time(cache, found):
    recipe = load_recipe(Path("recipes/keywords.yaml"))
    binding = bind(recipe, parse_labeling_config(recipe.labeling_config))
    adapters = {model.key: model.new_adapter() for model in binding.models}
    predictor = Predictor(binding, adapters, no_fetch, "k-v0-0", ask=cache.ask)
    task = {"id": 1, "data": {"text": "Rust and Vim, Emacs and Vim, Emacs"}}

    def marked(start, end):
        value = {"start": start, "end": end, "text": task["data"]["text"][start:end], "labels": ["Product"]}
        drawn = [{"id": "x", "from_name": "mention", "to_name": "text", "type": "labels", "value": value}]
        (outcome,) = predict_tasks(predictor, [task], drawn=drawn)
        return [region["value"]["text"] for region in outcome.prediction["result"]]

    assert [marked(9, 12), marked(14, 19)] == [["Vim"], ["Emacs"]]
    assert found == {}, "it never asked the cache"
    for _ in range(2):
        (outcome,) = predict_tasks(predictor, [task])
        assert [region["value"]["text"] for region in outcome.prediction["result"]] == ["Rust"]
    assert found == {"miss": 1, "hit": 1}
