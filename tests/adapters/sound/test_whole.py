"""Labels and ratings of whole recordings: what is learnt of a handful, which files are read, what is refused."""

import subprocess
import sys

import numpy as np
import pytest

from lsml.adapters.base import Example, NotEnoughData, Target
from lsml.adapters.parts.state import load_state, save_state
from lsml.adapters.sound.classifier import AudioClassifier
from lsml.adapters.sound.clips import row_of
from lsml.adapters.sound.mels import log_mels
from lsml.adapters.sound.reading import Recording, read_sound
from lsml.adapters.sound.regressor import AudioRegressor
from lsml.errors import AdapterError, VersionError
from lsml.metrics import judge
from lsml.values import Choice, Number
from tests.support.sounds import KINDS, clips, drawn_sound, silence, write_sound


def new(multiple=False):
    return AudioClassifier(AudioClassifier.Options(), Target(KINDS, multiple=multiple))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def learnt(folder):
    adapter = new()
    adapter.fit([Example(path, (Choice(kind),)) for path, kind in clips(folder, range(10))], seed=1)
    return adapter


def best(adapter, path):
    [values] = adapter.predict([path])
    return max(values, key=lambda value: value.score)


def test_ten_clips_teach_to_tell_thirty_others(learnt, folder):
    others = clips(folder, range(100, 130))
    pairs = [([Choice(kind)], [best(learnt, path)]) for path, kind in others]
    assert judge(Choice, pairs)["value"] >= 0.95


def test_a_recording_with_two_sounds_has_both_labels(folder):
    def pair(seed):
        draw = np.random.default_rng(seed)
        kinds = sorted(draw.choice(KINDS, draw.integers(1, 3), replace=False))
        sounds = [drawn_sound(kind, draw, 0.4) for kind in kinds]
        path = write_sound(folder / f"pair-{seed}.wav", np.concatenate(sounds))
        return Example(path, tuple(Choice(str(kind)) for kind in kinds))

    adapter = new(multiple=True)
    adapter.fit([pair(seed) for seed in range(30)], seed=1)
    tested = [pair(seed) for seed in range(200, 220)]
    said = [[v for v in values if v.score >= 0.5] for values in adapter.predict([example.data for example in tested])]
    assert judge(Choice, list(zip([e.values for e in tested], said, strict=True)))["value"] >= 0.9


def test_ratings_follow_what_is_heard(folder):
    def noisy(seed):
        draw = np.random.default_rng(seed)
        stars = seed % 5 + 1
        sound = drawn_sound("Whistle", draw, 0.5) + draw.normal(0, 0.1 / 2**stars, 8000)
        return Example(write_sound(folder / f"noisy-{seed}.wav", sound), (Number(float(stars)),))

    adapter = AudioRegressor(AudioRegressor.Options(), Target())
    adapter.fit([noisy(seed) for seed in range(30)], seed=1)
    tested = [noisy(seed) for seed in range(300, 320)]
    answers = adapter.predict([example.data for example in tested])
    assert judge(Number, list(zip([e.values for e in tested], answers, strict=True)))["value"] > 0.7


def test_features_do_not_depend_on_the_rate_nor_on_how_a_file_is_cut_into_blocks(folder):
    tone = {rate: np.sin(2 * np.pi * 1000 * np.arange(rate) / rate) * 0.3 for rate in (16_000, 44_100)}
    rows = [row_of(write_sound(folder / f"tone-{rate}.wav", samples, rate)) for rate, samples in tone.items()]
    assert np.abs(rows[0] - rows[1])[:40].max() < 1.5
    whole = list(log_mels(Recording(16_000, iter([tone[16_000]])), 40))
    parts = list(log_mels(Recording(16_000, iter(np.array_split(tone[16_000], 7))), 40))
    assert np.allclose(np.concatenate(whole), np.concatenate(parts))


