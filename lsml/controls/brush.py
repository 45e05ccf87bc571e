"""Label Studio's run lengths of a brush: a stream of bits that encodes an image, four bytes a pixel, row by row.

It starts with the number of bytes (32 bits), the bits of a byte less one (5 bits), and the bits of the four kinds of lengths
less one (4 times 4 bits). Then come pieces: one bit for a run of one byte or a row of different ones, two bits for the kind
of the length, and the length less one. A pixel is on where its fourth byte, the alpha, is more than half.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lsml.arrays import Array


_WORD: Final = 8
_LENGTHS: Final = (3, 4, 8, 16)  # bits
_CHANNELS: Final = 4
_LONGEST: Final = 1 << _LENGTHS[-1]  # bytes in one piece
_PIECE: Final = 1 + 2 + _LENGTHS[-1] + _WORD  # bits, at most


def encode_brush(pixels: object) -> list[int]:
    """Return the bytes of a mask (rows, columns); pixels other than 0 are on."""
    import numpy as np

    flat = np.asarray(pixels).ravel() != 0
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    sizes = np.diff(starts, append=flat.size) * _CHANNELS
    # A run that is too long for one piece takes several, of which the last holds the rest.
    pieces = -(-sizes // _LONGEST)
    lengths = np.full(pieces.sum(), _LONGEST)
    lengths[np.cumsum(pieces) - 1] = sizes - (pieces - 1) * _LONGEST
    words = np.where(np.repeat(flat[starts], pieces), (1 << _WORD) - 1, 0)
    kinds = np.searchsorted([1 << bits for bits in _LENGTHS], lengths)
    bits = np.array(_LENGTHS)[kinds]
    codes = ((((1 << 2 | kinds) << bits) | (lengths - 1)) << _WORD) | words
    used = 1 + 2 + bits + _WORD
    # Each piece is a row of bits, of which only the used ones are joined.
    rows = (codes << (_PIECE - used))[:, None] >> np.arange(_PIECE)[::-1] & 1
    head = f"{flat.size * _CHANNELS:032b}{_WORD - 1:05b}" + "".join(f"{length - 1:04b}" for length in _LENGTHS)
    stream = np.concatenate([np.array([int(bit) for bit in head]), rows[np.arange(_PIECE) < used[:, None]]])
    joined: list[int] = np.packbits(stream.astype(np.uint8)).tolist()
    return joined


def decode_brush(rle: Sequence[int], width: int, height: int) -> npt.NDArray[np.bool_]:
    """Return the mask (rows, columns) of an image of `width` x `height` pixels. Raises ValueError for bytes of no such
    image.
    """
    import numpy as np

    if set(map(type, rle)) - {int}:
        raise ValueError("expected bytes from 0 to 255")
    stream = _Bits(bytes(rle))  # raises ValueError for other numbers
    size = stream.read(32)
    if size != width * height * _CHANNELS:
        raise ValueError(
            f"holds {size} bytes, and an image of {width} by {height} pixels has {width * height * _CHANNELS}"
        )
    word = stream.read(5) + 1
    lengths = [stream.read(4) + 1 for _ in _LENGTHS]
    found = np.zeros(size, dtype=np.uint8)
    index = 0
    while index < size:
        run = stream.read(1)
        end = min(size, index + 1 + stream.read(lengths[stream.read(2)]))
        if not run:
            found[index:end] = stream.words(end - index, word)
        elif value := stream.read(word) & 255:
            found[index:end] = value
        index = end
    return np.asarray(found[_CHANNELS - 1 :: _CHANNELS].reshape(height, width) > 127)


class _Bits:
    """A reader of a stream of bits. Raises ValueError at the end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._end = len(content) * 8
        self._at = 0

    def read(self, count: int) -> int:
        """Return the next bits, at most 32, as a number."""
        first, after = self._at >> 3, self._at + count
        if after > self._end:
            raise ValueError("ends too early")
        last = after + 7 >> 3
        window = int.from_bytes(self._content[first:last], "big")
        self._at = after
        return window >> (last * 8 - after) & (1 << count) - 1

    def words(self, count: int, size: int) -> Array:
        """Return the next words, each as a number of at most 255."""
        import numpy as np

        first, after = self._at >> 3, self._at + count * size
        if after > self._end:
            raise ValueError("ends too early")
        bits = np.unpackbits(np.frombuffer(self._content[first : after + 7 >> 3], dtype=np.uint8))
        rows = bits[self._at - first * 8 :][: count * size].reshape(count, size)[:, -8:]
        self._at = after
        return np.asarray(rows @ (1 << np.arange(rows.shape[1])[::-1]))
