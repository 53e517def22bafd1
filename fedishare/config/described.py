"""Every key with its description, for documents, messages and the file that ``fedishare init`` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta

from fedishare.config.settings import SECTIONS, PartnerEntry, Section


@dataclass(frozen=True, slots=True)
class Setting:
    """One key, for documentation. ``default`` is None when there is none (or none is needed)."""

    path: str
    description: str
    default: object
    required: bool
    example: object


def all_settings() -> tuple[Setting, ...]:
    """Every key of instance.toml; the partners' are written ``federation.partners[].domain``."""
    found = []
    for name, section in SECTIONS.items():
        found += [setting for setting in settings_of(section, name) if setting.path != "federation.partners"]
    return (*found, *settings_of(PartnerEntry, "federation.partners[]"))


def settings_of(section: type[Section], path: str) -> tuple[Setting, ...]:
    """The keys of one table."""
    return tuple(_setting(item, path) for item in msgspec.structs.fields(section))


def _setting(item: msgspec.structs.FieldInfo, path: str) -> Setting:
    meta = _meta(item.type)
    default = None if item.default is NODEFAULT else item.default
    example = meta.examples[0] if meta.examples else default
    return Setting(f"{path}.{item.name}", meta.description or "", default, item.required, example)


def _meta(kind: Any) -> Meta:
    """The outermost description of a type."""
    if get_origin(kind) is Annotated:
        for note in get_args(kind)[1:]:
            if isinstance(note, Meta) and note.description:
                return note
    return Meta()
