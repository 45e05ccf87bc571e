"""The conformance suite passes what is right and fails every adapter that is broken, for the reason it is."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from lsml.adapters.base import Example, Target
from lsml.testing import AdapterCase, check, checks
from lsml.values import Choice
from tests.support.broken_adapters import (
    BROKEN,
    Answering,
    Drawing,
    DrawingOnFiles,
    DrawingOutside,
    Good,
    Marking,
    Pretrained,
)

REPOSITORY = str(Path(__file__).parent.parent)


def case_of(adapter):
    texts = {"Bug": ["crash on start", "error at start", "crash again"], "Billing": ["refund please", "invoice please"]}
    return AdapterCase(
        adapter=adapter,
        target=Target(("Billing", "Bug")),
        examples=[Example(text, (Choice(label),)) for label, some in texts.items() for text in some],
        batch=["crash", "invoice", "", "please start"],
        prompts=[("crash", [Choice("Bug")])],
        path=[REPOSITORY],
    )


@pytest.mark.parametrize("adapter", [Good, Pretrained, Answering, Drawing, Marking])
def test_a_good_adapter_passes(adapter):
    assert check(case_of(adapter)) == {}


@pytest.mark.parametrize(("adapter", "expected"), BROKEN.items(), ids=lambda item: getattr(item, "__name__", ""))
def test_a_broken_adapter_fails_the_check_that_it_breaks(adapter, expected):
    assert expected in check(case_of(adapter))


def test_every_check_is_proven_by_a_broken_adapter():
    assert set(BROKEN.values()) == set(checks())


def test_what_is_drawn_on_pictures_and_videos_is_held_to_their_sizes(tmp_path):
    colours = np.random.default_rng(1).integers(0, 255, (3, 48, 64, 3), dtype=np.uint8)
    for number, picture in enumerate(colours):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture[: 40 + number])
        video = cv2.VideoWriter(str(tmp_path / f"{number}.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
        for _ in range(5 + number):
            video.write(picture)
        video.release()
    for kind in ("png", "avi"):
        batch = [tmp_path / f"{number}.{kind}" for number in range(3)]
        case = AdapterCase(DrawingOnFiles, batch=batch, target=Target(("Bug",)), path=[REPOSITORY])
        assert check(case) == {}
    outside = AdapterCase(DrawingOutside, batch=[tmp_path / "0.png"], target=Target(("Bug",)), path=[REPOSITORY])
    assert "test_values_survive_the_controls" in check(outside)
