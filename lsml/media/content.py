"""The kind of a file's content, by its first bytes alone: neither its name nor its server is trusted."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Content(NamedTuple):
    """A kind of content: its name for people, its family for a tag, and the suffix that libraries expect."""

    name: str
    family: str  # image, video, audio; "" for any other
    suffix: str


UNKNOWN = Content("of an unknown type", "", "")
_HTML = Content("an HTML page", "", ".html")
_XML = Content("XML", "", ".xml")
_PLAIN = (
    (b"\xff\xd8\xff", Content("JPEG", "image", ".jpg")),
    (b"\x89PNG\r\n\x1a\n", Content("PNG", "image", ".png")),
    (b"GIF87a", Content("GIF", "image", ".gif")),
    (b"GIF89a", Content("GIF", "image", ".gif")),
    (b"BM", Content("BMP", "image", ".bmp")),
    (b"II*\0", Content("TIFF", "image", ".tif")),
    (b"MM\0*", Content("TIFF", "image", ".tif")),
    (b"II+\0", Content("TIFF", "image", ".tif")),
    (b"MM\0+", Content("TIFF", "image", ".tif")),
    (b"\x1aE\xdf\xa3", Content("Matroska or WebM", "video", ".webm")),
    (b"OggS", Content("Ogg", "audio", ".ogg")),
    (b"fLaC", Content("FLAC", "audio", ".flac")),
    (b"ID3", Content("MP3", "audio", ".mp3")),
    (b"\xff\xfb", Content("MP3", "audio", ".mp3")),
    (b"\xff\xf3", Content("MP3", "audio", ".mp3")),
    (b"\xff\xf2", Content("MP3", "audio", ".mp3")),
    (b"\x00\x00\x01\xba", Content("MPEG", "video", ".mpg")),
    (b"\x00\x00\x01\xb3", Content("MPEG", "video", ".mpg")),
    (b"FLV\x01", Content("FLV", "video", ".flv")),
    (b"%PDF-", Content("a PDF document", "", ".pdf")),
    (b"PK\x03\x04", Content("a ZIP archive", "", ".zip")),
    (b"\x1f\x8b", Content("packed by gzip", "", ".gz")),
)
_RIFF = {
    b"WEBP": Content("WebP", "image", ".webp"),
    b"AVI ": Content("AVI", "video", ".avi"),
    b"WAVE": Content("WAV", "audio", ".wav"),
}
_MARKUP = (
    (b"<!doctype html", _HTML),
    (b"<html", _HTML),
    (b"<head", _HTML),
    (b"<body", _HTML),
    (b"<svg", Content("an SVG drawing", "", ".svg")),
    (b"<?xml", _XML),
    (b"<error", _XML),
    (b"{", Content("JSON", "", ".json")),
)


def content_of(path: Path) -> Content:
    """Return the kind of a file's content. Raises OSError."""
    with path.open("rb") as file:
        return content_by_head(file.read(512))


def content_by_head(head: bytes) -> Content:
    """Return the kind of content that begins with these bytes."""
    if not head:
        return Content("empty", "", "")
    for magic, content in _PLAIN:
        if head.startswith(magic):
            return content
    if head.startswith(b"RIFF") and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"avif", b"avis"):
            return Content("AVIF", "image", ".avif")
        if brand in (b"heic", b"heix", b"mif1", b"msf1"):
            return Content("HEIC", "image", ".heic")
        if brand == b"M4A ":
            return Content("M4A", "audio", ".m4a")
        return Content("MP4 or QuickTime", "video", ".mov" if brand == b"qt  " else ".mp4")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<?xml") and b"<svg" in text:
        return _MARKUP[4][1]
    for start, content in _MARKUP:
        if text.startswith(start):
            return content
    return UNKNOWN
