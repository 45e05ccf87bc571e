"""Run lengths of a brush: against a slow writer of every kind of piece, and against label-studio-sdk's own."""

import json
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsml.controls.brush import decode_brush, encode_brush
from tests.support.studio_venv import studio_python


def blobs(rows, columns, seed):
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    pixels = np.zeros((rows, columns), dtype=bool)
    for _ in range(5):
        radius = draw.uniform(1, max(rows, columns) / 4)
        pixels |= (x - draw.uniform(0, columns)) ** 2 + (y - draw.uniform(0, rows)) ** 2 < radius**2
    return pixels


def speckles(rows, columns, seed):
    return np.random.default_rng(seed).random((rows, columns)) < 0.5


MASKS = {
    "blobs": blobs(480, 640, 1),
    "large": blobs(2000, 3000, 2),
    "speckles": speckles(90, 110, 3),
    "all": np.ones((300, 500), dtype=bool),
    "nothing": np.zeros((17, 3), dtype=bool),
    "one pixel": np.ones((1, 1), dtype=bool),
    "one row": speckles(1, 700, 4),
    "one column": speckles(700, 1, 5),
}


def written(values, lengths, pieces):
    """A stream of bytes in pieces of (how many, as a run), with lengths of any four sizes: what others may write."""
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{length - 1:04b}" for length in lengths)
    place = 0
    for count, kind in pieces:
        part = values[place : place + min(count, 1 << lengths[kind])]
        if not part:
            break
        run = len(set(part)) == 1
        bits += f"{run:d}{kind:02b}{len(part) - 1:0{lengths[kind]}b}"
        bits += "".join(f"{value:08b}" for value in part[: 1 if run else None])
        place += len(part)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)], place


@settings(max_examples=200)
@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.lists(st.integers(1, 16), min_size=4, max_size=4),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3)), min_size=300, max_size=300),
    st.data(),
)
def test_whatever_pieces_a_stream_is_written_in_they_are_read(rows, columns, lengths, pieces, data):
    soft = st.sampled_from([0, 0, 0, 1, 127, 128, 255, 255])
    values = data.draw(st.lists(soft, min_size=rows * columns * 4, max_size=rows * columns * 4))
    stream, place = written(values, lengths, [*pieces, *[(1 << 16, 0)] * len(values)])
    assert place == len(values)
    alpha = np.array(values).reshape(rows, columns, 4)[:, :, 3]
    assert (decode_brush(stream, columns, rows) == (alpha > 127)).all()
    with pytest.raises(ValueError, match="ends too early"):
        decode_brush(stream[:-2], columns, rows)


@pytest.mark.parametrize("name", MASKS)
def test_every_mask_comes_back(name):
    rows, columns = MASKS[name].shape
    assert (decode_brush(encode_brush(MASKS[name]), columns, rows) == MASKS[name]).all()


_SDK = """
import json, sys
import numpy as np
from label_studio_sdk.converter.brush import decode_rle, mask2rle

for line in sys.stdin:
    rows, columns, hexed, rle = json.loads(line)
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(hexed), dtype=np.uint8))[: rows * columns]
    mask = bits.reshape(rows, columns) * 255
    read = decode_rle(rle).reshape(rows, columns, 4)
    same = bool((read == mask[:, :, None]).all())
    print(json.dumps([same, mask2rle(mask)]))
"""


@pytest.mark.studio
def test_label_studios_own_reader_and_writer_agree_to_the_pixel():
    given = [(*pixels.shape, np.packbits(pixels).tobytes().hex(), encode_brush(pixels)) for pixels in MASKS.values()]
    lines = "".join(json.dumps(one) + "\n" for one in given)
    done = subprocess.run(
        [studio_python(), "-c", _SDK], input=lines, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for (name, pixels), (read, theirs) in zip(MASKS.items(), found, strict=True):
        rows, columns = pixels.shape
        assert read, name
        assert (decode_brush(theirs, columns, rows) == pixels).all(), name
