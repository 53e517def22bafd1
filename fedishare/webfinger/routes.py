"""WebFinger, host-meta and NodeInfo: what anybody may ask, because two strangers cannot begin without it."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from fedishare import __version__
from fedishare.http.call import Answer, Call
from fedishare.http.routes import Access, Audience, Handler, Rate, Route
from fedishare.instance import Instance
from fedishare.model.activities import ActorChanged
from fedishare.model.errors import BadInput, BadRequest, NotFound
from fedishare.model.ids import Domain, Handle
from fedishare.model.names import INSTANCE_ACTOR_NAME, RefKind
from fedishare.store import actors
from fedishare.store.db import NoticesLost, Tx
from fedishare.webfinger import jrd

MAX_KEPT = 10_000
MAX_KEPT_QUERY = 512
"""Bytes; longer queries are answered, and not remembered."""
_JRD = b"application/jrd+json; charset=utf-8"
_XRD = b"application/xrd+xml; charset=utf-8"


class Directory:
    """Answers to WebFinger queries, kept by the query's bytes until any actor changes."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._kept: OrderedDict[bytes, Answer] = OrderedDict()
        instance.database.on_notice(self._forget)

    def _forget(self, notice: object) -> None:
        if isinstance(notice, (ActorChanged, NoticesLost)):
            self._kept.clear()

    async def answer(self, call: Call) -> Answer:
        """``GET /.well-known/webfinger?resource=…`` (RFC 7033)."""
        query: bytes = call.scope["query_string"]
        kept = self._kept.get(query)
        if kept is not None:
            return kept
        # spec: R13 — 400 without a resource, 404 for unknown people
        resources = [value for name, value in call.query if name == "resource"]
        if len(resources) != 1:
            raise BadRequest("exactly one `resource` is expected, for example ?resource=acct:name@domain")
        name = await self._find(resources[0])
        found = Answer(jrd.build(name, self._instance.site.names), media_type=_JRD)
        if len(query) <= MAX_KEPT_QUERY:
            self._kept[query] = found
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return found

    async def _find(self, resource: str) -> str:
        names = self._instance.site.names
        try:
            asked = jrd.parse_resource(resource, development=self._instance.config.development)
        except BadInput as error:
            raise BadRequest(error.message) from error
        if isinstance(asked, Handle):
            if asked.domain not in (None, *self._instance.config.own_hosts):
                raise NotFound("nobody of that name is here")
            name = asked.name
        else:
            # spec: R15 — the actor id and the profile URL are resources too
            # spec: R110 — the host in any spelling, the path byte by byte
            ref = names.parse(f"{names.origin}/{asked.split('/', 3)[-1]}" if names.is_ours(asked) else asked)
            if ref is None or ref.kind not in (RefKind.ACTOR, RefKind.PROFILE_PAGE, RefKind.INSTANCE_ACTOR):
                raise NotFound("nobody of that name is here")
            name = INSTANCE_ACTOR_NAME if ref.kind is RefKind.INSTANCE_ACTOR else ref.name
        # spec: R14 — names are matched without regard to case; the subject has the canonical spelling
        found = await self._instance.database.read_fast(_canonical_name, name)
        if found is None and asked == Handle(str(names.domain), Domain(str(names.domain))):
            return INSTANCE_ACTOR_NAME
        if found is None:
            raise NotFound("nobody of that name is here")
        return found


def _canonical_name(tx: Tx, name: str) -> str | None:
    found = actors.by_handle(tx, Handle(name))
    return found.name if found is not None and found.state < 2 else None


async def _constant(answer: Answer, call: Call) -> Answer:
    return answer


def routes(instance: Instance) -> list[Route]:
    """The routes of this module."""
    names = instance.site.names
    host_meta = Answer(jrd.host_meta(names).encode(), media_type=_XRD)
    index = Answer(jrd.nodeinfo_index(names))
    # spec: R121 — without totals: how many people work here is nobody's business
    registration = instance.config.registration.mode != "closed"
    nodeinfo = {
        schema: Answer(
            jrd.nodeinfo(version=__version__, open_registrations=registration, schema=schema),
            media_type=f'application/json; profile="{jrd.NODEINFO_SCHEMA}{schema}#"; charset=utf-8'.encode(),
        )
        for schema in jrd.NODEINFO_VERSIONS
    }
    handlers: dict[str, Handler] = {
        "/.well-known/webfinger": Directory(instance).answer,
        "/.well-known/host-meta": partial(_constant, host_meta),
        "/.well-known/nodeinfo": partial(_constant, index),
        **{f"/nodeinfo/{schema}": partial(_constant, answer) for schema, answer in nodeinfo.items()},
    }
    return [
        Route(
            method="GET", path=path, handler=handler, access=Access.OPEN, scopes=(), rate=Rate.PUBLIC, max_body=0,
            audience=Audience.METADATA,
        )
        for path, handler in handlers.items()
    ]  # fmt: skip
