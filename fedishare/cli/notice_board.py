"""Announcements, rules and custom emoji: what the instance shows to its people."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from fedishare.cli.accounts import BY
from fedishare.cli.options import ID, config_option, json_option, ready_database, with_database
from fedishare.cli.output import Failure, moment, print_json, table
from fedishare.config import Config, prepare
from fedishare.media.images import Bounds
from fedishare.media.studio import Studio
from fedishare.model.errors import BadInput, FedishareError
from fedishare.model.ids import Id, Millis
from fedishare.model.media import Kept
from fedishare.services import announcements, emojis
from fedishare.store import emojis as emoji_store
from fedishare.store import notice_board

MAX_EMOJI = 256 * 1024
EMOJI = Bounds(pixels=256 * 256)
NOBODY = Id(0)


class Moment(click.ParamType[Millis]):
    """A date, or a date with time; without a zone it is UTC."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Millis:
        """Read it."""
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"expected 2027-12-31 or 2027-12-31T12:00, found {str(value)[:40]!r}", param, ctx)
        found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        if not 1971 < found.year < 3000:
            self.fail(f"{str(value)[:40]!r} is out of range", param, ctx)
        return Millis(int(found.timestamp() * 1000))


MOMENT = Moment()


@click.group()
def announcement() -> None:
    """Tell everybody here something."""


@announcement.command("add")
@click.argument("text")
@click.option("--starts", type=MOMENT, help="When what it is about begins.")
@click.option("--ends", type=MOMENT, help="When it is over; then the announcement goes.")
@config_option
def add_announcement(config: Config, text: str, starts: Millis | None, ends: Millis | None) -> None:
    """Make an announcement; apps show it at once.

    \b
    Example:
      fedishare announcement add "Maintenance on Sunday from 6 to 8" --ends 2027-03-07
    """
    made = with_database(config, lambda database: database.write(announcements.add, text, BY, starts=starts, ends=ends))
    click.echo(f"Made announcement {made}.")


@announcement.command("list")
@config_option
@json_option
def list_announcements(config: Config, as_json: bool) -> None:
    """List the announcements that are not over.

    \b
    Example:
      fedishare announcement list
    """
    found = with_database(config, lambda database: database.read(notice_board.announcements, NOBODY))
    if as_json:
        print_json([{"id": str(a.id), "text": a.text, "starts_at": moment(a.starts_at), "ends_at": moment(a.ends_at)}
                    for a in found])  # fmt: skip
        return
    rows = [(a.id, moment(a.starts_at), moment(a.ends_at), a.text.replace("\n", " ")[:80]) for a in found]
    table(["ID", "STARTS", "ENDS", "TEXT"], rows, empty="There are no announcements.")


@announcement.command("remove")
@click.argument("ident", type=ID, metavar="ID")
@config_option
def remove_announcement(config: Config, ident: Id) -> None:
    """Take an announcement back.

    \b
    Example:
      fedishare announcement remove 115638612345678901
    """
    with_database(config, lambda database: database.write(announcements.remove, ident, BY))
    click.echo(f"Removed announcement {ident}.")


@click.group()
def rule() -> None:
    """The instance's rules, as apps show them before anybody signs up."""


@rule.command("add")
@click.argument("text")
@click.option("--hint", default="", help="A longer explanation.")
@config_option
def add_rule(config: Config, text: str, hint: str) -> None:
    """Add a rule behind the others.

    \b
    Example:
      fedishare rule add "No patient data" --hint "Not even without names."
    """
    made = with_database(config, lambda database: database.write(announcements.add_rule, text, hint, BY))
    click.echo(f"Added rule {made}.")


@rule.command("translate")
@click.argument("ident", type=ID, metavar="ID")
@click.argument("language")
@click.argument("text")
@click.option("--hint", default="", help="The explanation in that language.")
@config_option
def translate_rule(config: Config, ident: Id, language: str, text: str, hint: str) -> None:
    """Say a rule in another language.

    \b
    Example:
      fedishare rule translate 115638612345678901 de "Keine Patientendaten"
    """
    with_database(
        config, lambda database: database.write(announcements.translate_rule, ident, language, text, hint, BY)
    )
    click.echo(f"Rule {ident} has a text in {language}.")