def test_the_channels_of_a_recording_are_mixed(folder):
    draw = np.random.default_rng(3)
    left = drawn_sound("Hum", draw, 0.5)
    both = write_sound(folder / "stereo.wav", np.stack([left, np.zeros_like(left)], axis=1))
    mixed = np.concatenate(list(read_sound(both).blocks))
    assert mixed == pytest.approx(left / 2, abs=1e-4)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_compressed_files_are_read(suffix, folder, learnt):
    import soundfile

    path = folder / f"compressed.{suffix}"
    soundfile.write(path, drawn_sound("Whistle", np.random.default_rng(5), 1.0), 16_000)
    assert best(learnt, path).label == "Whistle"


def test_a_recording_that_is_hardly_one_is_answered(folder, learnt):
    for samples in (np.zeros(3, np.float32), silence(np.random.default_rng(1), 0.3), np.ones(20_000, np.float32)):
        assert len(learnt.predict([write_sound(folder / "odd.wav", samples)])[0]) == 3


def test_samples_that_are_no_numbers_are_silent(folder, learnt):
    import soundfile

    silent = drawn_sound("Hum", np.random.default_rng(3), 0.5)
    holes = silent.copy()
    silent[::3], holes[::3] = 0, np.resize([np.inf, -np.inf, np.nan], len(holes[::3]))
    for name, samples in (("holes", holes), ("silent", silent)):
        soundfile.write(folder / f"{name}.wav", np.stack([samples, samples], axis=1), 16_000, subtype="FLOAT")
    assert learnt.predict([folder / "holes.wav"]) == learnt.predict([folder / "silent.wav"])


def test_what_is_no_sound_is_named(folder, learnt, monkeypatch):
    text, empty = folder / "text.wav", folder / "empty.wav"
    text.write_text("no sound at all")
    write_sound(empty, np.zeros(0, np.float32))
    with pytest.raises(AdapterError, match=r"^empty\.wav: has no sound$"):
        learnt.predict([empty])
    monkeypatch.setattr("lsml.adapters.sound.reading.find_spec", lambda name: None)
    with pytest.raises(
        AdapterError, match=r"^text\.wav: is not a sound file that libsndfile reads \(.+\); `pip install av` adds"
    ):
        learnt.predict([text])


def test_a_file_that_cannot_be_read_costs_itself_alone(folder):
    text = folder / "words.wav"
    text.write_text("no sound at all")
    adapter = new()
    adapter.fit(
        [*(Example(p, (Choice(k),)) for p, k in clips(folder, range(6))), Example(text, (Choice("Hum"),))], seed=1
    )
    [note] = adapter.notes
    assert note.startswith("1 recordings not used for training: is not a sound")


@pytest.mark.parametrize("adapter", [AudioClassifier, AudioRegressor])
def test_too_little_to_learn_from_is_said(adapter, folder):
    text = folder / "words.wav"
    text.write_text("no sound at all")
    values = (Choice("Hum"), Number(1.0))
    for examples, why in (
        ([], r"^0 .+ have a"),
        ([Example(text, values), Example(text, (Choice("Noise"), Number(2.0)))], "read"),
    ):
        with pytest.raises(NotEnoughData, match=why):
            adapter(adapter.Options(), Target(KINDS)).fit(examples, seed=1)


def test_an_hour_is_heard_in_bounded_memory(tmp_path):
    code = (
        "import resource, pathlib, numpy, soundfile\n"
        f"path = pathlib.Path({str(tmp_path)!r}) / 'long.wav'\n"
        "with soundfile.SoundFile(path, 'w', 8000, 1) as file:\n"
        "    for _ in range(60):\n"
        "        file.write(numpy.random.default_rng(1).normal(0, 0.1, 8000 * 60))\n"
        "from lsml.adapters.sound.clips import row_of, heard\n"
        "from lsml.adapters.sound.mels import log_mels\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "row_of(path)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) * (1 if sys.platform == "darwin" else 1024) < 200 * 1024 * 1024


def test_a_file_whose_parts_do_not_fit_is_refused(tmp_path, learnt):
    learnt.save(tmp_path)
    state = load_state(tmp_path, "audio-classifier")
    state["scale"] = [[0.0], 1.0]
    del state["format"]
    save_state(tmp_path, state)
    with pytest.raises(VersionError, match="audio-classifier cannot read it"):
        new().load(tmp_path)
