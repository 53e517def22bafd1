"""The card fetcher: reads the head of a page that a post links to, in the background, where policy allows it.

Three gates stand before a request: the post must be one that travels (`fedishare.services.cards`), the page's host must
be part of where it travels or on the operator's list, and the guard must give a permit. The request says nothing but
the address: no signature, no cookie, no referrer. What comes back is a stranger's: a little of it is read as text, and
its picture is made anew.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from functools import partial

import msgspec

from fedishare.guard import Permit
from fedishare.instance import Instance
from fedishare.jobs import Cancelled, Done, Handler, Result
from fedishare.media.images import PREVIEW_PIXELS, Bounds
from fedishare.model.cards import CardImage, Preview
from fedishare.model.errors import BadInput, FedishareError, FetchFailed, PolicyRefusal, Unavailable
from fedishare.model.ids import Id
from fedishare.policy.facts import KEEPS_QUEUE
from fedishare.policy.rules import PREVIEW_HOST
from fedishare.services import cards as service
from fedishare.services.cards import CardJob, Wish
from fedishare.store.jobs import Job
from fedishare.text.preview import read_page

log = logging.getLogger(__name__)

PAGE_BYTES = 1024 * 1024
PICTURE_BYTES = 4 * 1024 * 1024
ACCEPT_PAGE = "text/html"
ACCEPT_PICTURE = "image/*"
SECONDS = 60.0
NO_RULE = "no-preview"


@dataclass(frozen=True, slots=True)
class Read:
    """What was read at an address; ``size`` is that of the picture's file in bytes."""

    preview: Preview | None
    image: CardImage | None = None
    size: int = 0


def handlers(instance: Instance) -> dict[str, Handler]:
    """The jobs of this module."""
    return {service.JOB: Handler(partial(_find, instance), limit=4, timeout=SECONDS)}


async def _find(instance: Instance, job: Job) -> Result:
    """Find a card for a post: that of its first link which may be asked for and has one."""
    ident = Id(msgspec.json.decode(job.payload, type=CardJob).post_id)
    wish = await instance.database.read(service.wish, instance.site, ident)
    if wish is None:
        return Done()
    refusal: PolicyRefusal | None = None
    for url in wish.urls:
        try:
            permit_for(instance, wish, url)
        except PolicyRefusal as error:
            refusal = refusal or error
            continue
        card = await _card(instance, wish, url)
        if card is not None:
            await instance.database.write(service.show, instance.site, ident, url, card)
            return Done()
    return Cancelled(refusal.message, refusal.rule) if refusal is not None else Done()


def permit_for(instance: Instance, wish: Wish, url: str, *, picture: bool = False) -> Permit:
    """The permit to ask for a page or its picture on behalf of a post. Raises `PolicyRefusal`.

    A host that the operator listed may be asked. A partner may be asked only about what goes to it, or came from it:
    an address can be a secret of its own, and one partner's is none of another's business.
    """
    permit = instance.guard.permit_preview(url, picture=picture)
    partner, guard = permit.partner, instance.guard
    if permit.rule == PREVIEW_HOST or permit.host in guard.policy.previews:
        return permit
    if wish.origin is not None and guard.same_peer(partner, wish.origin):
        return permit
    if wish.reach is not None and (wish.reach.allows(partner.domain) or wish.reach.allows(permit.host)):
        return permit
    raise PolicyRefusal(f"the post has nothing to do with {permit.host}, which is not asked about it", rule=NO_RULE)


async def _card(instance: Instance, wish: Wish, url: str) -> Id | None:
    card, fresh = await instance.database.read(service.known, url)
    if fresh:
        return card
    try:
        read = await _read(instance, wish, url)
    except PolicyRefusal as error:
        if error.rule in KEEPS_QUEUE:
            return None  # for now: nothing is learned from it
        read = Read(None)
    except (FetchFailed, BadInput) as error:
        log.info("no preview of %s: %s", url[:200], error)
        read = Read(None)
    made = await instance.database.write(service.keep, url, read.preview, read.image, read.size)
    return made if read.preview is not None else None


async def _read(instance: Instance, wish: Wish, url: str) -> Read:
    """Read a page and its picture. Raises `PolicyRefusal`, `FetchFailed`."""
    permit = permit_for(instance, wish, url)
    reply = await instance.gateway.get(permit, url, accept=ACCEPT_PAGE, max_bytes=PAGE_BYTES)
    kind = reply.headers.get("content-type", "")
    if reply.status != 200 or kind.partition(";")[0].strip().lower() not in ("text/html", "application/xhtml+xml"):
        raise FetchFailed(f"{url[:200]} answered {reply.status} {kind[:60]!r}", http_status=reply.status)
    if "noindex" in reply.headers.get("x-robots-tag", "").lower():
        return Read(None)
    preview = await instance.studio.aside(partial(read_page, reply.body, kind, reply.url))
    if preview is None or preview.image_url is None:
        return Read(preview)
    try:
        image, size = await _picture(instance, wish, preview.image_url)
    except Unavailable:
        raise
    except FedishareError as error:
        log.info("no picture for the preview of %s: %s", url[:200], error)
        return Read(preview)
    return Read(preview, image, size)


async def _picture(instance: Instance, wish: Wish, url: str) -> tuple[CardImage, int]:
    permit = permit_for(instance, wish, url, picture=True)
    most = min(PICTURE_BYTES, instance.config.media.max_bytes)
    reply = await instance.gateway.get(permit, url, accept=ACCEPT_PICTURE, max_bytes=most)
    if reply.status != 200:
        raise FetchFailed(f"{url[:200]} answered {reply.status}", http_status=reply.status)
    source, studio = io.BytesIO(reply.body), instance.studio
    picture = await studio.picture(source, await studio.identify(source), Bounds(pixels=PREVIEW_PIXELS, still=True))
    kept = await studio.keep(picture.original)
    return CardImage(kept.name, kept.media_type, kept.width, kept.height, picture.blurhash), kept.size
