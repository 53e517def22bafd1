"""Moderation: what moderators do with accounts and reports, and who may sign up. Each step is in the audit log."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from fedishare.model.activities import ActorChanged
from fedishare.model.actors import Actor, ActorState, Role, Viewer
from fedishare.model.emails import email_domains, email_hash
from fedishare.model.errors import BadInput, NotAllowed, NotFound
from fedishare.model.ids import Id, Millis
from fedishare.policy.roles import Right, may, may_act_on
from fedishare.services import accounts, notifications
from fedishare.store import actors, credentials, doors, moderation, partners
from fedishare.store.db import Tx
from fedishare.store.doors import IpBlock
from fedishare.store.moderation import Report
from fedishare.store.paging import Page

REFUSED = "This action is not allowed"
MOST_REPORTS = 1000
"""Open reports that one action answers."""
ACTIONS = ("none", "sensitive", "disable", "silence", "suspend")
CATEGORIES = ("spam", "legal", "violation", "other")
WIDEST_V4, WIDEST_V6 = 8, 16
SEVERITIES = ("sign_up_requires_approval", "sign_up_block", "no_access")


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody who signs up, as the doors see it."""

    email: str
    address: str


def account(tx: Tx, ident: Id) -> Actor:
    """An account that moderators may look at. Raises `NotFound`."""
    found = actors.by_id(tx, ident)
    if found is None or found.state is ActorState.DELETED or found.name == actors.INSTANCE_ACTOR:
        raise NotFound("Record not found")
    return found


def target(tx: Tx, moderator: Viewer, ident: Id) -> Actor:
    """An account that this moderator may do something to. Raises `NotFound`, `NotAllowed`."""
    found = account(tx, ident)
    kept = credentials.get(tx, found.id)
    if found.id == moderator.id or not may_act_on(moderator.role, kept.role if kept else Role.MEMBER):
        raise NotAllowed(REFUSED)
    return found


def by(moderator: Viewer) -> str:
    """Who it was, in the audit log."""
    return f"@{moderator.name}"


def act(tx: Tx, moderator: Viewer, ident: Id, kind: str, *, report: Id | None = None, text: str = "") -> None:
    """Do one of `ACTIONS` to an account, and close the reports that it answers: the one that is named, and with
    everything but ``none`` all that are open about that account. Raises `BadInput`, `NotFound`.
    """
    found = target(tx, moderator, ident)
    if kind not in ACTIONS:
        raise BadInput(f"Validation failed: Type is not included in the list ({', '.join(ACTIONS)})", path="type")
    if kind == "disable" and not found.is_local:
        raise BadInput("Validation failed: Type disable is for accounts of this instance", path="type")
    if kind == "sensitive":
        actors.set_sensitized(tx, found.id, True)
    elif kind == "disable":
        _disable(tx, found)
    elif kind == "silence":
        _limit(tx, found, True)
    elif kind == "suspend":
        _suspend(tx, found, by(moderator))
    if kind != "suspend":  # that one writes its own entry
        partners.audit(tx, by(moderator), f"account.{'note' if kind == 'none' else kind}", str(found.handle), text)
    elif text:
        partners.audit(tx, by(moderator), "account.note", str(found.handle), text)
    _close_answered(tx, moderator, found.id, report, everything=kind != "none")


def _close_answered(tx: Tx, moderator: Viewer, ident: Id, named: Id | None, *, everything: bool) -> None:
    if named is not None:
        known = moderation.report(tx, named)
        if known is None or known.target_id != ident:
            raise NotFound("Record not found")
        close(tx, moderator, named)
    if everything:
        for answered in moderation.reports(tx, Page(limit=MOST_REPORTS), resolved=False, target=ident):
            close(tx, moderator, answered.id)


def _disable(tx: Tx, actor: Actor) -> None:
    credentials.set_disabled(tx, actor.id, True)
    accounts.end_tokens(tx, actor)


def _limit(tx: Tx, actor: Actor, limited: bool) -> None:
    actors.set_limited(tx, actor.id, limited)
    if actor.state < ActorState.SUSPENDED:
        actors.set_state(tx, actor.id, ActorState.LIMITED if limited else ActorState.ACTIVE)


def _suspend(tx: Tx, actor: Actor, who: str) -> None:
    accounts.suspend(tx, actor, who)
    hashed = moderation.hash_of_email(tx, actor.id) if actor.is_local else None
    if hashed is not None:
        doors.put_canonical(tx, hashed, actor.id)


def enable(tx: Tx, moderator: Viewer, ident: Id) -> None:
    """Let somebody sign in again."""
    found = target(tx, moderator, ident)
    credentials.set_disabled(tx, found.id, False)
    partners.audit(tx, by(moderator), "account.enable", str(found.handle))
    tx.notify(ActorChanged(found.id))


def unsilence(tx: Tx, moderator: Viewer, ident: Id) -> None:
    """Show somebody to everybody again."""
    found = target(tx, moderator, ident)
    _limit(tx, found, False)
    partners.audit(tx, by(moderator), "account.unsilence", str(found.handle))


def unsuspend(tx: Tx, moderator: Viewer, ident: Id) -> None:
    """Take a suspension back; a limit that was there before is there again."""
    found = target(tx, moderator, ident)
    if found.state is ActorState.SUSPENDED:
        accounts.restore(tx, found, by(moderator))
        doors.drop_canonical_of(tx, found.id)


