"""Sound and film, by ffmpeg where it is installed: every stream is decoded and encoded anew, and nothing else is kept.

ffmpeg is told which one format to read and that files are all it may open, so that a file cannot be a playlist that
leads elsewhere. It runs as a process of its own, for a limited time, and not through a shell.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fedishare.media.sniff import FLAC, M4A, MP3, MP4, OGG, QUICKTIME, WAV, WEBM, Format
from fedishare.model.errors import BadInput

MAX_SECONDS = 600.0
"""How long a film or sound may be."""
MAX_SIDE = 4096
MAX_RATE = 120
KEPT_SIDE = 1920
PROBE_SECONDS = 15.0
ENCODE_SECONDS = 900.0
MAX_SAID = 1_000_000
NOT_HERE = "Validation failed: File content type is invalid: sound and film cannot be processed on this server"
BROKEN = "File type of uploaded media could not be verified"

_DEMUXERS = {
    MP4: "mov",
    QUICKTIME: "mov",
    M4A: "mov",
    WEBM: "matroska",
    MP3: "mp3",
    OGG: "ogg",
    WAV: "wav",
    FLAC: "flac",
}
_SCALE = (
    f"scale=w='min({KEPT_SIDE},iw)':h='min({KEPT_SIDE},ih)':force_original_aspect_ratio=decrease:force_divisible_by=2"
)


class _Stream(msgspec.Struct, frozen=True):
    codec_type: str = ""
    width: int = 0
    height: int = 0
    avg_frame_rate: str = ""
    disposition: dict[str, int] = {}


class _Container(msgspec.Struct, frozen=True):
    duration: str = ""


class _Probe(msgspec.Struct, frozen=True):
    streams: tuple[_Stream, ...] = ()
    format: _Container = _Container()


_probed = msgspec.json.Decoder(_Probe)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a film or sound is. ``seconds`` is its length; sizes are 0 for sound."""

    family: str
    seconds: float
    width: int = 0
    height: int = 0
    rate: str = ""


@dataclass(frozen=True, slots=True)
class Tools:
    """Where ffmpeg and ffprobe are."""

    ffmpeg: str
    ffprobe: str


def find_tools() -> Tools | None:
    """The programs of this machine; None when they are not there."""
    ffmpeg, ffprobe = shutil.which("ffmpeg"), shutil.which("ffprobe")
    return Tools(ffmpeg, ffprobe) if ffmpeg and ffprobe else None


async def probe(tools: Tools, source: Path, found: Format) -> Facts:
    """What is in a file, if it is what it says and within our limits. Raises `BadInput`."""
    said = await _run(
        [tools.ffprobe, *_reading(found), "-print_format", "json", "-show_format", "-show_streams", f"file:{source}"],
        PROBE_SECONDS,
    )
    try:
        result = _probed.decode(said)
        seconds = float(result.format.duration or 0)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadInput(BROKEN, path="file") from error
    film = next((s for s in result.streams if s.codec_type == "video" and not s.disposition.get("attached_pic")), None)
    sound = any(s.codec_type == "audio" for s in result.streams)
    # What a browser records has no length yet; it is cut off at ours.
    if not 0 <= seconds <= MAX_SECONDS:
        raise BadInput(f"Validation failed: File must be at most {MAX_SECONDS:g} seconds long", path="file")
    if film is None or found.family == "audio":
        if not sound:
            raise BadInput(BROKEN, path="file")
        return Facts("audio", seconds)
    if not (0 < film.width <= MAX_SIDE and 0 < film.height <= MAX_SIDE):
        raise BadInput(f"{film.width}x{film.height} videos are not supported", path="file")
    above, _, below = film.avg_frame_rate.partition("/")
    if above.isdigit() and below.isdigit() and int(above) > MAX_RATE * max(1, int(below)):
        raise BadInput(f"{int(above) // max(1, int(below))}fps videos are not supported", path="file")
    return Facts("video", seconds, film.width, film.height, film.avg_frame_rate)


async def remake(tools: Tools, source: Path, found: Format, target: Path) -> Facts:
    """Encode anew into ``target``: MP4 (H.264, AAC) or MP3. Returns what it is now. Raises `BadInput`."""
    before = await probe(tools, source, found)
    common = ["-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn", "-t", f"{MAX_SECONDS:g}", "-threads", "2",
              "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]  # fmt: skip
    if before.family == "video":
        made = ["-map", "0:v:0", "-map", "0:a:0?", "-vf", _SCALE, "-c:v", "libx264", "-preset", "veryfast",
                "-crf", "23", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart",
                "-f", "mp4"]  # fmt: skip
    else:
        made = ["-map", "0:a:0", "-vn", "-c:a", "libmp3lame", "-q:a", "4", "-write_id3v1", "0", "-id3v2_version", "0",
                "-f", "mp3"]  # fmt: skip
    await _run(
        [tools.ffmpeg, "-nostdin", "-y", *_reading(found), "-i", f"file:{source}", *common, *made, f"file:{target}"],
        ENCODE_SECONDS,
    )
    return await probe(tools, target, MP4 if before.family == "video" else MP3)


async def first_frame(tools: Tools, film: Path, target: Path) -> None:
    """The first frame of a film of ours, as JPEG. Raises `BadInput`."""
    await _run(
        [tools.ffmpeg, "-nostdin", "-y", *_reading(MP4), "-i", f"file:{film}", "-frames:v", "1", "-map_metadata", "-1",
         "-c:v", "mjpeg", "-f", "image2", "-update", "1", f"file:{target}"],
        PROBE_SECONDS,
    )  # fmt: skip


def _reading(found: Format) -> list[str]:
    return ["-v", "error", "-protocol_whitelist", "file", "-f", _DEMUXERS[found]]


async def _run(command: list[str], seconds: float) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(seconds):
            said, _ = await process.communicate()
    except TimeoutError as error:
        raise BadInput("Error processing thumbnail for uploaded media", path="file") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0 or len(said) > MAX_SAID:
        raise BadInput(BROKEN, path="file")
    return said
