"""video-events: how well it finds scenes that are known, what it refuses and leaves out."""

from __future__ import annotations

import pytest

from lsml.adapters.base import Example, NotEnoughData, Target, silent
from lsml.adapters.video import events
from lsml.adapters.video.events import VideoEvents, VideoEventsOptions
from lsml.errors import AdapterError
from lsml.metrics import judge
from lsml.values import Interval
from tests.support.films import SCENES, scene_films


def learnt(examples, labels=SCENES, progress=silent, **options):
    adapter = VideoEvents(VideoEventsOptions(**options), Target(labels, multiple=True, kinds={"interval": labels}))
    adapter.fit(examples, 1, progress)
    return adapter


def f1(adapter, examples):
    answers = adapter.predict([example.data for example in examples])
    return judge(Interval, list(zip([example.values for example in examples], answers, strict=True)))["value"]


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    return scene_films(folder, range(6)), scene_films(folder, range(100, 103))


@pytest.fixture(scope="module")
def adapter(films):
    return learnt(films[0], iterations=20)


def test_a_few_videos_teach_the_scenes_of_others(films, adapter):
    assert f1(adapter, films[1]) >= 0.9
    for example, found in zip(films[1], adapter.predict([example.data for example in films[1]]), strict=True):
        for value in example.values:
            near = min((abs(one.start - value.start) for one in found if one.label == value.label), default=9.0)
            assert near <= 0.3, value


def test_what_changes_by_its_motion_alone_is_told_apart(films):
    moving = tuple({"Move", "Still"})
    only = [Example(e.data, tuple(v for v in e.values if v.label in moving)) for e in films[0]]
    others = [Example(e.data, tuple(v for v in e.values if v.label in moving)) for e in films[1]]
    assert f1(learnt(only, moving, iterations=12), others) >= 0.75


def test_it_learns_from_all_videos_again_so_that_none_is_forgotten(films, adapter):
    assert f1(adapter, films[0]) >= 0.95


def test_a_version_predicts_as_it_did_when_it_was_saved(films, adapter, tmp_path):
    adapter.save(tmp_path)
    loaded = VideoEvents(adapter.options, adapter.target)
    loaded.load(tmp_path)
    path = films[1][0].data
    assert loaded.predict([path]) == adapter.predict([path])


def test_broken_videos_cost_themselves_alone_and_each_is_decoded_and_counted_once(
    films, adapter, tmp_path, monkeypatch
):
    whole = films[0][0].data.read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.avi").write_text("<html>")
    more = [Example(tmp_path / name, films[0][0].values) for name in ("cut.avi", "page.avi")]
    decoded, told = [], []
    footage_of = events.footage_of
    monkeypatch.setattr(events, "footage_of", lambda path, rate: decoded.append(path) or footage_of(path, rate))
    # Six videos have a calibration, which reads all of them again.
    examples = [*films[0][:4], *more]
    tried = learnt(examples, iterations=3, progress=lambda share, doing: told.append(doing))
    assert sorted(decoded) == sorted(example.data for example in examples)
    assert told[-1] == "trained on 5 videos"
    assert tried.notes == (
        "1 videos not used for training: cannot be read as a video; convert it to MP4 (H.264)",
        "1 videos end early, and were used as far as they can be decoded",
    )
    with pytest.raises(AdapterError, match=r"^page\.avi: cannot be read as a video"):
        adapter.predict([tmp_path / "page.avi"])


def test_too_little_to_learn_from_is_said(films):
    with pytest.raises(NotEnoughData, match="^1 of 1 videos have an annotated segment; annotate at least two videos$"):
        learnt(films[0][:1])
