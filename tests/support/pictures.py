"""Pictures for tests, honest ones and the other kind."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

SECRET = b"SECRET-PLACE"
SCRIPT = b"<html><script>alert(1)</script>"


def picture(kind: str = "PNG", size: tuple[int, int] = (64, 48), colour: tuple[int, ...] = (200, 30, 30)) -> bytes:
    """A picture of one colour."""
    out = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(out, kind)
    return out.getvalue()


def photograph(size: tuple[int, int] = (1200, 800)) -> bytes:
    """A JPEG as a telephone makes it: lying on its side, with place, comment and colour profile, and more behind."""
    made = Image.effect_noise(size, 40).convert("RGB")
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    exif[Base.ImageDescription] = SECRET.decode()
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitudeRef] = "N"
    out = io.BytesIO()
    made.save(out, "JPEG", exif=exif, comment=SECRET, icc_profile=b"profile " + SECRET)
    return out.getvalue() + b"a trailer of the maker, " + SECRET


def moving(kind: str = "GIF", frames: int = 4, size: tuple[int, int] = (40, 30)) -> bytes:
    """A picture that moves."""
    made = [Image.new("RGB", size, (n * 60 % 256, n * 30 % 256, 100)) for n in range(frames)]
    out = io.BytesIO()
    made[0].save(out, kind, save_all=True, append_images=made[1:], duration=80, loop=0)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb(width: int = 30_000, height: int = 30_000) -> bytes:
    """A small PNG that says it has very many pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    rows = zlib.compress(b"\0" * (height * ((width + 7) // 8 + 1)), 9)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def polyglot() -> bytes:
    """A good PNG that is a page as well: it has a script in a comment and behind its end."""
    plain = picture()
    note = chunk(b"tEXt", b"Comment\0" + SCRIPT)
    return plain[:33] + note + plain[33:] + SCRIPT


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
