"""Entities: what the client API answers, field by field as Mastodon documents them.

Fields that apps do not know of are ours alone: ``reach`` and ``local_only`` on a status.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec

from fedishare.api.links import Links
from fedishare.model.actors import Actor, ActorKind, ActorState, Emoji, Field, Image, Relationship
from fedishare.model.actors import Role as StoredRole
from fedishare.model.cards import Card
from fedishare.model.ids import Id, Millis, unicode_domain
from fedishare.model.posts import Attachment, Mention, Poll, PollOption, Reach
from fedishare.policy.roles import RIGHTS, ROLE_IDS


class CustomEmoji(msgspec.Struct, frozen=True):
    """A custom emoji."""

    shortcode: str
    url: str
    static_url: str
    visible_in_picker: bool = False


class AccountField(msgspec.Struct, frozen=True):
    """A profile field."""

    name: str
    value: str
    verified_at: str | None = None


class AccountRole(msgspec.Struct, frozen=True):
    """A role that is shown on a profile."""

    id: str
    name: str
    color: str = ""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An actor as apps see it. ``acct`` has no domain for local people."""

    id: str
    username: str
    acct: str
    display_name: str
    locked: bool
    bot: bool
    discoverable: bool
    indexable: bool
    group: bool
    created_at: str
    note: str
    url: str
    uri: str
    avatar: str
    avatar_static: str
    avatar_description: str
    header: str
    header_static: str
    header_description: str
    followers_count: int
    following_count: int
    statuses_count: int
    last_status_at: str | None
    hide_collections: bool
    noindex: bool
    emojis: tuple[CustomEmoji, ...]
    roles: tuple[AccountRole, ...]
    fields: tuple[AccountField, ...]
    memorial: bool = False
    limited: bool = False
    suspended: bool = False
    moved: msgspec.Raw | None = None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One's own settings, as edited."""

    note: str
    fields: tuple[AccountField, ...]
    privacy: str
    sensitive: bool = False
    language: str = ""
    follow_requests_count: int = 0
    hide_collections: bool = False
    discoverable: bool = True
    indexable: bool = True
    attribution_domains: tuple[str, ...] = ()
    quote_policy: str = "public"
    reach: str | tuple[str, ...] = "local"


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """One's own role with its permission bits."""

    id: str
    name: str
    permissions: str
    color: str = ""
    highlighted: bool = False


class CredentialAccount(Account, frozen=True, kw_only=True):
    """One's own account."""

    source: Source
    role: Role


class MediaAttachment(msgspec.Struct, frozen=True, kw_only=True):
    """A picture, sound or film."""

    id: str
    type: str
    url: str | None
    preview_url: str | None
    remote_url: str | None
    meta: dict[str, object]
    description: str | None
    blurhash: str | None
    preview_remote_url: str | None = None
    text_url: str | None = None


class StatusMention(msgspec.Struct, frozen=True):
    """Somebody named in a status."""

    id: str
    username: str
    url: str
    acct: str


class StatusTag(msgspec.Struct, frozen=True):
    """A hashtag of a status."""

    name: str
    url: str


class Application(msgspec.Struct, frozen=True):
    """The app that a status was written with."""

    name: str
    website: str | None = None


class PollOptionEntity(msgspec.Struct, frozen=True):
    """One answer of a poll."""

    title: str
    votes_count: int | None


class PollEntity(msgspec.Struct, frozen=True, kw_only=True):
    """A poll, as one viewer sees it."""

    id: str
    expires_at: str | None
    expired: bool
    multiple: bool
    votes_count: int
    voters_count: int | None
    voted: bool
    own_votes: tuple[int, ...]
    options: tuple[PollOptionEntity, ...]
    emojis: tuple[CustomEmoji, ...]


class PreviewCardAuthor(msgspec.Struct, frozen=True):
    """Who wrote a page; nobody proves to have an account here."""

    name: str
    url: str
    account: None = None


class PreviewCard(msgspec.Struct, frozen=True, kw_only=True):
    """What a page says of itself."""

    url: str
    title: str
    description: str
    language: str | None
    author_name: str
    author_url: str
    provider_name: str
    width: int
    height: int
    image: str | None
    image_description: str
    blurhash: str | None
    published_at: str | None
    authors: tuple[PreviewCardAuthor, ...]
    type: str = "link"
    provider_url: str = ""
    html: str = ""
    embed_url: str = ""
    missing_attribution: bool = False


class DayOfUse(msgspec.Struct, frozen=True):
    """How much something was used on a day, as Mastodon writes it: everything is text."""

    day: str
    accounts: str
    uses: str


class TrendingLink(PreviewCard, frozen=True, kw_only=True):
    """A card with how often its page was linked to."""

    history: tuple[DayOfUse, ...]


