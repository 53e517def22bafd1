"""Uploads in requests: the file, what is said about it, and what is wrong with them, in Mastodon's words."""

from __future__ import annotations

import math
from typing import Any, BinaryIO

from starlette.datastructures import UploadFile

from fedishare.api.http import Params, parse_id
from fedishare.model.errors import BadInput
from fedishare.model.ids import Id
from fedishare.services.media import Note, check_description
from fedishare.text import clean_text

MIB = 1024 * 1024
FOCUS = "Validation failed: Focus must be two numbers from -1 to 1, with a comma"
BLANK = "Validation failed: File can't be blank"


def too_large(limit: int) -> BadInput:
    """What an app is told about a file that is too large."""
    size = f"{limit // MIB} MB" if limit >= MIB else f"{limit // 1024} KB"
    return BadInput(f"Validation failed: File file size must be less than {size}", path="file")


def file_of(found: Params, name: str, limit: int) -> BinaryIO | None:
    """The upload of that name; None when there is none. Raises `BadInput` for an empty or a too large one."""
    value = found.raw(name)
    if value is None or value == "":
        return None
    if not isinstance(value, UploadFile):
        raise BadInput(f"Validation failed: {name.capitalize()} is invalid", path=name)
    if not value.size:
        raise BadInput(BLANK, path=name)
    if value.size > limit:
        raise too_large(limit)
    return value.file


def read_note(found: Params) -> Note:
    """``description`` and ``focus``. Raises `BadInput`."""
    description = None
    if found.raw("description") is not None:
        description = check_description(clean_text(found.text("description"))) or ""
    return Note(description, _focus(found.raw("focus")))


def _focus(value: Any) -> tuple[float, float] | None:
    if value is None or value == "":
        return None
    try:
        across, up = (float(part) for part in str(value).split(","))
    except ValueError as error:
        raise BadInput(
            "Validation failed: Focus must be two numbers from -1 to 1, with a comma", path="focus"
        ) from error
    if not (math.isfinite(across) and math.isfinite(up)):
        raise BadInput(FOCUS, path="focus")
    return max(-1.0, min(1.0, across)), max(-1.0, min(1.0, up))


def media_notes(found: Params) -> dict[Id, Note]:
    """``media_attributes`` of an edit: what is said about attachments now. Raises `BadInput`."""
    given = found.raw("media_attributes")
    rows = list(given.values()) if isinstance(given, dict) else given if isinstance(given, list) else []
    notes = {}
    for row in rows[:20]:
        if isinstance(row, dict) and row.get("id") is not None:
            notes[parse_id(str(row["id"]))] = read_note(Params(row))
    return notes
