"""Announcements and rules: what the instance says to its people, and what they say to that."""

from __future__ import annotations

import re
import unicodedata

from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Id, Millis
from fedishare.store import emojis, notice_board, partners
from fedishare.store.db import Tx
from fedishare.store.notice_board import RuleText
from fedishare.text import clean_text

MAX_TEXT = 5000
MAX_RULE = 500
MAX_NAMES = 8
"""How many different reactions one announcement can have."""
_CODE = re.compile(r"[A-Za-z0-9_]{2,50}\Z")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*\Z")
MAX_EMOJI = 16
"""Characters of a Unicode emoji, joiners and colours included."""


def add(tx: Tx, text: str, by: str, *, starts: Millis | None = None, ends: Millis | None = None) -> Id:
    """Say something to everybody here. Raises `BadInput`."""
    text = clean_text(text).strip()
    if not 0 < len(text) <= MAX_TEXT:
        raise BadInput(f"an announcement has 1 to {MAX_TEXT} characters, this one {len(text)}", path="text")
    if starts is not None and ends is not None and ends <= starts:
        raise BadInput("an announcement ends after it starts", path="ends_at")
    made = notice_board.put_announcement(tx, text, starts, ends, all_day=False)
    partners.audit(tx, by, "announcement.add", str(made), text[:200])
    return made


def remove(tx: Tx, ident: Id, by: str) -> None:
    """Take an announcement back. Raises `NotFound`."""
    if not notice_board.drop_announcement(tx, ident):
        raise NotFound(f"there is no announcement {ident}")
    partners.audit(tx, by, "announcement.remove", str(ident))


def dismiss(tx: Tx, actor: Id, ident: Id) -> None:
    """Somebody has read it. Raises `NotFound`."""
    _known(tx, actor, ident)
    notice_board.mark_read(tx, actor, ident)


def react(tx: Tx, actor: Id, ident: Id, name: str, *, added: bool) -> None:
    """Add or take back an emoji. Raises `NotFound`, `BadInput` in Mastodon's words."""
    _known(tx, actor, ident)
    if added:
        if not (_is_emoji(name) or (_CODE.match(name) and emojis.by_codes(tx, [name]))):
            raise BadInput("Validation failed: Name is not a recognized emoji", path="name")
        if notice_board.other_names(tx, ident, name) >= MAX_NAMES:
            raise BadInput("Validation failed: Limit of different reactions reached", path="name")
    notice_board.react(tx, actor, ident, name, added=added)


def _known(tx: Tx, actor: Id, ident: Id) -> None:
    found = notice_board.announcement(tx, actor, ident)
    if found is None or (found.ends_at is not None and found.ends_at <= tx.now):
        raise NotFound("Record not found")


def _is_emoji(name: str) -> bool:
    """Whether a text is one emoji: symbols, with the signs that join and colour them."""
    if not 0 < len(name) <= MAX_EMOJI:
        return False
    kinds = [unicodedata.category(c) for c in name]
    joiners = {"\u200d", "\ufe0f", "\u20e3"}
    keycap = name[0] in "0123456789#*" and name.endswith("\u20e3")
    symbols = all(
        kind in ("So", "Sk", "Sm") or c in joiners or 0xE0020 <= ord(c) <= 0xE007F
        for c, kind in zip(name, kinds, strict=True)
    )
    return (keycap and len(name) <= 3) or (symbols and "So" in kinds)


def add_rule(tx: Tx, text: str, hint: str, by: str) -> Id:
    """Add a rule. Raises `BadInput`."""
    said = _rule(text, hint)
    made = notice_board.put_rule(tx, said.text, said.hint)
    partners.audit(tx, by, "rule.add", str(made), said.text)
    return made


def translate_rule(tx: Tx, ident: Id, language: str, text: str, hint: str, by: str) -> None:
    """Say a rule in another language. Raises `BadInput`, `NotFound`."""
    if not _LANGUAGE.match(language):
        raise BadInput(f"{language[:40]!r} is no language code; expected for example de or pt-BR", path="language")
    found = next((rule for rule in notice_board.rules(tx) if rule.id == ident), None)
    if found is None:
        raise NotFound(f"there is no rule {ident}")
    notice_board.translate_rule(tx, found, language, _rule(text, hint))
    partners.audit(tx, by, "rule.translate", str(ident), language)


def remove_rule(tx: Tx, ident: Id, by: str) -> None:
    """Take a rule out of force. Raises `NotFound`."""
    if not notice_board.remove_rule(tx, ident):
        raise NotFound(f"there is no rule {ident}")
    partners.audit(tx, by, "rule.remove", str(ident))


def _rule(text: str, hint: str) -> RuleText:
    text, hint = clean_text(text).strip(), clean_text(hint).strip()
    if not 0 < len(text) <= MAX_RULE or len(hint) > MAX_RULE:
        raise BadInput(f"a rule has 1 to {MAX_RULE} characters, and so has its hint at most", path="text")
    return RuleText(text, hint)
