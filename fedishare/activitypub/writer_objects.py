"""Writing objects: local actors and posts become the documents that peers fetch, and that our activities embed.

Ids are absolute and on our origin; `to` and `cc` are lists and Public is spelt in full;
`bto` and `bcc` do not exist here.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from fedishare.activitypub.jsonld import ACTOR_CONTEXT, OBJECT_CONTEXT, format_time
from fedishare.activitypub.quotes_writer import policy_field, quote_fields, quote_link
from fedishare.model.actors import Actor, ActorKey, Emoji, Image
from fedishare.model.ids import Iri, Millis
from fedishare.model.names import INSTANCE_ACTOR_NAME, Names
from fedishare.model.posts import Attachment, Content, Mention, Poll, Post
from fedishare.model.quotes import NO_CONSENT, NoteConsent
from fedishare.text import quote_inline

Document = dict[str, object]

# spec: R123 — FEP-844e
IMPLEMENTS = (("https://datatracker.ietf.org/doc/html/rfc9421", "RFC-9421: HTTP Message Signatures"),)


def actor_document(actor: Actor, keys: Sequence[ActorKey], *, names: Names) -> Document:
    """A local actor.

    ``keys`` are its public keys: RSA goes to `publicKey`, Ed25519 to `assertionMethod` (FEP-521a).
    """
    # spec: R9, R11 — everything that peers look for, and the contexts that define it
    # spec: R10 — ids are absolute and on our origin
    profile, name = actor.profile, actor.name
    document: Document = {
        "@context": ACTOR_CONTEXT,
        "id": actor.iri,
        "type": actor.kind.value,
        "preferredUsername": name,
        "name": profile.display_name or name,
        "summary": profile.summary,
        "url": actor.url or names.profile_page(name),
        "inbox": names.inbox(name),
        "outbox": names.outbox(name),
        "followers": names.followers(name),
        "following": names.following(name),
        "liked": names.liked(name),
        # spec: R107 — pinned posts
        "featured": names.featured(name),
        "featuredTags": names.featured_tags(name),
        "endpoints": _endpoints(names),
        # spec: R109 — FEP-2c59
        "webfinger": f"{name}@{names.domain}",
        "manuallyApprovesFollowers": profile.locked,
        "discoverable": profile.discoverable,
        "indexable": profile.indexable,
        "published": format_time(actor.created_at),
        # spec: R104 — profile fields
        "attachment": [{"type": "PropertyValue", "name": each.name, "value": each.value} for each in profile.fields],
        "tag": [_emoji(each, names) for each in profile.emojis],
        # spec: R123 — capabilities are reachable from every actor
        "generator": {"id": names.instance_actor(), "type": "Application", "implements": _implements()},
        **_keys(actor.iri, keys),
    }
    if profile.avatar is not None:
        document["icon"] = _image(profile.avatar)
    if profile.header is not None:
        document["image"] = _image(profile.header)
    if profile.attribution_domains:
        document["attributionDomains"] = list(profile.attribution_domains)
    if profile.memorial:
        document["memorial"] = True
    if profile.also_known_as:
        document["alsoKnownAs"] = list(profile.also_known_as)
    if profile.moved_to is not None:
        document["movedTo"] = profile.moved_to  # spec: R106
    return document


def _endpoints(names: Names) -> Document:
    """For other servers one inbox; for people's own programs the ways of ActivityPub's client side (4.1)."""
    return {
        "sharedInbox": names.shared_inbox(),
        "proxyUrl": names.proxy(),
        "uploadMedia": names.uploads(),
        "oauthAuthorizationEndpoint": names.sign_in(),
        "oauthTokenEndpoint": names.tokens(),
    }


def instance_actor_document(keys: Sequence[ActorKey], *, names: Names) -> Document:
    """The instance actor: an Application with a key of its own, which anybody may fetch.

    It says nothing about people here.
    """
    # spec: R58 — Application, an own key, an own inbox
    me = names.instance_actor()
    return {
        "@context": ACTOR_CONTEXT,
        "id": me,
        "type": "Application",
        "preferredUsername": INSTANCE_ACTOR_NAME,
        "name": names.domain,
        "url": names.origin + "/",
        "inbox": names.instance_inbox(),
        "outbox": names.instance_outbox(),
        "endpoints": {"sharedInbox": names.shared_inbox()},
        "webfinger": f"{INSTANCE_ACTOR_NAME}@{names.domain}",
        "manuallyApprovesFollowers": True,
        "discoverable": False,
        "indexable": False,
        "implements": _implements(),
        **_keys(me, keys),
    }


def _keys(owner: Iri, keys: Sequence[ActorKey]) -> Document:
    found: Document = {}
    for key in keys:
        if key.kind == "rsa":
            found.setdefault("publicKey", {"id": key.key_id, "owner": owner, "publicKeyPem": key.material})
    # spec: R62 — Multikey with controller (FEP-521a)
    multikeys = [
        {"id": key.key_id, "type": "Multikey", "controller": owner, "publicKeyMultibase": key.material}
        for key in keys
        if key.kind == "ed25519"
    ]
    if multikeys:
        found["assertionMethod"] = multikeys
    return found


def _implements() -> list[Document]:
    return [{"type": "Link", "href": href, "name": name} for href, name in IMPLEMENTS]


def note(
    post: Post,
    author: Actor,
    *,
    names: Names,
    to: Sequence[Iri],
    cc: Sequence[Iri],
    replies: int | None = None,
    likes: int | None = None,
    shares: int | None = None,
    consent: NoteConsent = NO_CONSENT,
) -> Document:
    """A local post as Note or Question.

    ``to`` and ``cc`` come from `addressing.addressing_of`. The three totals are those of the post unless others are
    given, for peers that must not learn what went on inside. ``consent`` is what it quotes, and by whose leave.
    """
    # spec: R68 — everything that peers look for
    # spec: R42 — bto and bcc are never written
    content, name, number = post.content, author.name, post.id
    # The link for those who know no quotes stands before the text, and is no part of what was written.
    quoted = quote_inline(consent.quoted_url or consent.quoted_iri) if consent.quoted_iri is not None else ""
    html = f"{quoted}{content.html}"
    followers = author.endpoints.followers or names.followers(name)
    document: Document = {
        "@context": OBJECT_CONTEXT,
        "id": post.iri,
        "type": post.kind.value,
        "attributedTo": author.iri,
        "content": html,
        "published": format_time(post.published),
        "to": list(to),
        "cc": list(cc),
        "url": post.url or names.post_page(name, number),
        "sensitive": content.sensitive or (author.sensitized and bool(content.attachments)),
        "tag": [*_tags(content, names), *quote_link(consent)],
        "interactionPolicy": policy_field(post, author.iri, followers, (*to, *cc)),
        **quote_fields(consent),
        "attachment": [_attachment(each) for each in content.attachments],
        # spec: R92 — collections with totalItems
        "replies": _total(names.replies(name, number), post.replies_count if replies is None else replies),
        "likes": _total(names.likes(name, number), post.favourites_count if likes is None else likes),
        "shares": _total(names.shares(name, number), post.boosts_count if shares is None else shares),
    }
    document.update(_where_given(post, consent, html))
    return document


def _where_given(post: Post, consent: NoteConsent, html: str) -> Document:
    """What not every post has."""
    content = post.content
    document: Document = {}
    if content.title:
        document["name"] = content.title
    if content.summary:
        document["summary"] = content.summary  # spec: R76
    if content.language:
        # spec: R75 — content holds the same text
        document["contentMap"] = {content.language: html}
        if content.summary:
            document["summaryMap"] = {content.language: content.summary}
    if content.source:
        document["source"] = {"content": content.source, "mediaType": "text/plain"}  # spec: R79
    if post.in_reply_to_iri is not None:
        document["inReplyTo"] = post.in_reply_to_iri  # spec: R78
    if consent.reply_approval is not None:
        # spec: R102 — the approval under its older and its newer name
        document["approvedBy"] = document["replyAuthorization"] = consent.reply_approval
    if post.context_iri is not None:
        document["context"] = document["conversation"] = post.context_iri  # spec: R93
    if post.edited_at is not None:
        document["updated"] = format_time(post.edited_at)  # spec: R80
    if content.poll is not None:
        document.update(_poll(content.poll, post))
    return document


def tombstone(iri: Iri, *, deleted: Millis | None = None) -> Document:
    """What remains of a deleted object."""
    # spec: R83 — id, type, deleted
    document: Document = {"@context": OBJECT_CONTEXT, "id": iri, "type": "Tombstone"}
    if deleted is not None:
        document["deleted"] = format_time(deleted)
    return document


def _total(iri: Iri, total: int) -> Document:
    return {"id": iri, "type": "Collection", "totalItems": total}


def _tags(content: Content, names: Names) -> list[Document]:
    mentions = [_mention(each, names) for each in content.mentions if not each.silent]
    hashtags = [hashtag(each, names) for each in content.hashtags]
    return [*mentions, *hashtags, *(_emoji(each, names) for each in content.emojis)]


def _mention(mention: Mention, names: Names) -> Document:
    # spec: R69 — href the actor id, name @user@host
    handle = mention.handle
    return {"type": "Mention", "href": mention.iri, "name": f"@{handle.name}@{handle.domain or names.domain}"}


def hashtag(tag: str, names: Names) -> Document:
    """A hashtag."""
    # spec: R71 — name #tag, href our tag page
    return {"type": "Hashtag", "href": names.tag(quote(tag, safe="")), "name": f"#{tag}"}


def _emoji(emoji: Emoji, names: Names) -> Document:
    # spec: R72 — id, name :code:, icon.url, updated
    document: Document = {
        "id": emoji.iri or names.emoji(emoji.code),
        "type": "Emoji",
        "name": f":{emoji.code}:",
        "icon": {"type": "Image", "url": emoji.url},
    }
    if emoji.updated is not None:
        document["updated"] = format_time(emoji.updated)
    return document


def _image(image: Image) -> Document:
    document: Document = {"type": "Image", "url": image.url}
    if image.media_type:
        document["mediaType"] = image.media_type
    if image.description:
        document["name"] = image.description
    return document


def _attachment(attachment: Attachment) -> Document:
    # spec: R73 — Document with mediaType, url, name, width, height, blurhash, focalPoint
    document: Document = {"type": "Document", "mediaType": attachment.media_type, "url": attachment.url}
    if attachment.description:
        document["name"] = attachment.description
    if attachment.width and attachment.height:
        document["width"], document["height"] = attachment.width, attachment.height
    if attachment.blurhash:
        document["blurhash"] = attachment.blurhash
    if attachment.focus is not None:
        document["focalPoint"] = list(attachment.focus)
    return document


def _poll(poll: Poll, post: Post) -> Document:
    # spec: R88 — oneOf or anyOf with name and replies.totalItems, endTime, votersCount, closed after the end
    hidden = poll.hide_totals and poll.closed_at is None
    options = [
        {
            "type": "Note",
            "name": each.title,
            "replies": {"type": "Collection", "totalItems": 0 if hidden else each.votes},
        }
        for each in poll.options
    ]
    document: Document = {"anyOf" if poll.multiple else "oneOf": options, "votersCount": poll.voters or 0}
    if poll.ends_at is not None:
        document["endTime"] = format_time(poll.ends_at)
    if poll.closed_at is not None:
        document["closed"] = format_time(poll.closed_at)
    return document


def vote_note(iri: Iri, voter: Iri, *, question: Iri, option: str, author: Iri, published: Millis) -> Document:
    """A vote: a Note without content whose name is exactly the option, for the question's author alone."""
    # spec: R89 — a name, a parent, no content
    return {
        "@context": OBJECT_CONTEXT,
        "id": iri,
        "type": "Note",
        "attributedTo": voter,
        "name": option,
        "inReplyTo": question,
        "published": format_time(published),
        "to": [author],
        "cc": [],
    }
