"""video-classifier: labels of whole videos, from a few of them."""

from __future__ import annotations

import pytest

from lsml.adapters.base import Example, NotEnoughData, Target
from lsml.adapters.video.classifier import VideoClassifier
from lsml.errors import VersionError
from lsml.values import Choice
from tests.support.films import scene_films

LABELS = ("Move", "Still")


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Videos of one scene each, and what a person says of the whole."""
    folder = tmp_path_factory.mktemp("whole")
    return [
        Example(film.data, (Choice(label),))
        for place, label in enumerate(LABELS)
        for film in scene_films(folder / label, range(10 * place, 10 * place + 7), (label,))
    ]


def learnt(examples, **more):
    adapter = VideoClassifier(VideoClassifier.Options(), Target(LABELS, **more))
    adapter.fit(examples, seed=1)
    return adapter


def test_what_moves_is_told_from_what_stands_still(films):
    adapter = learnt([*films[:5], *films[7:12]])
    for example in (*films[5:7], *films[12:]):
        [values] = adapter.predict([example.data])
        assert max(values, key=lambda value: value.score).label == example.values[0].label
        assert sum(value.score for value in values) == pytest.approx(1)


def test_several_labels_have_their_own_probabilities(films):
    both = [Example(example.data, (*example.values, Choice("Still"))) for example in films[:5]]
    adapter = learnt([*both, *films[7:12]], multiple=True)
    [values] = adapter.predict([films[6].data])
    assert {value.label: value.score > 0.5 for value in values} == {"Move": True, "Still": True}


def test_videos_that_cannot_be_read_are_counted_and_too_few_are_refused(films, tmp_path):
    (tmp_path / "page.avi").write_text("<html>")
    adapter = learnt([*films[:3], *films[7:10], Example(tmp_path / "page.avi", (Choice("Move"),))])
    assert adapter.notes == ("1 videos not used for training: cannot be read as a video; convert it to MP4 (H.264)",)
    with pytest.raises(NotEnoughData, match="annotate at least two videos with different answers"):
        learnt(films[:3])


def test_a_version_of_something_else_is_refused(films, tmp_path):
    adapter = learnt([*films[:3], *films[7:10]])
    adapter.save(tmp_path)
    loaded = VideoClassifier(adapter.options, adapter.target)
    loaded.load(tmp_path)
    assert loaded.predict([films[0].data]) == adapter.predict([films[0].data])
    (tmp_path / "model.skops").write_bytes(b"nothing")
    with pytest.raises(VersionError):
        loaded.load(tmp_path)