def unsensitive(tx: Tx, moderator: Viewer, ident: Id) -> None:
    """Believe somebody again about what is sensitive."""
    found = target(tx, moderator, ident)
    actors.set_sensitized(tx, found.id, False)
    partners.audit(tx, by(moderator), "account.unsensitive", str(found.handle))


def approve(tx: Tx, moderator: Viewer, ident: Id) -> None:
    """Let in somebody who signed up. Raises `NotAllowed` when nothing waits for a decision."""
    accounts.approve(tx, _pending(tx, moderator, ident), by(moderator))


def reject(tx: Tx, moderator: Viewer, ident: Id) -> Actor:
    """Turn away somebody who signed up; the account is deleted. Raises `NotAllowed` as `approve` does."""
    found = _pending(tx, moderator, ident)
    accounts.delete(tx, found, by(moderator))
    return found


def _pending(tx: Tx, moderator: Viewer, ident: Id) -> Actor:
    found = target(tx, moderator, ident)
    kept = credentials.get(tx, found.id)
    if kept is None or kept.approved:
        raise NotAllowed(REFUSED)
    return found


def remove(tx: Tx, moderator: Viewer, ident: Id) -> Actor:
    """Delete a suspended account with all that it wrote. Raises `NotAllowed` for one that is not suspended."""
    found = target(tx, moderator, ident)
    if found.state is not ActorState.SUSPENDED:
        raise NotAllowed(REFUSED)
    if found.is_local:
        accounts.delete(tx, found, by(moderator))
    else:
        accounts.erase(tx, found)
        partners.audit(tx, by(moderator), "account.delete", str(found.handle))
    return found


# Reports


def told(tx: Tx, ident: Id, reporter: Actor) -> None:
    """A report is new: those who handle reports hear of it."""
    _tell(tx, Right.MANAGE_REPORTS, "admin.report", reporter.id, ident)


def signed_up(tx: Tx, newcomer: Actor) -> None:
    """Somebody signed up: those who decide hear of it."""
    _tell(tx, Right.MANAGE_USERS, "admin.sign_up", newcomer.id)


def _tell(tx: Tx, right: Right, kind: str, source: Id, about: Id | None = None) -> None:
    for owner in moderation.staff(tx, [role for role in Role if may(role, right, change=True)]):
        notifications.notify(tx, owner, kind, source, about=about)


def report(tx: Tx, ident: Id) -> Report:
    """One report. Raises `NotFound`."""
    found = moderation.report(tx, ident)
    if found is None:
        raise NotFound("Record not found")
    return found


def classify(tx: Tx, moderator: Viewer, ident: Id, category: str, rules: Iterable[Id]) -> None:
    """Change what kind of report it is. Raises `BadInput`, `NotFound`."""
    known = report(tx, ident)
    if category not in CATEGORIES:
        raise BadInput("Validation failed: Category is not included in the list", path="category")
    moderation.classify(tx, ident, category, rules)
    partners.audit(tx, by(moderator), "report.update", str(known.id), category)


def assign(tx: Tx, moderator: Viewer, ident: Id, who: Id | None) -> None:
    """Look after a report, or no longer."""
    known = report(tx, ident)
    moderation.assign(tx, known.id, who)
    partners.audit(tx, by(moderator), "report.assign" if who is not None else "report.unassign", str(known.id))


def close(tx: Tx, moderator: Viewer, ident: Id) -> None:
    """Something, or nothing, was done about it."""
    known = report(tx, ident)
    moderation.resolve(tx, known.id, moderator.id)
    partners.audit(tx, by(moderator), "report.resolve", str(known.id))


def reopen(tx: Tx, moderator: Viewer, ident: Id) -> None:
    """Look at it again."""
    known = report(tx, ident)
    moderation.resolve(tx, known.id, None)
    partners.audit(tx, by(moderator), "report.reopen", str(known.id))


# Doors


def network_of(text: str) -> str:
    """A network or address in its one spelling. Raises `BadInput`."""
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError as error:
        raise BadInput("Validation failed: Ip is not a valid IP address", path="ip") from error


def severest(blocks: Iterable[IpBlock], address: str, now: Millis) -> str | None:
    """The severest of the blocks that an address falls under; None: it may come in."""
    try:
        place = ipaddress.ip_address(address)
    except ValueError:
        return None
    place = place.ipv4_mapped or place if isinstance(place, ipaddress.IPv6Address) else place
    found = [
        SEVERITIES.index(block.severity)
        for block in blocks
        if (block.expires_at is None or block.expires_at > now) and place in ipaddress.ip_network(block.network)
    ]
    return SEVERITIES[max(found)] if found else None


def judge(tx: Tx, newcomer: Newcomer) -> bool:
    """Whether a newcomer must wait for a moderator even where anybody may sign up. Raises `BadInput`, `NotAllowed`."""
    severity = severest(doors.ip_blocks(tx), newcomer.address, tx.now)
    if severity in ("sign_up_block", "no_access"):
        raise NotAllowed(REFUSED)
    verdicts = doors.email_verdicts(tx, email_domains(newcomer.email))
    if not all(verdicts):
        raise BadInput("Validation failed: Email contains a disallowed e-mail provider", path="email")
    if doors.canonical_by_hash(tx, email_hash(newcomer.email)) is not None:
        raise BadInput("Validation failed: Email has already been taken", path="email")
    return bool(verdicts) or severity is not None


def is_everybody(network: str) -> bool:
    """Whether a network is so wide that shutting it out would shut out nearly everybody, the moderator too."""
    return ipaddress.ip_network(network).prefixlen < (WIDEST_V4 if "." in network else WIDEST_V6)
