"""Parts of recordings: what each holds, that each is made once, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from lsml.labeling.objects import Unreadable
from lsml.media.recordings import cut_stretches
from tests.support.sounds import write_sound

soundfile = pytest.importorskip("soundfile")
RATE = 8000


@pytest.fixture
def recording(tmp_path):
    """Three seconds that are 0.1, 0.2 and 0.3 loud, on two channels."""
    levels = np.repeat([0.1, 0.2, 0.3], RATE)
    return write_sound(tmp_path / "a.wav", np.stack([levels, levels], axis=1), RATE)


def cut(path: Path, times):
    names = iter(range(len(times)))
    return cut_stretches(path, times, lambda: path.with_name(f"part-{next(names)}"))


@pytest.mark.parametrize("samples", [1 << 18, 1000])
def test_each_part_is_a_wav_file_of_its_own(recording, monkeypatch, samples):
    monkeypatch.setattr("lsml.adapters.sound.reading._SAMPLES", samples)  # as of a long recording, read block by block
    parts = [
        soundfile.read(path) for path in cut(recording, [(0.5, 1.5), (1.2, 1.4), (-1.0, 0.25), (2.5, 9.0), (5.0, 6.0)])
    ]
    assert {rate for _, rate in parts} == {RATE}
    assert [len(part) for part, _ in parts] == [8000, 1600, 2000, 4000, 0]
    assert [round(float(part.mean()), 3) for part, _ in parts[:4]] == [0.15, 0.2, 0.1, 0.3]


def test_what_is_no_recording_costs_its_task_alone_and_leaves_no_file(tmp_path):
    (tmp_path / "b.wav").write_text("no sound")
    with pytest.raises(Unreadable, match="b.wav: is not a sound") as caught:
        cut(tmp_path / "b.wav", [(0, 1)])
    assert caught.value.reason == "bad sound"
    assert [path.name for path in tmp_path.iterdir()] == ["b.wav"]
    assert cut(tmp_path / "b.wav", []) == []
