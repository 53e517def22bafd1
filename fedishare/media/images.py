"""Pictures: decoded by the one decoder of their format, and written anew from their pixels alone.

What a picture carries besides (place and camera, colour profile, comments, thumbnails, whatever follows its end) is not
copied, so it is gone. How many pixels it claims to have is judged before any of them is decoded.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, ImageOps

from fedishare.media import blurhash
from fedishare.media.sniff import AVIF, GIF, JPEG, PNG, WEBP, Format
from fedishare.model.errors import BadInput

MAX_PIXELS = 33_177_600
"""Of a picture that is taken in: 7680 × 4320."""
KEPT_PIXELS = 3840 * 2160
"""Of the picture that is kept."""
PREVIEW_PIXELS = 640 * 360
MAX_FRAMES = 300
MAX_ANIMATED_PIXELS = 1280 * 720
"""Of each frame of a picture that moves."""
MAX_ALL_FRAMES = 64 * 1024 * 1024
"""Pixels of all frames together."""
SHORTEST_FRAME = 20
"""Milliseconds."""
BLUR_SIDE = 32
UNREADABLE = "File type of uploaded media could not be verified"
_EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp"}


@dataclass(frozen=True, slots=True)
class Rendition:
    """One file that was made: its bytes, what they are, and the size of the picture."""

    body: bytes
    media_type: str
    extension: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Picture:
    """What became of a picture. ``preview`` is None where the picture itself is small enough."""

    original: Rendition
    preview: Rendition | None
    blurhash: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many pixels are kept, and in what form: ``still`` takes one frame only."""

    pixels: int = KEPT_PIXELS
    box: tuple[int, int] | None = None
    """Cut to this width and height, and make no preview."""
    still: bool = False


def remake(source: BinaryIO, found: Format, bounds: Bounds = Bounds()) -> Picture:
    """Decode and write anew. It takes long: call it in a thread. Raises `BadInput` in Mastodon's words."""
    try:
        return _remake(source, found, bounds)
    except BadInput:
        raise
    except Exception as error:
        # A decoder that meets hostile bytes raises nearly anything; whatever it is, there is no picture.
        raise BadInput(UNREADABLE, path="file") from error


def _remake(source: BinaryIO, found: Format, bounds: Bounds) -> Picture:
    source.seek(0)
    with Image.open(source, formats=[found.decoder]) as opened:
        _judge(opened, found)
        if found in (GIF, WEBP) and getattr(opened, "n_frames", 1) > 1 and not bounds.still:
            return _moving(opened, found, bounds)
        if found is JPEG:
            opened.draft("RGB", _fitted(opened.size, bounds.pixels))  # decodes at half size and less, where enough
        opened.load()
        _turn_upright(opened)
        # Made small before it is copied: what is decoded may have a hundred megabytes.
        kept = _plain(_shrunk(opened, bounds.pixels) if opened.mode in ("RGB", "RGBA", "L") else opened)
    kept = ImageOps.fit(kept, bounds.box, Image.Resampling.LANCZOS) if bounds.box else _shrunk(kept, bounds.pixels)
    original = _write(kept, _target(found, kept))
    small = _shrunk(kept, PREVIEW_PIXELS)
    preview = None if small is kept or bounds.box else _write(small, _target(JPEG, small))
    return Picture(original, preview, blur(small))


def _judge(opened: Image.Image, found: Format) -> None:
    width, height = opened.size
    frames = getattr(opened, "n_frames", 1) if found in (GIF, WEBP) and width * height <= MAX_PIXELS else 1
    if width < 1 or height < 1:
        raise BadInput(UNREADABLE, path="file")
    if width * height > MAX_PIXELS:
        raise BadInput(f"{width}x{height} images are not supported", path="file")
    if frames > 1 and (
        width * height > MAX_ANIMATED_PIXELS or frames > MAX_FRAMES or frames * width * height > MAX_ALL_FRAMES
    ):
        kind = "GIF" if found is GIF else "animated WebP"
        raise BadInput(f"{width}x{height} {kind} files with {frames} frames are not supported", path="file")


