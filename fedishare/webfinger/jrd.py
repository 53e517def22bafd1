"""WebFinger documents (RFC 7033), host-meta and NodeInfo: built for us, read from peers. Pure.

A JRD ties a handle to an actor id. What a peer's JRD says counts only as far as the host that answered may say it;
checking that (split domains, spec R108) is for `lookup`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote
from xml.sax.saxutils import quoteattr

import msgspec

from fedishare.model.errors import BadDocument, BadInput, BadRequest
from fedishare.model.ids import MAX_IRI, Handle, Iri, host_of
from fedishare.model.names import INSTANCE_ACTOR_NAME, Names

JRD_TYPE = "application/jrd+json"
XRD_TYPE = "application/xrd+xml"
NODEINFO_SCHEMA = "http://nodeinfo.diaspora.software/ns/schema/"
NODEINFO_VERSIONS = ("2.0", "2.1")
"""The newest last. Apps made for Mastodon ask for the first, which says the same."""
APPLICATION_REL = "https://www.w3.org/ns/activitystreams#Application"
SELF_TYPE = "application/activity+json"
PROFILE_REL = "http://webfinger.net/rel/profile-page"

MAX_JRD = 64 * 1024
"""Bytes of a peer's JRD that are read."""
MAX_LINKS = 100
MAX_ALIASES = 20

_SELF_TYPES = (SELF_TYPE, 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"')


@dataclass(frozen=True, slots=True)
class Jrd:
    """What a peer's JRD says: ``subject`` as written, the ActivityPub id (None: no such account), the aliases."""

    subject: str
    self_iri: Iri | None
    aliases: tuple[str, ...] = ()

    def handle(self, *, development: bool = False) -> Handle | None:
        """The subject as a handle; None when it is not ``acct:name@domain``."""
        try:
            found = Handle.parse(self.subject, development=development)
        except BadInput:
            return None
        return found if found.domain is not None and self.subject.startswith("acct:") else None


class _Wire(msgspec.Struct):
    subject: str = ""
    aliases: object = None
    links: list[object] | None = None


def build(name: str, names: Names) -> bytes:
    """The JRD of a local account, by the canonical spelling of its name; `INSTANCE_ACTOR_NAME` for the instance."""
    if name == INSTANCE_ACTOR_NAME:
        iri, page = names.instance_actor(), names.origin + "/"
    else:
        iri, page = names.actor(name), names.profile_page(name)
    document = {
        # spec: R14 — subject gives the canonical spelling
        "subject": f"acct:{name}@{names.domain}",
        # spec: R15 — the actor id and the profile URL are aliases
        "aliases": [iri, page],
        "links": [
            # spec: R12 — a self link to the actor id
            {"rel": "self", "type": SELF_TYPE, "href": iri},
            {"rel": PROFILE_REL, "type": "text/html", "href": page},
        ],
    }
    return msgspec.json.encode(document)


def parse(body: bytes, *, development: bool = False) -> Jrd:
    """Read a peer's JRD. Raises `BadDocument` when it is none; unknown and unusable links are passed over."""
    if len(body) > MAX_JRD:
        raise BadDocument(f"a JRD of at most {MAX_JRD} bytes was expected, found {len(body)}")
    try:
        wire = msgspec.json.decode(body, type=_Wire)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadDocument(f"the answer is not a JRD: {error}") from error
    if len(wire.subject) > MAX_IRI:
        raise BadDocument("the subject of the JRD is too long", path="subject")
    aliases = wire.aliases if isinstance(wire.aliases, list) else []
    return Jrd(
        subject=wire.subject,
        self_iri=_self(wire.links or [], development),
        aliases=tuple(each for each in aliases[:MAX_ALIASES] if isinstance(each, str) and len(each) <= MAX_IRI),
    )


def _self(links: list[object], development: bool) -> Iri | None:
    for link in links[:MAX_LINKS]:
        if not isinstance(link, dict) or link.get("rel") != "self":
            continue
        kind, href = link.get("type"), link.get("href")
        if isinstance(kind, str) and " ".join(kind.split()).lower() in _SELF_TYPES and isinstance(href, str):
            try:
                host_of(href, development=development)
            except BadInput:
                continue
            return Iri(href)
    return None


def parse_resource(text: str, *, development: bool = False) -> Handle | Iri:
    """What a WebFinger query asks about: a handle (``acct:``, leading ``@`` or bare) or a URL. Raises `BadRequest`.

    Percent-encoding is undone where the whole was encoded; inside a URL it belongs to the id and stays.
    """
    resource = text.strip()
    if not resource or len(resource) > MAX_IRI:
        # spec: R13 — 400 without resource
        raise BadRequest("resource=acct:name@domain was expected, found nothing usable", path="resource")
    # spec: R12 — also when acct%3A and %40 are percent-encoded
    if not resource.lower().startswith(("https://", "http://")):
        resource = unquote(resource, errors="replace")
    try:
        # spec: R15 — the actor id and the profile URL are resources, too
        if resource.lower().startswith(("https://", "http://")):
            host_of(resource, development=development)
            return Iri(resource)
        scheme, colon, rest = resource.partition(":")
        handle = Handle.parse(rest if colon and scheme.lower() == "acct" else resource, development=development)
    except BadInput as error:
        raise BadRequest(f"resource cannot be read: {error.message}", path="resource") from error
    if handle.domain is None:
        raise BadRequest("resource=acct:name@domain was expected, found a name without domain", path="resource")
    return handle


def host_meta(names: Names) -> str:
    """host-meta as XRD, with the WebFinger template."""
    # spec: R124 — the WebFinger template, as XRD
    template = quoteattr(f"{names.origin}/.well-known/webfinger?resource={{uri}}")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">\n'
        f'  <Link rel="lrdd" type="{JRD_TYPE}" template={template}/>\n'
        "</XRD>\n"
    )


def nodeinfo_index(names: Names) -> bytes:
    """``/.well-known/nodeinfo``: where the NodeInfo document is, and the instance actor."""
    links = [
        # spec: R121 — links to a 2.1 document
        *(
            {"rel": f"{NODEINFO_SCHEMA}{number}", "href": f"{names.origin}/nodeinfo/{number}"}
            for number in NODEINFO_VERSIONS
        ),
        # spec: R122 — FEP-2677
        {"rel": APPLICATION_REL, "href": names.instance_actor()},
    ]
    return msgspec.json.encode({"links": links})


def nodeinfo(
    *,
    version: str,
    open_registrations: bool,
    users: int | None = None,
    active_month: int | None = None,
    active_half_year: int | None = None,
    posts: int | None = None,
    metadata: Mapping[str, object] | None = None,
    schema: str = NODEINFO_VERSIONS[-1],
) -> bytes:
    """The NodeInfo document of a ``schema``. Totals that shall not be told are left out."""
    counts = {"total": users, "activeMonth": active_month, "activeHalfyear": active_half_year}
    usage: dict[str, object] = {"users": {key: value for key, value in counts.items() if value is not None}}
    if posts is not None:
        usage["localPosts"] = posts
    # spec: R121 — version, software.name, protocols, services, openRegistrations, usage, metadata
    return msgspec.json.encode(
        {
            "version": schema,
            "software": {"name": "fedishare", "version": version},
            "protocols": ["activitypub"],
            "services": {"inbound": [], "outbound": []},
            "openRegistrations": open_registrations,
            "usage": usage,
            "metadata": dict(metadata or {}),
        }
    )