class StatusBody(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a status that is the same for every viewer; see `fedishare.api.rendering` for the rest."""

    id: str
    created_at: str
    in_reply_to_id: str | None
    in_reply_to_account_id: str | None
    sensitive: bool
    spoiler_text: str
    visibility: str
    language: str | None
    uri: str
    url: str
    replies_count: int
    reblogs_count: int
    favourites_count: int
    quotes_count: int
    edited_at: str | None
    content: str
    account: msgspec.Raw
    media_attachments: tuple[MediaAttachment, ...]
    mentions: tuple[StatusMention, ...]
    tags: tuple[StatusTag, ...]
    emojis: tuple[CustomEmoji, ...]
    application: Application | None
    reach: str | tuple[str, ...]
    local_only: bool
    card: PreviewCard | None = None


class RelationshipEntity(msgspec.Struct, frozen=True, kw_only=True):
    """How the viewer and another account stand to each other."""

    id: str
    following: bool
    showing_reblogs: bool
    notifying: bool
    languages: tuple[str, ...] | None
    followed_by: bool
    blocking: bool
    blocked_by: bool
    muting: bool
    muting_notifications: bool
    muting_expires_at: str | None
    requested: bool
    requested_by: bool
    domain_blocking: bool
    endorsed: bool
    note: str


class ContextEntity(msgspec.Struct, frozen=True):
    """What stands before and after a status in its thread."""

    ancestors: list[msgspec.Raw]
    descendants: list[msgspec.Raw]


def time_text(moment: Millis | None) -> str | None:
    """``2026-01-31T12:00:00.000Z``; None stays None."""
    return None if moment is None else instant(moment)


def instant(moment: Millis) -> str:
    """``2026-01-31T12:00:00.000Z``."""
    seconds, thousandth = divmod(moment, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{thousandth:03d}Z"


def day(moment: Millis | None) -> str | None:
    """``2026-01-31``."""
    return None if moment is None else f"{datetime.fromtimestamp(moment // 1000, UTC):%Y-%m-%d}"


def acct(actor: Actor) -> str:
    """``name`` for local people, ``name@domain`` in Unicode for others."""
    return actor.name if actor.domain is None else f"{actor.name}@{unicode_domain(actor.domain)}"


def emojis_of(emojis: tuple[Emoji, ...], link: Callable[[str], str]) -> tuple[CustomEmoji, ...]:
    """Custom emoji of a text or name; ``link`` makes their addresses ours."""
    return tuple(CustomEmoji(e.code, link(e.url), link(e.still or e.url)) for e in emojis)


def fields_of(fields: tuple[Field, ...]) -> tuple[AccountField, ...]:
    """Profile fields."""
    return tuple(AccountField(f.name, f.value, time_text(f.verified_at)) for f in fields)


def reach_of(reach: Reach) -> str | tuple[str, ...]:
    """``local``, ``partners`` or the partners' domains."""
    if reach.domains is None:
        return "partners"
    return tuple(sorted(reach.domains)) or "local"


def _picture(actor: Actor, image: Image | None, links: Links, missing: str) -> str:
    if image is None or actor.state >= ActorState.SUSPENDED:
        return f"{links.origin}/{missing}/original/missing.svg"
    return links.of_profile(actor, image.url)


def role(found: StoredRole) -> Role:
    """One's own role."""
    return Role(
        id=ROLE_IDS[found], name=_role_name(found), permissions=str(int(RIGHTS[found])),
        highlighted=found is not StoredRole.MEMBER,
    )  # fmt: skip


def roles_of(found: StoredRole | None) -> tuple[AccountRole, ...]:
    """The roles that are shown on a profile: those that do something for others."""
    if found is None or found is StoredRole.MEMBER:
        return ()
    return (AccountRole(ROLE_IDS[found], _role_name(found)),)


def _role_name(found: StoredRole) -> str:
    return "" if found is StoredRole.MEMBER else found.value.capitalize()


def account(
    actor: Actor, links: Links, *, moved: msgspec.Raw | None = None, roles: tuple[AccountRole, ...] = ()
) -> Account:
    """An actor as an Account."""
    profile, gone = actor.profile, actor.state >= ActorState.SUSPENDED
    avatar = _picture(actor, profile.avatar, links, "avatars")
    header = _picture(actor, profile.header, links, "headers")
    return Account(
        id=str(actor.id), username=actor.name, acct=acct(actor),
        display_name="" if gone else profile.display_name, locked=profile.locked, bot=actor.kind.is_bot,
        discoverable=profile.discoverable, indexable=profile.indexable, group=actor.kind is ActorKind.GROUP,
        created_at=f"{day(actor.created_at)}T00:00:00.000Z", note="" if gone else profile.summary, url=actor.url,
        uri=actor.iri, avatar=avatar, avatar_static=avatar,
        avatar_description=(profile.avatar.description or "") if profile.avatar else "", header=header,
        header_static=header, header_description=(profile.header.description or "") if profile.header else "",
        followers_count=actor.followers_count, following_count=actor.following_count,
        statuses_count=actor.posts_count, last_status_at=day(actor.last_post_at),
        hide_collections=profile.hide_collections, noindex=not profile.indexable,
        emojis=emojis_of(profile.emojis, partial(links.of_actor, actor.id)), roles=roles, memorial=profile.memorial,
        limited=actor.state is ActorState.LIMITED, suspended=gone, moved=moved,
        fields=() if gone else fields_of(profile.fields),
    )  # fmt: skip


def relationship(found: Relationship) -> RelationshipEntity:
    """A Relationship."""
    return RelationshipEntity(
        id=str(found.id), following=found.following, showing_reblogs=found.showing_boosts, notifying=found.notifying,
        languages=found.languages or None, followed_by=found.followed_by, blocking=found.blocking,
        blocked_by=found.blocked_by,
        muting=found.muting, muting_notifications=found.muting_notifications,
        muting_expires_at=time_text(found.muting_until),
        requested=found.requested, requested_by=found.requested_by, domain_blocking=found.domain_blocking,
        endorsed=found.endorsed, note=found.note,
    )  # fmt: skip


def attachment(post_id: Id, number: int, found: Attachment, links: Links) -> MediaAttachment:
    """A MediaAttachment; its id is that of the file, or made from the post's for those by reference."""
    url, preview = links.of_attachment(post_id, found)
    return MediaAttachment(
        id=str(found.id or post_id + number), type=found.kind, url=url, preview_url=preview,
        remote_url=None if found.id is not None else found.url, meta=_meta(found), description=found.description,
        blurhash=found.blurhash,
    )  # fmt: skip


def attachments(post_id: Id, found: Sequence[Attachment], links: Links) -> tuple[MediaAttachment, ...]:
    """The attachments of a post."""
    return tuple(attachment(post_id, number, each, links) for number, each in enumerate(found))


def _meta(found: Attachment) -> dict[str, object]:
    meta: dict[str, object] = {}
    if found.width and found.height:
        meta["original"] = _size(found.width, found.height)
        if found.id is not None and found.kind == "image":
            meta["small"] = _size(*(found.preview_size or (found.width, found.height)))
        elif found.preview_size:
            meta["small"] = _size(*found.preview_size)
    if found.seconds:
        original = meta.setdefault("original", {})
        if isinstance(original, dict):
            original |= {"duration": found.seconds} | ({"frame_rate": found.rate} if found.rate else {})
        meta["length"], meta["duration"] = _clock(found.seconds), found.seconds
    if found.focus:
        meta["focus"] = {"x": found.focus[0], "y": found.focus[1]}
    return meta


def _size(width: int, height: int) -> dict[str, object]:
    return {"width": width, "height": height, "size": f"{width}x{height}", "aspect": width / height}


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes // 60)}:{int(minutes % 60):02d}:{rest:05.2f}"


def card(found: Card, links: Links) -> PreviewCard:
    """A PreviewCard."""
    said, image = found.preview, found.image
    named = PreviewCardAuthor(said.author_name, said.author_url) if said.author_name or said.author_url else None
    return PreviewCard(
        url=found.url, title=said.title, description=said.description, language=said.language,
        author_name=said.author_name, author_url=said.author_url, provider_name=said.provider_name,
        width=image.width if image else 0, height=image.height if image else 0,
        image=links.personal(f"/media/{image.file}") if image else None, image_description=said.image_description,
        blurhash=image.blurhash if image else None, published_at=said.published_at, authors=(named,) if named else (),
    )  # fmt: skip


def mention(found: Mention) -> StatusMention:
    """A Mention of a status."""
    handle = found.handle
    written = handle.name if handle.domain is None else f"{handle.name}@{unicode_domain(handle.domain)}"
    return StatusMention(str(found.actor_id), handle.name, found.url, written)


def poll(
    ident: Id, found: Poll, own: list[int], emojis: tuple[CustomEmoji, ...], *, now: Millis, is_author: bool
) -> PollEntity:
    """A Poll as one viewer sees it. Totals are hidden until the end where the author wanted so."""
    over = found.closed_at is not None or (found.ends_at is not None and found.ends_at <= now)
    hidden = found.hide_totals and not over

    def option(each: PollOption) -> PollOptionEntity:
        return PollOptionEntity(each.title, None if hidden else each.votes)

    return PollEntity(
        id=str(ident), expires_at=time_text(found.closed_at or found.ends_at), expired=over, multiple=found.multiple,
        votes_count=sum(o.votes for o in found.options), voters_count=found.voters, voted=bool(own) or is_author,
        own_votes=tuple(own), options=tuple(option(o) for o in found.options), emojis=emojis,
    )  # fmt: skip
