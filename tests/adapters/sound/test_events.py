"""The adapter of sound events: how well it finds sounds that are known, what it refuses and leaves out."""

import pytest

from lsml.adapters.base import Example, NotEnoughData, Target
from lsml.adapters.parts.segmented_files import SegmentOptions
from lsml.adapters.sound.events import SoundEvents
from lsml.errors import AdapterError
from lsml.metrics import judge
from lsml.values import Interval
from tests.support.sounds import KINDS, scenes


def learnt(examples, labels=KINDS, **options):
    adapter = SoundEvents(SegmentOptions(**options), Target(labels, multiple=True, kinds={"interval": labels}))
    adapter.fit(examples, seed=1)
    return adapter


def f1(adapter, examples):
    answers = adapter.predict([example.data for example in examples])
    return judge(Interval, list(zip([example.values for example in examples], answers, strict=True)))["value"]


@pytest.mark.slow
def test_ten_recordings_teach_the_sounds_of_ten_others(tmp_path):
    adapter = learnt(scenes(tmp_path, range(10)))
    others = scenes(tmp_path, range(100, 110))
    assert f1(adapter, others) >= 0.9
    [values] = adapter.predict([others[0].data])
    starts = [value.start for value in others[0].values]
    assert all(min(abs(value.start - start) for start in starts) < 0.1 for value in values)


def test_of_one_kind_that_is_marked_the_others_are_nothing(tmp_path):
    adapter = learnt(scenes(tmp_path, range(8), ("Whistle",)), ("Whistle",), iterations=15)
    assert f1(adapter, scenes(tmp_path, range(100, 106), ("Whistle",))) >= 0.9


def test_what_is_no_sound_costs_itself_alone_when_it_is_learnt_and_is_named_when_it_is_asked_about(tmp_path):
    text = tmp_path / "text.wav"
    text.write_text("no sound at all")
    adapter = learnt([*scenes(tmp_path, range(3)), Example(text, (Interval(0, 1, "Hum"),))], iterations=3)
    [note] = adapter.notes
    assert note.startswith("1 recordings not used for training: is not a sound")
    with pytest.raises(AdapterError, match=r"^text\.wav: is not a sound "):
        adapter.predict([text])


def test_too_little_to_learn_from_is_said(tmp_path):
    with pytest.raises(
        NotEnoughData, match="^1 of 1 recordings have an annotated segment; annotate at least two recordings$"
    ):
        learnt(scenes(tmp_path, range(1)))
