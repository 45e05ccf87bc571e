"""Checks of fetched images and videos: completeness and size, and an upright copy where a model needs one.

Models get the picture that a browser shows: EXIF orientation is applied, eight bits, white where it is transparent.
An image that every library reads so is used unchanged; any other is copied once, upright.
"""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lsml.files.cache import new_file
from lsml.labeling.objects import Corners, Unreadable
from lsml.media.content import Content, content_of

if TYPE_CHECKING:
    from PIL.Image import Image

# The formats that Pillow may try; not PostScript, which starts a program.
_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
_READ_BY_ALL = frozenset({"JPEG", "MPO", "PNG", "WEBP", "BMP"})
_LOSSY = frozenset({"JPEG", "MPO", "WEBP", "AVIF"})
_ORIENTATION = 0x0112
_DECODING = threading.Semaphore(2)  # at most two large images at a time, whatever the number of downloads


class DecodedImage(NamedTuple):
    """A decoded image. `size`: (width, height), upright. `copy`: the upright copy that was written and its suffix, or None."""

    size: tuple[int, int]
    copy: tuple[Path, str] | None


class Footage(NamedTuple):
    """A video. `size`: (width, height) of a frame in pixels; `duration_s`: its length in seconds."""

    size: tuple[int, int]
    duration_s: float


def examine_image(path: Path, shown: str, most_pixels: int, scratch: Callable[[], Path]) -> DecodedImage:
    """Decode an image once. Raises Unreadable, with a sentence that begins with `shown`, where that fails.

    An upright copy, if one is needed, is written to the path from `scratch`. Raises OSError where that fails.
    """
    content = _expect(path, shown, "image", "an image")
    with _DECODING:
        size, upright, suffix = _decode(path, content, shown, most_pixels)
        if upright is None:
            return DecodedImage(size, None)
        how = {"format": "JPEG", "quality": 95, "subsampling": 0} if suffix == ".jpg" else {}
        copy = write_image(upright, scratch(), icc_profile=upright.info.get("icc_profile"), **how)
        return DecodedImage(upright.size, (copy, suffix))


