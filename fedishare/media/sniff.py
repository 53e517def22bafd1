"""Sniffing: what a file is, from its first bytes. Its name and what the sender called it decide nothing.

Only formats of this list are ever opened, and each only by its own decoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

HEAD = 64
"""How many first bytes are enough."""
PIECE = 1024 * 1024
TAIL = 66_000
"""How far from its end a ZIP archive is recognised."""
MARKUP = (b"<!doctype html", b"<html>", b"<html ", b"<script", b"<svg xmlns", b"<iframe", b"<?php ", b"<?php\n")
"""What no camera writes into a picture; long enough to be met by chance in none of a million."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format that is taken in. ``decoder`` is Pillow's name of it, empty for sound and film."""

    media_type: str
    family: str
    """``image``, ``video`` or ``audio``."""
    decoder: str = ""


JPEG = Format("image/jpeg", "image", "JPEG")
PNG = Format("image/png", "image", "PNG")
GIF = Format("image/gif", "image", "GIF")
WEBP = Format("image/webp", "image", "WEBP")
AVIF = Format("image/avif", "image", "AVIF")
MP4 = Format("video/mp4", "video")
QUICKTIME = Format("video/quicktime", "video")
WEBM = Format("video/webm", "video")
MP3 = Format("audio/mpeg", "audio")
OGG = Format("audio/ogg", "audio")
WAV = Format("audio/wav", "audio")
FLAC = Format("audio/flac", "audio")
M4A = Format("audio/mp4", "audio")

IMAGES = (JPEG, PNG, GIF, WEBP, AVIF)
FILMS = (MP4, QUICKTIME, WEBM)
SOUNDS = (MP3, OGG, WAV, FLAC, M4A)

_BRANDS = {
    b"avif": AVIF, b"avis": AVIF, b"isom": MP4, b"iso2": MP4, b"iso4": MP4, b"iso5": MP4, b"iso6": MP4, b"mp41": MP4,
    b"mp42": MP4, b"avc1": MP4, b"M4V ": MP4, b"dash": MP4, b"3gp4": MP4, b"3gp5": MP4, b"qt  ": QUICKTIME,
    b"M4A ": M4A, b"M4B ": M4A,
}  # fmt: skip
_STARTS = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"\x1a\x45\xdf\xa3", WEBM),
    (b"OggS", OGG),
    (b"fLaC", FLAC),
    (b"ID3", MP3),
)


def sniff(head: bytes) -> Format | None:
    """The format of a file that begins with ``head`` (`HEAD` bytes are enough); None for anything else."""
    for start, found in _STARTS:
        if head.startswith(start):
            return found
    if head[:4] == b"RIFF":
        return {b"WEBP": WEBP, b"WAVE": WAV}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _branded(head)
    # A bare MP3 frame: eleven bits of sync, then layer III.
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:
        return MP3
    return None


def _branded(head: bytes) -> Format | None:
    """ISO base media: the major brand, or the first compatible one that we know."""
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))]
    return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)


def is_more(source: BinaryIO) -> bool:
    """Whether a picture is a page, a script, a PDF or an archive as well: a polyglot. It takes long: use a thread."""
    source.seek(0)
    before, first = b"", True
    while piece := source.read(PIECE):
        seen = before + piece.lower()
        if any(mark in seen for mark in MARKUP) or (first and b"%pdf-1." in seen[:1024]):
            return True
        before, first = seen[-16:], False
    source.seek(max(0, source.tell() - TAIL))
    tail = source.read()
    return b"PK\x05\x06" in tail and b"PK\x01\x02" in tail
