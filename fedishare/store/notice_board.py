"""The notice board: the instance's rules, and announcements with who has read them and what people think of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from fedishare.model.activities import AnnouncementChanged
from fedishare.model.ids import Id, Millis
from fedishare.store.db import Row, Tx, sql

_RULE = "id, text, hint, translations, removed_at"
RULES = sql("rule_list", f"SELECT {_RULE} FROM instance_rule WHERE removed_at IS NULL ORDER BY id")
RULES_BY_IDS = sql("rule_by_ids", f"SELECT {_RULE} FROM instance_rule WHERE id IN :ids[] ORDER BY id")
PUT_RULE = sql(
    "rule_insert",
    """INSERT INTO instance_rule (id, text, hint, translations, created_at)
       VALUES (:id, :text, :hint, '{}', :now)""",
)
TRANSLATE_RULE = sql(
    "rule_translate", "UPDATE instance_rule SET translations = :translations WHERE id = :id AND removed_at IS NULL"
)
REMOVE_RULE = sql("rule_remove", "UPDATE instance_rule SET removed_at = :now WHERE id = :id AND removed_at IS NULL")

_ANNOUNCEMENT = """n.id, n.text, n.starts_at, n.ends_at, n.all_day, n.published_at, n.updated_at,
  EXISTS (SELECT 1 FROM announcement_read r WHERE r.announcement_id = n.id AND r.actor_id = :viewer)"""
ANNOUNCEMENTS = sql(
    "announcement_list",
    f"SELECT {_ANNOUNCEMENT} FROM announcement n WHERE n.ends_at IS NULL OR n.ends_at > :now ORDER BY n.id DESC",
)
ANNOUNCED = sql("announcement_ids", "SELECT id FROM announcement WHERE ends_at IS NULL OR ends_at > :now")
ANNOUNCEMENT = sql("announcement_get", f"SELECT {_ANNOUNCEMENT} FROM announcement n WHERE n.id = :id")
PUT_ANNOUNCEMENT = sql(
    "announcement_insert",
    """INSERT INTO announcement (id, text, starts_at, ends_at, all_day, published_at, updated_at)
       VALUES (:id, :text, :starts, :ends, :all_day, :now, :now)""",
)
DROP_ANNOUNCEMENT = sql("announcement_delete", "DELETE FROM announcement WHERE id = :id")
PRUNE_ANNOUNCEMENTS = sql(
    "announcement_prune", "DELETE FROM announcement WHERE ends_at IS NOT NULL AND ends_at < :before"
)
READ = sql(
    "announcement_read_put",
    "INSERT INTO announcement_read (announcement_id, actor_id) VALUES (:id, :actor) ON CONFLICT DO NOTHING",
)
REACTIONS = sql(
    "announcement_reactions",
    """SELECT announcement_id, name, count(*), max(CASE WHEN actor_id = :viewer THEN 1 ELSE 0 END), min(id) AS first
       FROM announcement_reaction WHERE announcement_id IN :ids[]
       GROUP BY announcement_id, name ORDER BY announcement_id, first""",
)
COUNT_NAMES = sql(
    "announcement_reaction_names",
    "SELECT count(DISTINCT name) FROM announcement_reaction WHERE announcement_id = :id AND name <> :name",
)
REACT = sql(
    "announcement_react",
    """INSERT INTO announcement_reaction (announcement_id, actor_id, name, id) VALUES (:id, :actor, :name, :number)
       ON CONFLICT DO NOTHING""",
)
UNREACT = sql(
    "announcement_unreact",
    "DELETE FROM announcement_reaction WHERE announcement_id = :id AND actor_id = :actor AND name = :name",
)
FORGET_READ = sql("announcement_read_forget", "DELETE FROM announcement_read WHERE actor_id = :actor")
FORGET_REACTIONS = sql("announcement_reaction_forget", "DELETE FROM announcement_reaction WHERE actor_id = :actor")


class RuleText(msgspec.Struct, frozen=True):
    """A rule in another language."""

    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of this instance; ``translations`` by language code."""

    id: Id
    text: str
    hint: str
    translations: dict[str, RuleText]
    removed_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something that everybody here should know. ``read``: by the one who asks."""

    id: Id
    text: str
    starts_at: Millis | None
    ends_at: Millis | None
    all_day: bool
    published_at: Millis
    updated_at: Millis
    read: bool


@dataclass(frozen=True, slots=True)
class Reaction:
    """How many said what to an announcement; ``me``: the one who asks did."""

    name: str
    count: int
    me: bool


_translations = msgspec.json.Decoder(dict[str, RuleText])


def _rule(row: Row) -> Rule:
    return Rule(row[0], row[1], row[2], _translations.decode(row[3]), row[4])


def rules(tx: Tx) -> list[Rule]:
    """The rules in force, oldest first."""
    return [_rule(row) for row in tx.all(RULES)]


def rules_by_ids(tx: Tx, idents: Iterable[Id]) -> list[Rule]:
    """Rules by id, those that are no longer in force too."""
    wanted = list(idents)
    return [_rule(row) for row in tx.all(RULES_BY_IDS, ids=wanted)] if wanted else []


def put_rule(tx: Tx, text: str, hint: str) -> Id:
    """Add a rule."""
    ident = tx.new_id()
    tx.run(PUT_RULE, id=ident, text=text, hint=hint, now=tx.now)
    return ident


def translate_rule(tx: Tx, rule: Rule, language: str, said: RuleText) -> None:
    """Say a rule in another language."""
    whole = msgspec.json.encode({**rule.translations, language: said}).decode()
    tx.run(TRANSLATE_RULE, id=rule.id, translations=whole)


def remove_rule(tx: Tx, ident: Id) -> bool:
    """Take a rule out of force; False when it is not in force."""
    return tx.run(REMOVE_RULE, id=ident, now=tx.now) > 0


def _announcement(row: Row) -> Announcement:
    ident, text, starts, ends, all_day, published, updated, read = row
    return Announcement(ident, text, starts, ends, bool(all_day), published, updated, bool(read))


def announcements(tx: Tx, viewer: Id) -> list[Announcement]:
    """Those that are not over, newest first."""
    return [_announcement(row) for row in tx.all(ANNOUNCEMENTS, viewer=viewer, now=tx.now)]


def announced(tx: Tx) -> set[Id]:
    """The ids of those that are not over."""
    return {row[0] for row in tx.all(ANNOUNCED, now=tx.now)}


def announcement(tx: Tx, viewer: Id, ident: Id) -> Announcement | None:
    """One announcement."""
    row = tx.one(ANNOUNCEMENT, viewer=viewer, id=ident)
    return _announcement(row) if row else None


def put_announcement(tx: Tx, text: str, starts: Millis | None, ends: Millis | None, *, all_day: bool) -> Id:
    """Say something to everybody here."""
    ident = tx.new_id()
    tx.run(PUT_ANNOUNCEMENT, id=ident, text=text, starts=starts, ends=ends, all_day=int(all_day), now=tx.now)
    tx.notify(AnnouncementChanged(ident))
    return ident


def drop_announcement(tx: Tx, ident: Id) -> bool:
    """Take an announcement back; False when there is none."""
    if not tx.run(DROP_ANNOUNCEMENT, id=ident):
        return False
    tx.notify(AnnouncementChanged(ident, "announcement.delete"))
    return True


def prune_announcements(tx: Tx, before: Millis) -> int:
    """Remove those that were over before ``before``."""
    return tx.run(PRUNE_ANNOUNCEMENTS, before=before)


def mark_read(tx: Tx, actor: Id, ident: Id) -> None:
    """Somebody has read an announcement."""
    tx.run(READ, id=ident, actor=actor)


def reactions(tx: Tx, viewer: Id, idents: Iterable[Id]) -> dict[Id, list[Reaction]]:
    """What people said to announcements, in the order in which it was first said."""
    found: dict[Id, list[Reaction]] = {}
    for ident, name, count, me, _ in tx.all(REACTIONS, viewer=viewer, ids=list(idents)):
        found.setdefault(ident, []).append(Reaction(name, count, bool(me)))
    return found


def other_names(tx: Tx, ident: Id, name: str) -> int:
    """How many other reactions an announcement has."""
    return int(tx.value(COUNT_NAMES, id=ident, name=name))


def react(tx: Tx, actor: Id, ident: Id, name: str, *, added: bool) -> None:
    """Add or take back a reaction."""
    changed = (
        tx.run(REACT, id=ident, actor=actor, name=name, number=tx.new_id())
        if added
        else tx.run(UNREACT, id=ident, actor=actor, name=name)
    )
    if changed:
        tx.notify(AnnouncementChanged(ident, "announcement.reaction", name))


def forget(tx: Tx, actor: Id) -> None:
    """What somebody read and said, when they are gone."""
    tx.run(FORGET_READ, actor=actor)
    tx.run(FORGET_REACTIONS, actor=actor)