def _decode(path: Path, content: Content, shown: str, most_pixels: int) -> tuple[tuple[int, int], Image | None, str]:
    """Return (size, upright image or None where no copy is needed, suffix of the copy)."""
    try:
        import PIL.Image
        from PIL import UnidentifiedImageError
    except ImportError:
        raise Unreadable("no library", 'images need Pillow; pip install "lsml[images]"') from None
    # The recipe's limit replaces Pillow's, which would warn or refuse below it.
    PIL.Image.MAX_IMAGE_PIXELS = None
    try:
        PIL.Image.init()
        formats = [name for name in _FORMATS if name in PIL.Image.OPEN]  # AVIF may be missing
        with PIL.Image.open(path, formats=formats) as image:
            width, height = image.size
            if width * height > most_pixels:
                raise Unreadable(
                    "too many pixels",
                    f"{shown}: has {width} x {height} pixels; the limit is {most_pixels} (media.pixels of the recipe)",
                )
            turn = _rotation(image)
            if turn is None and _plain(image, content, path.suffix):
                # Pillow reads the whole file even for a small picture, so a truncated file is found.
                image.draft(None, (max(1, width // 8), max(1, height // 8)))
                image.load()
                if not _transparent(image):
                    return (width, height), None, ""
            image.load()
            profile = image.info.get("icc_profile") if image.mode in ("RGB", "RGBA", "P") else None
            upright = _eight_bit(image if turn is None else image.transpose(turn))
            upright.info = {} if profile is None else {"icc_profile": profile}
            return upright.size, upright, ".jpg" if image.format in _LOSSY else ".png"
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable(
            "bad image", f"{shown}: is {content.name} that cannot be decoded; save it again as JPEG or PNG"
        ) from None
    except Exception as error:  # a decoder may raise anything on broken input
        raise Unreadable(
            "bad image",
            f"{shown}: is {content.name} that is broken or truncated ({str(error) or type(error).__name__}); save it "
            "again",
        ) from error


def _rotation(image: Image) -> Any:
    """Return Pillow's operation that turns the image upright; None where it stands upright or its EXIF cannot be read."""
    from PIL.Image import Transpose

    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # browsers ignore a broken EXIF, too
        return None
    return {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)


def _expect(path: Path, shown: str, family: str, wanted: str) -> Content:
    content = content_of(path)
    if content.family != family:
        page = content.suffix in (".html", ".xml", ".json")
        advice = "; it is probably an error page or a sign-in page" if page else ""
        raise Unreadable(
            "wrong content", f"{shown}: is {content.name}, not {wanted}{advice}; correct the task or the file"
        )
    return content


def _plain(image: Image, content: Content, suffix: str) -> bool:
    """Return True if every library reads the file as annotators see it, transparency aside."""
    named = {".jpeg": ".jpg"}.get(suffix.lower(), suffix.lower()) == content.suffix
    single = image.format == "MPO" or getattr(image, "n_frames", 1) == 1
    return (
        named and single and image.format in _READ_BY_ALL and image.mode in ("RGB", "RGBA", "L", "LA", "P", "PA", "1")
    )


def _transparent(image: Image) -> bool:
    if "transparency" not in image.info and image.mode not in ("RGBA", "LA", "PA"):
        return False
    return bool(image.convert("RGBA").getextrema()[3][0] < 255)


def _eight_bit(image: Image) -> Image:
    """Return the image as RGB or grey, in eight bits, over white."""
    import PIL.Image

    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    if image.mode in ("I", "F"):
        low, high = image.getextrema()
        scale = 255.0 / (high - low) if high > low else 0.0
        return image.convert("F").point(lambda value: value * scale - low * scale).convert("L")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        clear = image.convert("RGBA")
        ground = PIL.Image.new("RGBA", clear.size, "white")
        ground.alpha_composite(clear)
        return ground.convert("RGB")
    return image.convert("L") if image.mode in ("L", "1") else image.convert("RGB")


def thumbnail(path: Path, most: int) -> bytes:
    """Return an upright image as a JPEG of at most `most` pixels a side. Raises Unreadable."""
    import PIL.Image

    made = io.BytesIO()
    try:
        with PIL.Image.open(path) as opened:
            opened.draft("RGB", (most, most))
            image = _eight_bit(opened)
        image.thumbnail((most, most))
        image.save(made, format="JPEG", quality=85)
    except Exception as error:  # a decoder may raise anything on broken input
        raise Unreadable(
            "bad image", f"{path.name}: cannot be decoded ({type(error).__name__}); save it again"
        ) from error
    return made.getvalue()


def size_of(path: Path) -> tuple[int, int]:
    """Return the (width, height) of an image that was made here, in pixels, without decoding it."""
    import PIL.Image

    with PIL.Image.open(path) as image:
        width, height = image.size
    return width, height


def cut_out(path: Path, outlines: Sequence[Corners], scratch: Callable[[], Path]) -> Iterator[Path]:
    """Yield parts of an upright image, each as a PNG that stands upright, at least a pixel wide and high.

    What a part has beside the image is white. Raises Unreadable, and OSError where one cannot be written."""
    if not outlines:
        return
    import PIL.Image

    try:
        with PIL.Image.open(path) as opened:
            image = _eight_bit(opened)
    except Exception as error:  # a decoder may raise anything on broken input
        raise Unreadable(
            "bad image", f"{path.name}: cannot be decoded ({type(error).__name__}); save it again"
        ) from error
    for top_left, top_right, bottom_right, bottom_left in outlines:
        size = max(1, round(math.dist(top_left, top_right))), max(1, round(math.dist(top_left, bottom_left)))
        corners = (*top_left, *bottom_left, *bottom_right, *top_right)
        part = image.transform(
            size, PIL.Image.Transform.QUAD, corners, PIL.Image.Resampling.BILINEAR,
            fillcolor="white" if image.mode == "RGB" else 255,
        )  # fmt: skip
        yield write_image(part, scratch())


def write_image(image: Image, path: Path, **how: object) -> Path:
    """Write an image, a PNG unless `how` has another format for Pillow, and return its new path.

    Raises OSError where it cannot be written, and leaves no part of it.
    """
    try:
        with new_file(path) as file:
            image.save(file, **({"format": "PNG", "compress_level": 1} | how))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def examine_video(path: Path, shown: str) -> Footage:
    """Return the size and length of a video. Raises Unreadable where no frame can be decoded."""
    content = _expect(path, shown, "video", "a video")
    try:
        import cv2
    except ImportError:
        raise Unreadable("no library", 'videos need OpenCV; pip install "lsml[images]"') from None
    film = cv2.VideoCapture(str(path))
    try:
        there, frame = film.read()
        if not there:
            raise Unreadable(
                "bad video",
                f"{shown}: is {content.name} without a frame that can be decoded; save it again as MP4 (H.264)",
            )
        height, width = frame.shape[:2]  # rotated as the file says, unlike the capture's properties
        rate = film.get(cv2.CAP_PROP_FPS)
        frames = film.get(cv2.CAP_PROP_FRAME_COUNT)
        if not rate > 0:
            raise Unreadable("bad video", f"{shown}: has no frame rate; save it again as MP4")
        if not frames > 0:  # some containers do not have it
            frames = 1
            while film.grab():
                frames += 1
        return Footage((int(width), int(height)), float(frames / rate))
    finally:
        film.release()
