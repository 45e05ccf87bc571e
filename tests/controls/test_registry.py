"""Controls are known by the files of their folder."""

import json
import shutil
import subprocess
import sys
from typing import ClassVar

import pytest

import lsml
from lsml.controls import CONTROLS, control_class, controls_of
from lsml.controls.choices import Choices
from lsml.labeling import ControlTag, ObjectTag
from lsml.values import Interval, Span
from tests.support.architecture import ROOT

MAGIC_WAND = '''
from typing import ClassVar

from lsml.controls.choices import Choices


class MagicWand(Choices):
    """Stands in for a control of its own."""

    tag: ClassVar[str] = "MagicWand"
'''


def test_a_control_is_added_by_one_file(tmp_path):
    shutil.copytree(ROOT / "lsml", tmp_path / "lsml", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "lsml" / "controls" / "magic_wand.py").write_text(MAGIC_WAND, encoding="utf-8")
    code = (
        "import json, lsml.recipe, lsml.controls\n"
        "tags = lsml.recipe.recipe_schema()['properties']['tags']\n"
        "print(json.dumps([lsml.__file__, list(lsml.controls.CONTROLS), 'MagicWand' in json.dumps(tags)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    file, tags, in_schema = json.loads(done.stdout)
    assert file != lsml.__file__ and in_schema
    assert set(tags) == {*CONTROLS, "MagicWand"}


def test_every_control_is_entered_under_the_tag_that_it_names():
    assert len(CONTROLS) == 28
    assert all(control.tag == tag for tag, control in CONTROLS.items())


def test_controls_of_one_tag_answer_for_different_objects():
    several = {tag: controls_of(tag) for tag in CONTROLS if len(controls_of(tag)) > 1}
    assert list(several) == ["Labels"]
    text, sound = several["Labels"]
    assert (text.value_type, sound.value_type) == (Span, Interval)
    objects = {
        "a": ObjectTag("Audio", "a", "$a"),
        "t": ObjectTag("Text", "t", "$t"),
        "i": ObjectTag("Image", "i", "$i"),
    }
    for names, chosen in ((("a",), sound), (("t",), text), (("i",), text), (("i", "a"), sound), ((), text)):
        assert control_class(ControlTag("Labels", "l", names), objects) is chosen
    assert control_class(ControlTag("Unknown", "u", ("a",)), objects) is None
    with pytest.raises(TypeError, match="two controls name the tag Labels: SoundLabels and Third"):

        class Third(sound):
            tag: ClassVar[str] = "Labels"


def test_two_controls_cannot_have_one_tag():
    with pytest.raises(TypeError, match="two controls name the tag Choices: Choices and Second"):

        class Second(Choices):
            tag: ClassVar[str] = "Choices"

    assert CONTROLS["Choices"] is Choices
