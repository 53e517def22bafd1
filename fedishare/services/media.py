"""Media: uploads, what posts are made of them, who may have a file, and when it goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from fedishare.media.files import digest_of
from fedishare.model.actors import Actor, ActorState, Image
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Domain, Id, Millis
from fedishare.model.media import Kept, Media, MediaFacts, MediaState, Work
from fedishare.model.posts import Attachment, Post, Visibility
from fedishare.policy.audience import AudienceFacts, Seer, can_see
from fedishare.services.site import Site
from fedishare.store import actors, cards, jobs, posts, scheduled
from fedishare.store import media as store
from fedishare.store.db import Tx

UNUSED_KEPT = 24 * 3600 * 1000
"""Milliseconds that an upload waits for its post."""
MAX_DESCRIPTION = 1500
JOB = "media"
PROCESSING = "Error processing thumbnail for uploaded media"
_encode = msgspec.json.Encoder().encode


class MakeFilmJob(msgspec.Struct, frozen=True):
    """Encode an upload that waits."""

    media_id: int


@dataclass(frozen=True, slots=True)
class Note:
    """What an app says about an upload; None leaves it as it is."""

    description: str | None = None
    focus: tuple[float, float] | None = None


def check_description(text: str) -> str | None:
    """A description within its limit; empty is none. Raises `BadInput`."""
    if len(text) > MAX_DESCRIPTION:
        raise BadInput(
            f"Validation failed: Description is too long (maximum is {MAX_DESCRIPTION} characters)", path="description"
        )
    return text.strip() or None


# Uploads


def add(tx: Tx, owner: Id, work: Work, note: Note) -> Media:
    """An upload that is made already."""
    media = _media(tx, owner, work.kind, MediaState.READY, note)
    media = _made(media, work)
    store.insert(tx, media)
    _files(tx, media.id, work)
    return media


def add_waiting(tx: Tx, owner: Id, kind: str, incoming: str, note: Note) -> Media:
    """An upload that takes long: what came in waits under ``incoming``, and a job makes it."""
    media = replace(_media(tx, owner, kind, MediaState.WAITING, note), file=incoming)
    store.insert(tx, media)
    jobs.put(tx, JOB, _encode(MakeFilmJob(media.id)).decode(), lane=f"media:{media.id}")
    return media


def _media(tx: Tx, owner: Id, kind: str, state: MediaState, note: Note) -> Media:
    until = Millis(tx.now + UNUSED_KEPT)
    facts = MediaFacts(focus=note.focus)
    return Media(tx.new_id(), owner, None, kind, state, None, "", None, None, note.description, facts, until)


def _made(media: Media, work: Work) -> Media:
    preview = work.preview
    facts = replace(
        media.facts, width=work.original.width, height=work.original.height, seconds=work.seconds, rate=work.rate,
        preview_width=preview.width if preview else 0, preview_height=preview.height if preview else 0,
    )  # fmt: skip
    return replace(
        media, kind=work.kind, state=MediaState.READY, file=work.original.name, media_type=work.original.media_type,
        preview=preview.name if preview else None, blurhash=work.blurhash, facts=facts,
    )  # fmt: skip


def _files(tx: Tx, media: Id, work: Work) -> None:
    for kept in (work.original, work.preview):
        if kept is not None:
            store.put_file(tx, kept.name, kept.media_type, kept.size, media=media)


def finish(tx: Tx, ident: Id, work: Work) -> bool:
    """What a job made of a waiting upload; False when nobody waits for it any more (then its files are nobody's)."""
    media = store.by_id(tx, ident)
    if media is None or media.state is not MediaState.WAITING:
        return False
    store.update(tx, _made(media, work))
    _files(tx, ident, work)
    if media.file:
        store.trash(tx, [media.file])
    return True


def fail(tx: Tx, ident: Id) -> None:
    """A waiting upload cannot be made."""
    media = store.by_id(tx, ident)
    if media is not None and media.state is MediaState.WAITING:
        if media.file:
            store.trash(tx, [media.file])
        store.update(tx, replace(media, state=MediaState.FAILED, file=None))


def waiting(tx: Tx, ident: Id) -> Media | None:
    """An upload that is still to be made."""
    media = store.by_id(tx, ident)
    return media if media is not None and media.state is MediaState.WAITING else None


def own(tx: Tx, owner: Id, ident: Id) -> Media:
    """One's own upload. Raises `NotFound`; `BadInput` when it could not be made."""
    media = store.by_id(tx, ident)
    if media is None or media.owner_id != owner:
        raise NotFound("Record not found")
    if media.state is MediaState.FAILED:
        raise BadInput(PROCESSING)
    return media


def describe(tx: Tx, owner: Id, ident: Id, note: Note, preview: tuple[Kept, str] | None = None) -> Media:
    """Change what is said about an upload that is not part of a post yet; ``preview`` comes with its blurhash.

    Raises `NotFound`, `BadInput`.
    """
    media = own(tx, owner, ident)
    if media.post_id is not None:
        raise NotFound("Record not found")
    changed = _noted(media, note)
    if preview is not None:
        kept, blurhash = preview
        if media.preview:
            store.trash(tx, [media.preview])
        store.put_file(tx, kept.name, kept.media_type, kept.size, media=media.id)
        facts = replace(changed.facts, preview_width=kept.width, preview_height=kept.height)
        changed = replace(changed, preview=kept.name, blurhash=blurhash, facts=facts)
    store.update(tx, changed)
    return changed


def _noted(media: Media, note: Note) -> Media:
    if note.description is not None:
        media = replace(media, description=note.description or None)
    if note.focus is not None:
        media = replace(media, facts=replace(media.facts, focus=note.focus))
    return media


def remove(tx: Tx, owner: Id, ident: Id) -> None:
    """Delete an upload that is part of no post. Raises `NotFound`, `BadInput`."""
    media = store.by_id(tx, ident)
    if media is None or media.owner_id != owner:
        raise NotFound("Record not found")
    if media.post_id is not None or scheduled.taken_media(tx, [ident]):
        raise BadInput("Media attachment is currently used by a status")
    store.delete(tx, media)


def keep(tx: Tx, owner: Id, idents: Sequence[Id], until: Millis) -> None:
    """Keep uploads for a day after ``until``, for another post."""
    store.keep(tx, owner, idents, Millis(until + UNUSED_KEPT))


# Posts


def claim(
    tx: Tx, site: Site, owner: Id, idents: Sequence[Id], *, post: Id | None = None, poll: bool = False
) -> tuple[Attachment, ...]:
    """The attachments that a post is made of, in the order given. Raises `BadInput` in Mastodon's words.

    ``post`` is the post that is edited, whose own uploads count, too.
    """
    wanted = list(dict.fromkeys(idents))
    if len(wanted) > site.max_attachments or (wanted and poll):
        raise BadInput(f"Cannot attach more than {site.max_attachments} files", path="media_ids")
    found = store.owned(tx, owner, wanted)
    waiting = scheduled.taken_media(tx, wanted)
    free = {i: m for i, m in found.items() if m.post_id in (None, post) and i not in waiting}
    missing = [str(ident) for ident in wanted if ident not in free]
    if missing:
        sentence = f"Media {', '.join(missing)} not found or already attached to another post"
        raise BadInput(sentence, path="media_ids")
    if len(wanted) > 1 and any(free[i].kind in ("video", "audio") for i in wanted):
        sentence = "Cannot attach a video to a post that already contains images"
        raise BadInput(sentence, path="media_ids")
    if any(free[i].state is not MediaState.READY for i in wanted):
        sentence = "Cannot attach files that have not finished processing. Try again in a moment!"
        raise BadInput(sentence, path="media_ids")
    return tuple(free[i].attachment(site.names.origin) for i in wanted)


def attach(tx: Tx, post: Id, attachments: Sequence[Attachment]) -> None:
    """Make the uploads part of a post. Raises `BadInput` when one became part of another at this moment."""
    for each in attachments:
        if each.id is not None and not store.attach(tx, each.id, post):
            sentence = f"Media {each.id} not found or already attached to another post"
            raise BadInput(sentence, path="media_ids")


def redescribe(tx: Tx, owner: Id, post: Id, notes: dict[Id, Note]) -> None:
    """Change what is said about uploads that are part of a post, while it is edited."""
    for media in store.owned(tx, owner, notes).values():
        if media.post_id in (None, post):
            store.update(tx, _noted(media, notes[media.id]))


def release(tx: Tx, post: Id) -> None:
    """The post is deleted to be written anew: its uploads wait for their owner, whom alone they are shown to."""
    store.release(tx, post, Millis(tx.now + UNUSED_KEPT))


def discard(tx: Tx, post: Post) -> None:
    """The post is deleted, and with it its files, or what we keep of the partner's."""
    if post.local:
        for media in store.of_post(tx, post.id):
            store.delete(tx, media)
    elif post.content.attachments:
        store.trash(tx, {store.REMOTE + digest_of(each.url) for each in post.content.attachments})


def prune(tx: Tx) -> int:
    """Delete uploads that nobody made a post of; how many."""
    found = store.unused(tx)
    for media in found:
        store.delete(tx, media)
    return len(found)


# Profiles


def picture(tx: Tx, site: Site, actor: Actor, before: Image | None, kept: Kept, description: str | None) -> Image:
    """A new picture for a profile; the one before goes."""
    drop_picture(tx, site, before)
    store.put_file(tx, kept.name, kept.media_type, kept.size, actor=actor.id)
    return Image(f"{site.names.origin}/media/{kept.name}", kept.media_type, description)


def drop_picture(tx: Tx, site: Site, before: Image | None) -> None:
    """A profile's picture goes."""
    start = f"{site.names.origin}/media/"
    if before is not None and before.url.startswith(start):
        store.trash(tx, [before.url.removeprefix(start)])


def forget(tx: Tx, actor: Actor) -> None:
    """The actor is gone: its uploads, its profile's pictures, or what we keep of a partner's profile."""
    if actor.is_local:
        for media in store.of_owner(tx, actor.id):
            store.delete(tx, media)
        store.trash(tx, store.files_of_actor(tx, actor.id))
    else:
        images = (actor.profile.avatar, actor.profile.header)
        store.trash(tx, {store.REMOTE + digest_of(image.url) for image in images if image is not None})


# Who may have a file


@dataclass(frozen=True, slots=True)
class ForPeer:
    """A file that a partner asks for: part of ``post``, or of a profile when that is None. ``hosts`` are those at
    which somebody may see the post because they follow its author; ``named``, because it names them."""

    post: Post | None
    hosts: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    signer: Actor | None = None
    signer_sees: bool = False


def readable(tx: Tx, name: str, viewer: Id | None) -> bool:
    """Whether somebody who is signed in here may have one of our files; None: somebody, it is not known who."""
    owner = store.file(tx, name)
    if owner is None or (viewer is not None and not store.is_active(tx, viewer)):
        return False
    media_id, actor_id = owner
    if actor_id is not None:
        actor = actors.by_id(tx, actor_id)
        return actor is not None and (actor.state < ActorState.SUSPENDED or actor.id == viewer)
    if viewer is not None and media_id is None:
        return cards.image_seen(tx, name, viewer)  # the picture of a link's preview
    media = store.by_id(tx, media_id) if media_id is not None else None
    if media is None or viewer is None:
        return False
    if media.owner_id == viewer:
        return True
    return media.post_id is not None and bool(posts.visible_ids(tx, [media.post_id], viewer))


def for_peer(tx: Tx, name: str, reader: Id | None, domain: Domain) -> ForPeer | None:
    """What is asked about a file that a partner's server wants. None when it is not for partners at all."""
    owner = store.file(tx, name)
    if owner is None:
        return None
    media_id, actor_id = owner
    if actor_id is not None:
        actor = actors.by_id(tx, actor_id)
        return ForPeer(None) if actor is not None and actor.state < ActorState.SUSPENDED else None
    media = store.by_id(tx, media_id) if media_id is not None else None
    post = posts.by_id(tx, media.post_id) if media is not None and media.post_id is not None else None
    author = actors.by_id(tx, post.author_id) if post is not None else None
    if post is None or author is None or author.state >= ActorState.SUSPENDED:
        return None
    hosts = store.seeing_hosts(tx, post.id, post.author_id)
    return ForPeer(
        post,
        frozenset(host for host, _ in hosts),
        frozenset(host for host, named in hosts if named),
        actors.by_id(tx, reader) if reader is not None else None,
        posts.seen_by(tx, post.id, Seer(reader, domain)),
    )


def server_may_have(found: ForPeer, domain: Domain, *, follows: bool, named: bool) -> bool:
    """Whether a partner's server may be sent the post, because somebody there may see it."""
    post = found.post
    if post is None:
        return True
    facts = AudienceFacts(
        author_id=post.author_id, author_active=True, author_local=post.local, visibility=post.visibility,
        reach=post.reach, follows_author=follows and post.visibility is not Visibility.DIRECT, mentioned=named,
        blocked=False,
    )  # fmt: skip
    return can_see(Seer(None, domain), facts)


Find = Callable[[Tx, Id, str, Id | None], tuple[str, Actor] | None]
"""(id of the post or actor, digest, viewer) to where the file is, and whose."""


def remote_source(tx: Tx, post: Id, digest: str, viewer: Id | None) -> tuple[str, Actor] | None:
    """The address, and the author, of what a partner's post shows under ``digest``, for somebody who may see the post.

    Without a viewer (any signed-in person) only its emoji.
    """
    if viewer is not None and not (store.is_active(tx, viewer) and posts.visible_ids(tx, [post], viewer)):
        return None
    found = posts.by_id(tx, post)
    author = actors.by_id(tx, found.author_id) if found is not None else None
    if found is None or author is None or found.local or author.state >= ActorState.SUSPENDED:
        return None
    urls = [emoji.url for emoji in found.content.emojis]
    if viewer is not None:
        urls += [url for each in found.content.attachments for url in (each.url, each.preview_url) if url]
    return next(((url, author) for url in urls if digest_of(url) == digest), None)


def profile_source(tx: Tx, actor_id: Id, digest: str) -> tuple[str, Actor] | None:
    """The address of what a partner's profile shows under ``digest``, and whose profile that is."""
    actor = actors.by_id(tx, actor_id)
    if actor is None or actor.is_local or actor.state >= ActorState.SUSPENDED:
        return None
    profile = actor.profile
    urls = [image.url for image in (profile.avatar, profile.header) if image is not None]
    urls += [emoji.url for emoji in profile.emojis]
    return next(((url, actor) for url in urls if digest_of(url) == digest), None)
