"""Media, the pure parts: what a file is, how it is made anew, its blur, tickets, and the folder."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fedishare.media import blurhash, images, sniff
from fedishare.media.files import NAME, Folder, digest_of, media_type, new_name
from fedishare.media.images import Bounds
from fedishare.media.tickets import ANYBODY, DAY, Tickets
from fedishare.model.errors import BadInput
from fedishare.model.ids import Id, Millis
from tests.support.pictures import SCRIPT, SECRET, SVG, bomb, moving, photograph, picture, polyglot

NOW = Millis(20_000 * DAY + DAY // 2)


def remade(body: bytes, bounds: Bounds | None = None) -> images.Picture:
    """A picture, made anew."""
    found = sniff.sniff(body[: sniff.HEAD])
    assert found is not None
    return images.remake(io.BytesIO(body), found, bounds or Bounds())


def opened(made: images.Rendition) -> Image.Image:
    """What was made, read again."""
    return Image.open(io.BytesIO(made.body))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
def test_each_format_is_known_by_its_bytes_and_made_anew(kind: str) -> None:
    made = remade(picture(kind))
    assert made.original.media_type in ("image/jpeg", "image/png", "image/webp")
    assert (made.original.width, made.original.height) == opened(made.original).size == (64, 48)
    assert made.preview is None and len(made.blurhash) == 28


def test_only_pixels_remain_of_a_photograph() -> None:
    body = photograph()
    assert body.count(SECRET) > 3
    made = remade(body)
    assert made.preview is not None
    for rendition in (made.original, made.preview):
        assert SECRET not in rendition.body and b"Exif" not in rendition.body
        assert not opened(rendition).getexif() and "icc_profile" not in opened(rendition).info
        assert rendition.height > rendition.width, "it was turned upright"
    assert made.preview.width * made.preview.height <= images.PREVIEW_PIXELS + 2000
    assert SCRIPT not in remade(polyglot()).original.body


def test_what_is_a_picture_and_more_is_seen() -> None:
    one = picture()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("x.html", SCRIPT)
    far = one + b"\0" * (sniff.PIECE - len(one) - 3)
    for more in (SCRIPT, SVG.replace(b"<svg", b"<SVG"), b"<?PHP ", archive.getvalue()):
        assert sniff.is_more(io.BytesIO(one + more)) and not sniff.is_more(io.BytesIO(one))
    assert sniff.is_more(io.BytesIO(far + b"<script>")), "also across the seam of two pieces"
    assert sniff.is_more(io.BytesIO(b"GIF89a%PDF-1.7" + one)) and sniff.is_more(io.BytesIO(polyglot()))
    for honest in (photograph(), moving(), picture("WEBP"), picture("AVIF"), one + b"PK\x05\x06"):
        assert not sniff.is_more(io.BytesIO(honest))


def test_pictures_that_move_go_on_moving_and_transparency_stays() -> None:
    for kind in ("GIF", "WEBP"):
        made = remade(moving(kind))
        assert getattr(opened(made.original), "n_frames", 1) == 4 and made.original.extension == kind.lower()
        assert made.preview is not None and getattr(opened(made.preview), "n_frames", 1) == 1
        assert getattr(opened(remade(moving(kind), Bounds(still=True)).original), "n_frames", 1) == 1
    clear = remade(picture("PNG", colour=(10, 20, 30, 100)))
    assert opened(clear.original).mode == "RGBA"


def test_large_pictures_are_made_smaller_and_profile_pictures_cut() -> None:
    large = remade(picture("JPEG", (5000, 4000)))
    assert large.original.width * large.original.height <= images.KEPT_PIXELS + 5000
    cut = remade(picture("PNG", (900, 300)), Bounds(box=(400, 400)))
    assert (cut.original.width, cut.original.height) == (400, 400) and cut.preview is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (bomb(8000, 8000), "8000x8000 images are not supported"),
        (bomb(), "could not be verified"),
        (picture()[:60], "could not be verified"),
        (picture("JPEG", (800, 600))[:1500], "could not be verified"),
        (moving(frames=images.MAX_FRAMES + 1, size=(8, 8)), "frames are not supported"),
        (moving(frames=2, size=(1400, 1000)), "1400x1000 GIF files"),
        (b"GIF89a" + b"\0" * 80, "could not be verified"),
        (b"\x89PNG\r\n\x1a\n" + SVG, "could not be verified"),
    ],
    ids=["bomb", "huge", "cut png", "cut jpeg", "many frames", "large frames", "empty gif", "svg inside"],
)
def test_what_is_no_picture_is_refused_by_name(body: bytes, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        remade(body)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_damaged_pictures_never_surprise(data: st.DataObject) -> None:
    body = bytearray(data.draw(st.sampled_from([picture(k) for k in ("PNG", "JPEG", "GIF", "WEBP")] + [moving()])))
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(12, len(body) - 1))] = data.draw(st.integers(0, 255))
    found = sniff.sniff(bytes(body[: sniff.HEAD]))
    if found is None:
        return
    try:
        made = images.remake(io.BytesIO(bytes(body)), found)
    except BadInput:
        return
    assert made.original.width > 0


def test_only_listed_formats_are_known() -> None:
    for body in (
        SVG,
        b"",
        b"<html>",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"BM" + b"\0" * 60,
        b"II*\0" + b"\0" * 60,
        b"#EXTM3U",
    ):
        assert sniff.sniff(body) is None, body
    assert sniff.sniff(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2") is sniff.MP4
    assert sniff.sniff(b"\0\0\0\x20ftypxxxx\0\0\0\0avifmif1") is sniff.AVIF
    assert sniff.sniff(b"RIFF\0\0\0\0WAVEfmt ") is sniff.WAV and sniff.sniff(b"RIFF\0\0\0\0AVI LIST") is None


def test_blurhash() -> None:
    assert blurhash.encode(bytes(3 * 32 * 32), 32, 32) == "L00000fQfQfQfQfQfQfQfQfQfQfQ"
    red = blurhash.encode(bytes((255, 0, 0)) * 64, 8, 8, 1, 1)
    assert red == "00" + "TI:j", "one component is the mean colour"
    with pytest.raises(ValueError, match="bytes were expected"):
        blurhash.encode(b"123", 2, 2)


def test_a_ticket_is_for_one_path_one_person_and_two_days() -> None:
    tickets, ana, ben = Tickets(b"secret"), Id(7), Id(8)
    path = "/media/x.png"
    ticket = tickets.make(path, ana, NOW)
    assert tickets.holder(ticket, path, NOW) == ana
    assert tickets.make(path, ana, Millis(NOW + DAY // 4)) == ticket, "it is the same all day"
    assert tickets.holder(ticket, path, Millis(NOW + DAY)) == ana
    assert tickets.holder(ticket, path, Millis(NOW + 2 * DAY)) is None
    assert tickets.holder(ticket, path, Millis(NOW - 2 * DAY)) is None
    assert tickets.holder(ticket, "/media/y.png", NOW) is None
    assert tickets.holder(ticket.replace("-7-", "-8-"), path, NOW) is None
    assert tickets.holder(ticket.replace("-7-", "-07-"), path, NOW) is None
    assert Tickets(b"other").holder(ticket, path, NOW) is None
    assert tickets.holder(tickets.make(path, ANYBODY, NOW), path, NOW) == ANYBODY
    assert tickets.make(path, ben, NOW) != ticket
    for wrong in ("", "-", "--", "a-b-c", "1-2-3", "x" * 500, "²-7-00", ticket + "0"):
        assert tickets.holder(wrong, path, NOW) is None
    assert b"secret" not in repr(tickets).encode()


def test_the_folder_gives_names_itself_and_leaves_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "media")
    name = new_name("png")
    assert NAME.match(name) and media_type(name) == b"image/png"
    for wrong in (
        "../../etc/passwd",
        f"{name}/../x",
        name.upper() + "/",
        f"{name}.html",
        name[:-4] + ".svg",
        f"{name}\n",
    ):
        assert not NAME.match(wrong)
    folder.put(name, b"body")
    assert folder.local(name).read_bytes() == b"body"
    with pytest.raises(OSError), folder.temporary() as part:
        part.write_bytes(b"half")
        raise OSError("the disk is full")
    assert list((tmp_path / "media" / "tmp").iterdir()) == []
    folder.remove("../../../x")
    folder.remove(name)
    folder.remove(name)
    assert not folder.local(name).exists()


def test_what_partners_show_is_kept_while_there_is_room(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    names = [f"{digest_of(str(n))}.png" for n in range(4)]
    for age, name in enumerate(names):
        folder.put(name, b"x" * 100, remote=True)
        os.utime(folder.remote(name), (1000 + age, 1000 + age))
    assert folder.find_remote(digest_of("0")) == names[0], "it was used now, so it is the last to go"
    assert folder.find_remote(digest_of("9")) is None
    assert folder.trim_remote(200) == 2
    assert [folder.remote(name).exists() for name in names] == [True, False, False, True]
    folder.forget_remote(digest_of("0"))
    assert not folder.remote(names[0]).exists()
