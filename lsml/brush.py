"""Label Studio's run lengths of a brush: a stream of bits that holds an image, four bytes a pixel, row by row.

32 bits say how many bytes follow, 5 how many bits a byte has (less one), and 4 times 4 how many bits the four kinds of
lengths have (less one). Then come pieces: one bit tells a run of one byte from a row of different ones, two bits the kind of
the length, and that the length, less one. A pixel is on where its fourth byte, the alpha, is more than half.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

_WORD = 8
_LENGTHS = (3, 4, 8, 16)  # bits
_CHANNELS = 4


def encode_brush(pixels: Any) -> list[int]:
    """The bytes of a mask (rows, columns): on where it is not 0."""
    flat = np.asarray(pixels).ravel() != 0
    head = [format(flat.size * _CHANNELS, "032b"), format(_WORD - 1, "05b")]
    bits = [*head, *(format(length - 1, "04b") for length in _LENGTHS)]
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = [0, *edges.tolist(), flat.size]
    most = 1 << _LENGTHS[-1]
    for start, end in pairwise(bounds):
        value = "1" * _WORD if flat[start] else "0" * _WORD
        left = (end - start) * _CHANNELS
        while left > 0:
            length = min(left, most)
            kind = next(number for number, size in enumerate(_LENGTHS) if length <= 1 << size)
            bits += ("1", format(kind, "02b"), format(length - 1, f"0{_LENGTHS[kind]}b"), value)
            left -= length
    joined = "".join(bits)
    joined += "0" * (-len(joined) % 8)
    return list(int(joined, 2).to_bytes(len(joined) // 8, "big"))


def decode_brush(rle: Sequence[int], width: int, height: int) -> npt.NDArray[np.bool_]:
    """The mask (rows, columns) of an image of so many pixels. Raises ValueError where the bytes are no such image."""
    if not all(type(byte) is int and 0 <= byte <= 255 for byte in rle):
        raise ValueError("expected bytes from 0 to 255")
    stream = _Bits(bytes(rle))
    size = stream.read(32)
    if size != width * height * _CHANNELS:
        raise ValueError(
            f"holds {size} bytes, and an image of {width} by {height} pixels has {width * height * _CHANNELS}"
        )
    word = stream.read(5) + 1
    lengths = [stream.read(4) + 1 for _ in _LENGTHS]
    found = np.zeros(size, dtype=np.uint8)
    place = 0
    while place < size:
        run = stream.read(1)
        end = min(size, place + 1 + stream.read(lengths[stream.read(2)]))
        found[place:end] = stream.read(word) & 255 if run else stream.words(end - place, word)
        place = end
    return np.asarray(found.reshape(height, width, _CHANNELS)[:, :, _CHANNELS - 1] > 127)


class _Bits:
    """Reads a stream from its start; raises ValueError at its end."""

    def __init__(self, content: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8))
        self._text = "".join(map(str, self._bits.tolist()))
        self._place = 0

    def read(self, count: int) -> int:
        """The next bits as a number."""
        end = self._place + count
        if end > len(self._text):
            raise ValueError("ends too early")
        number = int(self._text[self._place : end], 2)
        self._place = end
        return number

    def words(self, count: int, size: int) -> npt.NDArray[Any]:
        """The next words, each as a number of at most 255."""
        end = self._place + count * size
        if end > len(self._text):
            raise ValueError("ends too early")
        rows = self._bits[self._place : end].reshape(count, size)[:, -8:]
        self._place = end
        return np.asarray(rows @ (1 << np.arange(rows.shape[1])[::-1]))
