"""WebFinger queries: from a handle to an actor id, through the gateway, at partners only.

The guard is asked before anything is looked up. A redirect to another host is followed once, and only when that host
is the same partner's (a split domain: ``example.org`` answers for actors on ``social.example.org``).
"""

from __future__ import annotations

from urllib.parse import quote, urljoin

from fedishare.gateway import LeadsElsewhere, Reply
from fedishare.instance import Instance
from fedishare.model.errors import BadDocument, BadInput, FetchFailed
from fedishare.model.ids import Domain, Handle, host_of
from fedishare.model.partners import is_loopback_host
from fedishare.policy.facts import Purpose
from fedishare.webfinger.jrd import MAX_JRD, Jrd, parse

ACCEPT = "application/jrd+json, application/json"
_TYPES = ("application/jrd+json", "application/json")


def query_url(handle: Handle, domain: Domain, *, development: bool) -> str:
    """The address of the query about a handle."""
    scheme = "http" if development and is_loopback_host(domain) else "https"
    resource = quote(f"acct:{handle.name}@{domain}", safe="")
    return f"{scheme}://{domain}/.well-known/webfinger?resource={resource}"


async def lookup(instance: Instance, handle: Handle) -> Jrd:
    """What the handle's domain says about it. ``handle.domain`` must be set.

    Raises `PolicyRefusal` when the domain is no partner's (nothing was connected then), `FetchFailed` when there is no
    usable answer (``http_status`` 404: no such account), `BadDocument` when the answer is not a JRD.
    """
    if handle.domain is None:
        raise BadInput(f"@{handle} is local; a handle with a domain was expected")
    url = query_url(handle, handle.domain, development=instance.site.development)
    try:
        reply = await _get(instance, url)
    except LeadsElsewhere as error:
        # spec: R108 — split domains may answer by a redirect to the actor's host
        reply = await _get(instance, _same_partner(instance, handle.domain, urljoin(url, error.location), error))
    if reply.status != 200:
        raise FetchFailed(f"WebFinger for @{handle} answered {reply.status}", http_status=reply.status)
    media = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in _TYPES:
        raise BadDocument(f"WebFinger for @{handle}: application/jrd+json was expected, found {media[:40]!r}")
    return parse(reply.body, development=instance.site.development)


async def _get(instance: Instance, url: str) -> Reply:
    permit = instance.guard.permit_fetch(url, Purpose.WEBFINGER)
    return await instance.gateway.get(permit, url, accept=ACCEPT, max_bytes=MAX_JRD)


def _same_partner(instance: Instance, domain: Domain, location: str, error: LeadsElsewhere) -> str:
    partner = instance.guard.policy.find(domain)[1]
    try:
        host = host_of(location, development=instance.site.development)
    except BadInput:
        raise error from None
    if partner is None or not instance.guard.same_peer(partner, host):
        raise error
    return location
