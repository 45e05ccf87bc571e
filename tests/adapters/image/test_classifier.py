"""image-classifier learns from a handful of images."""

import json

import numpy as np
import pytest
from PIL import Image

from lsml.adapters.base import Example, NotEnoughData, Target
from lsml.adapters.image.classifier import ImageClassifier
from lsml.errors import AdapterError, VersionError
from lsml.values import Choice
from tests.support.drawings import discs


def learnt(pairs, multiple=False, **options):
    adapter = ImageClassifier(ImageClassifier.Options(**options), Target(("Blue", "Green", "Red"), multiple))
    adapter.fit([Example(path, (Choice(label),)) for path, label in pairs], 7)
    return adapter


def best(values):
    return max(values, key=lambda value: value.score).label


def test_five_images_are_enough_to_tell_easy_ones_apart(tmp_path):
    adapter = learnt(discs(tmp_path, 5))
    unseen = discs(tmp_path, 60, seed=11)
    answered = adapter.predict([path for path, _ in unseen])
    right = sum(best(values) == label for values, (_, label) in zip(answered, unseen, strict=True))
    assert right >= 54
    for values in answered:
        assert sum(value.score for value in values) == pytest.approx(1)


def test_several_labels_have_probabilities_of_their_own(tmp_path):
    answered = learnt(discs(tmp_path, 12), multiple=True).predict([discs(tmp_path, 1, seed=3)[0][0]])
    assert {value.label for value in answered[0]} == {"Blue", "Green", "Red"}
    assert max(answered[0], key=lambda value: value.score).label == "Red"


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "I;16", "LA"])
def test_every_kind_of_picture_is_looked_at(tmp_path, mode):
    adapter = learnt(discs(tmp_path, 6))
    if mode == "I;16":
        image = Image.fromarray(np.full((40, 50), 30_000, dtype=np.uint16))
    else:
        image = Image.open(discs(tmp_path, 1, seed=5)[0][0]).convert(mode)
    path = tmp_path / ("odd.tiff" if mode == "CMYK" else "odd.png")
    image.save(path)
    assert len(adapter.predict([path])[0]) == 3


def test_images_that_all_say_the_same_are_not_enough(tmp_path):
    with pytest.raises(NotEnoughData, match="all 3 examples have the label 'Red'; annotate at least two images"):
        learnt([(path, "Red") for path, _ in discs(tmp_path, 3)])


def test_a_version_that_was_learnt_with_another_encoder_is_refused(tmp_path):
    learnt(discs(tmp_path, 6)).save(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "config.json").write_text("{}")
    encoder = str(tmp_path / "elsewhere")
    other = ImageClassifier(ImageClassifier.Options(encoder=encoder), Target(("Blue", "Green", "Red")))
    with pytest.raises(VersionError, match="was trained with another encoder than .*; train again"):
        other.load(tmp_path)


@pytest.mark.models
def test_an_encoder_of_transformers_is_used_without_any_network(tmp_path):
    """Random weights, for the structure alone; what they see still tells red from blue."""
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    folder = tmp_path / "encoder"
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=32, patch_size=8
    )
    ViTModel(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    adapter = learnt(discs(tmp_path, 12), encoder=str(folder), batch=5)
    paths = [path for path, _ in discs(tmp_path, 7, seed=3)]
    answered = adapter.predict(paths)
    assert [len(values) for values in answered] == [3] * 7
    alone = adapter.predict(paths[3:4])[0]
    assert [value.score for value in alone] == pytest.approx([value.score for value in answered[3]], abs=1e-4)
    (tmp_path / "saved").mkdir()
    adapter.save(tmp_path / "saved")
    again = ImageClassifier(ImageClassifier.Options(encoder=str(folder)), adapter.target)
    again.load(tmp_path / "saved")
    assert json.dumps([v.label for v in again.predict(paths[:1])[0]]) == '["Blue", "Green", "Red"]'


@pytest.mark.models
def test_an_encoder_that_is_not_here_is_one_sentence(tmp_path):
    with pytest.raises(AdapterError, match="no/where is not a folder with a vision model of transformers"):
        learnt(discs(tmp_path, 3), encoder="no/where")