def _turn_upright(picture: Image.Image) -> None:
    """As its camera says; what is wrong with that note does not matter, since it is dropped anyway."""
    with contextlib.suppress(ValueError, TypeError, KeyError, SyntaxError, IndexError, ZeroDivisionError):
        ImageOps.exif_transpose(picture, in_place=True)


def _plain(picture: Image.Image) -> Image.Image:
    """The pixels as RGB, RGBA or grey, without anything that rides along."""
    if picture.mode.startswith("I"):
        picture = picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")  # sixteen bits to eight
    clear = picture.has_transparency_data
    wanted = "RGBA" if clear else "L" if picture.mode in ("L", "1") else "RGB"
    made = picture.convert(wanted) if picture.mode != wanted else picture.copy()
    made.info = {}
    return made


def _fitted(size: tuple[int, int], pixels: int) -> tuple[int, int]:
    width, height = size
    if width * height <= pixels:
        return size
    scale = (pixels / (width * height)) ** 0.5
    return max(1, round(width * scale)), max(1, round(height * scale))


def _shrunk(picture: Image.Image, pixels: int) -> Image.Image:
    size = _fitted(picture.size, pixels)
    return picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _target(found: Format, picture: Image.Image) -> str:
    """The format to write. AVIF becomes what every app and every partner can show."""
    if found is WEBP:
        return "WEBP"
    return "PNG" if found in (PNG, GIF) or picture.mode == "RGBA" else "JPEG"


def _write(picture: Image.Image, target: str) -> Rendition:
    out = io.BytesIO()
    if target == "JPEG":
        picture.save(out, "JPEG", quality=88, optimize=True, progressive=True)
    elif target == "WEBP":
        picture.save(out, "WEBP", quality=85, method=3)
    else:
        picture.save(out, "PNG", compress_level=6)
    return Rendition(out.getvalue(), f"image/{target.lower()}", _EXTENSIONS[target], *picture.size)


def _moving(opened: Image.Image, found: Format, bounds: Bounds) -> Picture:
    """A picture that moves, frame by frame; it keeps its length and plays for ever."""
    frames, durations = [], []
    for number in range(getattr(opened, "n_frames", 1)):
        opened.seek(number)
        if opened.size[0] * opened.size[1] > MAX_ANIMATED_PIXELS:
            raise BadInput(UNREADABLE, path="file")
        frame = opened.convert("RGBA")
        frame.info = {}
        frames.append(frame)
        durations.append(max(SHORTEST_FRAME, int(opened.info.get("duration") or 100)))
    if bounds.box:
        frames = [ImageOps.fit(frame, bounds.box, Image.Resampling.LANCZOS) for frame in frames]
    original = _write_moving(frames, durations, "GIF" if found is GIF else "WEBP")
    first = _shrunk(frames[0], PREVIEW_PIXELS)
    solid = first if first.getchannel("A").getextrema() != (255, 255) else first.convert("RGB")
    preview = None if bounds.box else _write(solid, _target(JPEG, solid))
    return Picture(original, preview, blur(first))


def _write_moving(frames: Sequence[Image.Image], durations: Sequence[int], target: str) -> Rendition:
    out = io.BytesIO()
    more = {"quality": 80, "method": 2} if target == "WEBP" else {"disposal": 2, "optimize": False}
    frames[0].save(out, target, save_all=True, append_images=frames[1:], duration=list(durations), loop=0, **more)
    return Rendition(out.getvalue(), f"image/{target.lower()}", _EXTENSIONS[target], *frames[0].size)


def blur(picture: Image.Image) -> str:
    """The blurhash of a picture."""
    small = picture.copy()
    small.thumbnail((BLUR_SIDE, BLUR_SIDE))
    if small.mode == "RGBA":
        ground = Image.new("RGB", small.size, (255, 255, 255))
        ground.paste(small, mask=small.getchannel("A"))
        small = ground
    small = small.convert("RGB")
    across, down = (4, 3) if small.width >= small.height else (3, 4)
    return blurhash.encode(small.tobytes(), small.width, small.height, across, down)


SUPPORTED = (JPEG, PNG, GIF, WEBP, AVIF)
"""The formats that `remake` takes."""
