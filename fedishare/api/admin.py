"""The admin API's front: its lines of the registry, its gate, and how moderators see an account.

A token needs one of the scopes ``admin:read`` and ``admin:write`` (or a finer one), and its person the role, each time:
the viewer that is kept for a token is forgotten as soon as the person changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from fedishare.api import entities
from fedishare.api.http import Api
from fedishare.api.rendering import Renderer
from fedishare.api.table import Table
from fedishare.http.call import Answer, Call
from fedishare.http.routes import Access, Audience, Handler, Rate, Route
from fedishare.model.actors import Actor, ActorState
from fedishare.model.errors import NotAllowed
from fedishare.model.ids import Id
from fedishare.policy.roles import Right, may
from fedishare.services.moderation import REFUSED
from fedishare.store import actors, moderation
from fedishare.store.db import Tx


class AdminIp(msgspec.Struct, frozen=True):
    """An address from which somebody signed in."""

    ip: str
    used_at: str


class AdminAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account as moderators see it."""

    id: str
    username: str
    domain: str | None
    created_at: str
    email: str | None
    ip: str | None
    ips: tuple[AdminIp, ...]
    locale: str | None
    invite_request: str | None
    role: entities.Role | None
    confirmed: bool
    approved: bool
    disabled: bool
    silenced: bool
    suspended: bool
    sensitized: bool
    account: msgspec.Raw
    created_by_application_id: str | msgspec.UnsetType = msgspec.UNSET


def admin_accounts(tx: Tx, renderer: Renderer, idents: Sequence[Id]) -> list[AdminAccount]:
    """Accounts in the order of ``idents``; unknown ones are left out."""
    people, hidden = actors.by_ids(tx, idents), moderation.behind(tx, idents)
    places = moderation.sign_ins(tx, idents)
    found = []
    for ident in idents:
        actor, behind = people.get(ident), hidden.get(ident)
        if actor is None:
            continue
        ips = tuple(AdminIp(address, entities.instant(used)) for address, used in places.get(ident, ()))
        found.append(_account(tx, renderer, actor, behind, ips))
    return found


def _account(
    tx: Tx, renderer: Renderer, actor: Actor, behind: moderation.Behind | None, ips: tuple[AdminIp, ...]
) -> AdminAccount:
    return AdminAccount(
        id=str(actor.id), username=actor.name, domain=actor.domain, created_at=entities.instant(actor.created_at),
        email=behind.email if behind else None, ip=ips[0].ip if ips else None, ips=ips,
        locale=behind.locale if behind else None, invite_request=behind.reason if behind else None,
        role=entities.role(behind.role) if behind else None, confirmed=bool(behind and behind.confirmed),
        approved=bool(behind and behind.approved), disabled=bool(behind and behind.disabled), silenced=actor.limited,
        suspended=actor.state is ActorState.SUSPENDED, sensitized=actor.sensitized,
        account=msgspec.Raw(renderer.account(tx, actor)),
        created_by_application_id=str(behind.app_id) if behind and behind.app_id else msgspec.UNSET,
    )  # fmt: skip


def admin_account(tx: Tx, renderer: Renderer, ident: Id | None) -> AdminAccount | None:
    """One account; None stays None."""
    found = admin_accounts(tx, renderer, [ident]) if ident is not None else []
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Desk:
    """Makes lines of the admin API for one right."""

    api: Api
    table: Table
    right: Right
    noun: str
    """The last word of the scopes: ``accounts`` in ``admin:read:accounts``; empty for those without a finer one."""

    def look(self, method: str, path: str, handler: Handler) -> Route:
        """A line that shows something."""
        return self._line(method, path, "admin:read", handler, change=False)

    def change(self, method: str, path: str, handler: Handler) -> Route:
        """A line that changes something."""
        return self._line(method, path, "admin:write", handler, change=True)

    def _line(self, method: str, path: str, scope: str, handler: Handler, *, change: bool) -> Route:
        scope = f"{scope}:{self.noun}" if self.noun else scope
        return Route(
            method=method, path=f"/api{path}", handler=self._guarded(handler, change=change), access=Access.TOKEN,
            scopes=(scope,), rate=Rate.API, max_body=0 if method == "GET" else self.table.limit,
            audience=Audience.ROLE,
        )  # fmt: skip

    def _guarded(self, handler: Handler, *, change: bool) -> Handler:
        async def guarded(call: Call) -> Answer:
            if not may(call.me.role, self.right, change=change):
                raise NotAllowed(REFUSED)
            return await handler(call)

        return guarded
