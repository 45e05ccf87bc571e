"""Tiles cover an image and overlap, and what is found in several of them is one object."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsml.adapters.image.yolo.tiles import Tile, joined_boxes, tiles_of
from lsml.values import Box

SIDES = st.integers(1, 3000)


@given(SIDES, SIDES, st.integers(64, 900))
def test_tiles_cover_the_image_within_it_and_repeat_a_fifth_of_each_other(columns, rows, side):
    whole, *tiles = tiles_of(columns, rows, side)
    assert whole == (0, 0, columns, rows)
    for length, starts in ((columns, {t.left for t in tiles}), (rows, {t.top for t in tiles})):
        reached = 0
        for start in sorted(starts):
            assert start <= reached - (0.19 * min(side, length) - 1 if start else 0)
            reached = start + min(side, length)
        assert reached == length or not tiles
    assert all(t.left + t.width <= columns and t.top + t.height <= rows for t in tiles)


def test_a_small_image_is_its_only_tile():
    assert tiles_of(640, 480, 640) == [Tile(0, 0, 640, 480)]


def test_a_box_of_a_tile_is_where_it_is_in_the_image():
    [box] = joined_boxes([(Tile(100, 50, 100, 100), [Box("a", 0.5, x=0.2, y=0.4, width=0.5, height=0.2)])], 400, 200, 9)
    assert (box.x, box.y, box.width, box.height, box.aspect) == pytest.approx((0.3, 0.45, 0.125, 0.1, 2.0))


def test_an_object_in_two_tiles_is_one_and_the_one_that_is_not_cut_stays():
    cut = (Tile(0, 0, 100, 100), [Box("a", 0.9, x=0.8, y=0.2, width=0.2, height=0.2)])
    whole = (Tile(80, 0, 100, 100), [Box("a", 0.6, x=0.0, y=0.2, width=0.3, height=0.2)])
    middle = (Tile(60, 0, 100, 100), [Box("a", 0.6, x=0.2, y=0.2, width=0.3, height=0.2)])
    [box] = joined_boxes([cut, middle], 180, 100, 9)
    assert (box.score, box.width * 180) == (0.6, pytest.approx(30))
    [box] = joined_boxes([cut, whole], 180, 100, 9)  # both are cut, so the score decides
    assert box.score == 0.9


def test_objects_of_different_labels_and_far_ones_all_stay_best_first():
    values = [Box("a", 0.3, x=0.1, y=0.1, width=0.1, height=0.1), Box("b", 0.7, x=0.1, y=0.1, width=0.1, height=0.1),
              Box("a", 0.5, x=0.5, y=0.5, width=0.1, height=0.1)]  # fmt: skip
    found = joined_boxes([(Tile(0, 0, 100, 100), values)], 100, 100, 9)
    assert [(box.label, box.score) for box in found] == [("b", 0.7), ("a", 0.5), ("a", 0.3)]
    assert len(joined_boxes([(Tile(0, 0, 100, 100), values)], 100, 100, 2)) == 2
