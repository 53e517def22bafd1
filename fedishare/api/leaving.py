"""Moving here, moving away, and leaving for good. Each that cannot be taken back wants the password."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import msgspec

from fedishare.activitypub import resolver
from fedishare.api import entities
from fedishare.api.http import Api, params, parse_id
from fedishare.api.passwords import prove
from fedishare.api.statuses import own
from fedishare.api.table import OWN, Table
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Route
from fedishare.jobs import Done, Handler, Result
from fedishare.model.actors import Actor, ActorState
from fedishare.model.errors import BadInput, NotFound, PeerFault
from fedishare.model.ids import Handle, Id
from fedishare.services import accounts, moving
from fedishare.services.accounts import ERASE, EraseJob
from fedishare.store import actors
from fedishare.store.db import Tx
from fedishare.store.jobs import Job

NOBODY = "Validation failed: Acct could not be found"
ERASE_SECONDS = 3600.0


class AliasEntity(msgspec.Struct, frozen=True):
    """An account elsewhere that is the same person's."""

    id: str
    acct: str
    uri: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """The handlers."""

    api: Api

    # Aliases

    async def aliases(self, call: Call) -> Answer:
        """``GET /api/v1/fedishare/aliases``"""

        def read(tx: Tx) -> list[AliasEntity]:
            return [_alias(each) for each in moving.aliases(tx, own(tx, call.me.id))]

        return json_answer(await self.api.database.read(read))

    async def add_alias(self, call: Call) -> Answer:
        """``POST /api/v1/fedishare/aliases``: ``acct`` is looked up at its partner, through policy and gateway."""
        target = await self._find((await params(call)).text("acct"))
        await self.api.database.write(lambda tx: moving.add_alias(tx, own(tx, call.me.id), target))
        return json_answer(_alias(target))

    async def drop_alias(self, call: Call) -> Answer:
        """``DELETE /api/v1/fedishare/aliases/{id}``"""
        ident = parse_id(call.params["id"])
        await self.api.database.write(lambda tx: moving.drop_alias(tx, own(tx, call.me.id), ident))
        return json_answer({})

    async def _find(self, text: str, *, fresh: bool = False) -> Actor:
        """Whose handle it is. Raises `BadInput`, `PolicyRefusal`."""
        federation = self.api.federation
        try:
            handle = Handle.parse(text.strip(), development=self.api.site.development)
            found = await resolver.resolve_handle(federation, handle)
            return await resolver.fetch_actor(federation, found.iri) if fresh and not found.is_local else found
        except (BadInput, NotFound, PeerFault) as error:
            raise BadInput(NOBODY, path="acct") from error

    # Moving

    async def move(self, call: Call) -> Answer:
        """``POST /api/v1/fedishare/move``: ``acct`` must name this account as its own; followers go along."""
        found = await params(call)
        await prove(self.api, call.me, found.text("password"))
        target = await self._find(found.text("acct"), fresh=True)

        def write(tx: Tx) -> bytes:
            moving.move(tx, self.api.site, own(tx, call.me.id), actors.by_id(tx, target.id) or target)
            return self.api.renderer.draft().account(tx, own(tx, call.me.id))

        return Answer(await self.api.database.write(write))

    async def stay(self, call: Call) -> Answer:
        """``DELETE /api/v1/fedishare/move``: the account leads nowhere any more"""

        def write(tx: Tx) -> bytes:
            return self.api.renderer.draft().account(tx, moving.stay(tx, own(tx, call.me.id)))

        return Answer(await self.api.database.write(write))

    # Leaving for good

    async def delete(self, call: Call) -> Answer:
        """``DELETE /api/v1/fedishare/account``: nobody sees it from now on; a job deletes it and tells partners."""
        await prove(self.api, call.me, (await params(call)).text("password"))
        await self.api.database.write(lambda tx: accounts.leave(tx, own(tx, call.me.id)))
        return json_answer({})


def _alias(actor: Actor) -> AliasEntity:
    return AliasEntity(str(actor.id), entities.acct(actor), actor.iri)


def handlers(api: Api) -> dict[str, Handler]:
    """The jobs of this module."""
    return {ERASE: Handler(partial(_erase, api), limit=1, timeout=ERASE_SECONDS)}


async def _erase(api: Api, job: Job) -> Result:
    """Delete an account in steps that hold nobody up; only then is it gone, and partners are told."""
    ident = Id(msgspec.json.decode(job.payload, type=EraseJob).actor_id)
    while await api.database.write(accounts.erase_some, ident):
        pass
    await api.database.write(_end, ident)
    return Done()


def _end(tx: Tx, ident: Id) -> None:
    actor = actors.by_id(tx, ident)
    if actor is not None and actor.state is not ActorState.DELETED:
        accounts.delete(tx, actor, f"@{actor.name}")


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found, line, at = Leaving(api), table.line, "/api/v1/fedishare"
    return [
        line("GET", f"{at}/aliases", "read:accounts", found.aliases, OWN),
        line("POST", f"{at}/aliases", "write:accounts", found.add_alias, OWN),
        line("DELETE", f"{at}/aliases/{{id}}", "write:accounts", found.drop_alias, OWN),
        line("POST", f"{at}/move", "write:accounts", found.move, OWN),
        line("DELETE", f"{at}/move", "write:accounts", found.stay, OWN),
        line("DELETE", f"{at}/account", "write:accounts", found.delete, OWN),
    ]