@rule.command("list")
@config_option
@json_option
def list_rules(config: Config, as_json: bool) -> None:
    """List the rules in force.

    \b
    Example:
      fedishare rule list
    """
    found = with_database(config, lambda database: database.read(notice_board.rules))
    if as_json:
        print_json([{"id": str(r.id), "text": r.text, "hint": r.hint, "languages": sorted(r.translations)}
                    for r in found])  # fmt: skip
        return
    rows = [(r.id, r.text, r.hint, ", ".join(sorted(r.translations))) for r in found]
    table(["ID", "RULE", "HINT", "ALSO IN"], rows, empty="There are no rules.")


@rule.command("remove")
@click.argument("ident", type=ID, metavar="ID")
@config_option
def remove_rule(config: Config, ident: Id) -> None:
    """Take a rule out of force; reports that name it keep it.

    \b
    Example:
      fedishare rule remove 115638612345678901
    """
    with_database(config, lambda database: database.write(announcements.remove_rule, ident, BY))
    click.echo(f"Removed rule {ident}.")


@click.group()
def emoji() -> None:
    """Custom emoji of this instance."""


@emoji.command("add")
@click.argument("code")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--category", help="Under which apps list it.")
@click.option("--hidden", is_flag=True, help="Apps do not offer it.")
@config_option
def add_emoji(config: Config, code: str, file: Path, category: str | None, hidden: bool) -> None:
    """Add an emoji from a PNG, GIF, WebP, JPEG or AVIF picture of at most 256 KB. It is made anew.

    \b
    Example:
      fedishare emoji add hospital hospital.png --category buildings
    """
    name, body = emojis.check_code(code), file.read_bytes()
    if len(body) > MAX_EMOJI:
        raise Failure(f"{file} has {len(body)} bytes; an emoji has at most {MAX_EMOJI}.")
    asyncio.run(_add_emoji(config, name, body, category, visible=not hidden))
    click.echo(f"Added :{name}:.")


async def _add_emoji(config: Config, code: str, body: bytes, category: str | None, *, visible: bool) -> None:
    async with ready_database(config) as database:
        studio = Studio(prepare(config).media_path, None)
        kept: list[Kept] = []
        try:
            made, still = await _pictures(studio, body, kept)
            await database.write(emojis.add, code, made, still, category, BY, visible=visible)
        except FedishareError:
            await studio.remove([each.name for each in kept])
            raise
        finally:
            studio.close()


async def _pictures(studio: Studio, body: bytes, kept: list[Kept]) -> tuple[Kept, Kept]:
    """The picture, and one that does not move. Raises `BadInput`."""
    source = io.BytesIO(body)
    found = await studio.admit(source)
    if found.family != "image":
        raise BadInput("an emoji is a picture")
    moving = await studio.picture(source, found, EMOJI)
    kept.append(await studio.keep(moving.original))
    if not moving.preview and found.decoder not in ("GIF", "WEBP"):
        return kept[0], kept[0]
    still = await studio.picture(source, found, Bounds(pixels=EMOJI.pixels, still=True))
    kept.append(await studio.keep(still.original))
    return kept[0], kept[1]


@emoji.command("list")
@config_option
@json_option
def list_emojis(config: Config, as_json: bool) -> None:
    """List the emoji of this instance.

    \b
    Example:
      fedishare emoji list
    """
    found = with_database(config, lambda database: database.read(emoji_store.all_emojis))
    if as_json:
        print_json([{"code": e.code, "category": e.category, "visible": e.visible} for e in found])
        return
    rows = [(f":{e.code}:", e.category, "yes" if e.visible else "no", moment(e.updated_at)) for e in found]
    table(["CODE", "CATEGORY", "OFFERED", "SINCE"], rows, empty="There are no emoji.")


@emoji.command("remove")
@click.argument("code")
@config_option
def remove_emoji(config: Config, code: str) -> None:
    """Remove an emoji. Posts that have it show its code.

    \b
    Example:
      fedishare emoji remove hospital
    """
    name = emojis.check_code(code)
    with_database(config, lambda database: database.write(emojis.remove, name, BY))
    click.echo(f"Removed :{name}:.")
