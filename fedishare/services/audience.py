"""Who will get a post: one computation for publishing, for the preview before sending, and for delivery.

The decision itself is `fedishare.policy.audience`; this module gathers people for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Domain, Handle, Id, Iri
from fedishare.model.posts import LOCAL, Draft, Mention, Post, Reach, Visibility
from fedishare.policy.audience import answer_reach, answer_visibility
from fedishare.services import quotes
from fedishare.services.site import Site
from fedishare.store import actors, posts, relations
from fedishare.store.db import Tx
from fedishare.text import scan


@dataclass(frozen=True, slots=True)
class Recipient:
    """A remote actor that a post is for, and where it is reached."""

    actor_id: Id
    iri: Iri
    domain: Domain
    host: Domain
    inbox: Iri
    shared_inbox: Iri | None


@dataclass(frozen=True, slots=True)
class Labels:
    """The two labels of a post after every rule was applied, with the reasons for what was narrowed."""

    visibility: Visibility
    reach: Reach
    narrowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """The people named in a text: those that the post is for, and those that it cannot reach, each with the reason."""

    mentions: tuple[Mention, ...]
    unreached: tuple[tuple[str, str], ...]


def within_reach(reach: Reach, actor: Actor) -> bool:
    """Whether a post of that reach may go to ``actor``: the label only; the guard decides about the partner."""
    return actor.is_local or any(reach_includes(reach, d) for d in (actor.domain, actor.host) if d)


def reach_includes(reach: Reach, domain: Domain) -> bool:
    """Whether a post of that reach may go to somebody of ``domain``: the label only."""
    if reach.domains is None:
        return True
    # Which partners include sub-domains is the guard's knowledge, so a parent domain in the label is enough here.
    labels = domain.split(".")
    return any(Domain(".".join(labels[i:])) in reach.domains for i in range(len(labels)))


def default_reach(
    site: Site, visibility: Visibility, answered: Post | None, answered_author: Actor | None, named: Iterable[Handle],
    quoted_author: Actor | None = None,
) -> Reach:  # fmt: skip
    """The reach of a post whose app named none.

    An answer to a partner's post is for that partner, and so is a quote; a direct post is for the people that it names:
    addressing them is the explicit act. Everything else gets the instance's default.
    """
    if answered is None and quoted_author is not None and quoted_author.domain is not None:
        return Reach(frozenset({quoted_author.domain}))  # asking them is what quoting means
    if answered is not None and answered_author is not None and answered_author.domain is not None:
        return Reach(frozenset({answered_author.domain}))
    if visibility is Visibility.DIRECT:
        domains = frozenset(h.domain for h in named if h.domain and h.domain != site.names.domain)
        return Reach(domains) if domains else LOCAL
    return site.default_reach


def labels(tx: Tx, site: Site, draft: Draft, answered: Post | None, quoted: Post | None = None) -> Labels:
    """Visibility and reach of a draft: never further than what it answers or quotes. Raises `BadInput`."""
    wanted = draft.visibility if draft.visibility is not None else site.default_visibility
    author = actors.by_id(tx, answered.author_id) if answered else None
    named = [m.handle for m in scan(draft.text, development=site.development).mentions]
    quoted_author = actors.by_id(tx, quoted.author_id) if quoted is not None else None
    reach = draft.reach
    if reach is None:
        reach = default_reach(site, wanted, answered, author, named, quoted_author)
    found = Labels(wanted, reach)
    if answered is not None and author is not None:
        found = _narrowed(found, answered, author, "it answers", "an answer never reaches further than what it answers")
    if quoted is None or quoted_author is None:
        return found
    found = _narrowed(found, quoted, quoted_author, "it quotes", "a quote never reaches further than what it quotes")
    if found.reach.is_local and not quoted.local:
        # Consent cannot be had without asking, and a post that stays here asks nobody.
        raise BadInput(quotes.ASKS_NOBODY, path="reach")
    return found


def _narrowed(labels: Labels, other: Post, author: Actor, what: str, why: str) -> Labels:
    """Within the labels of another post, which ``author`` wrote."""
    least = other.visibility if what == "it answers" or other.visibility is Visibility.PRIVATE else labels.visibility
    visibility = answer_visibility(labels.visibility, least)
    reach = answer_reach(labels.reach, other.reach, other.local, author.domain)
    notes = list(labels.narrowed)
    if visibility is not labels.visibility:
        notes.append(f"visibility is {visibility.word}, because the post that {what} is")
    if reach != labels.reach:
        notes.append(why)
    return Labels(visibility, reach, tuple(notes))


def named_people(tx: Tx, site: Site, text: str, reach: Reach) -> Named:
    """Resolve the handles of a text among the actors that we know; those outside ``reach`` stay plain text."""
    mentions: dict[Id, Mention] = {}
    unreached: dict[str, str] = {}
    for mention in scan(text, development=site.development).mentions:
        domain = None if mention.domain == site.names.domain else mention.domain
        actor = actors.by_handle(tx, Handle(mention.name, domain))
        if actor is None or actor.state >= 2:
            if domain is not None:
                unreached[str(mention.handle)] = "nobody of that name is known"
        elif not within_reach(reach, actor):
            unreached[str(mention.handle)] = f"{actor.domain} is outside the reach of this post"
        else:
            mentions.setdefault(actor.id, Mention(actor.id, actor.iri, actor.handle, actor.url))
    return Named(tuple(mentions.values()), tuple(unreached.items()))


def with_addressed(tx: Tx, named: Named, draft: Draft, reach: Reach) -> Named:
    """Exactly the people that a draft addresses, where it says so: whoever the text names besides stays plain text.

    Raises `BadInput` when one of them cannot be reached: then nobody gets anything.
    """
    if draft.addressed is None:
        return named
    people = actors.by_ids(tx, (*draft.addressed, *draft.blind))
    for ident in (*draft.addressed, *draft.blind):
        actor = people.get(ident)
        if actor is None or actor.state >= 2:
            raise BadInput("Validation failed: somebody whom it addresses is not here any more", path="to")
        if not within_reach(reach, actor):
            raise BadInput(f"Validation failed: {actor.iri} is outside the reach of this post", path="to")
    found = {mention.actor_id: mention for mention in named.mentions if mention.actor_id in draft.addressed}
    for ident in draft.addressed:
        actor = people[ident]
        found.setdefault(ident, Mention(actor.id, actor.iri, actor.handle, actor.url))
    return Named(tuple(found.values()), ())


def with_answered(tx: Tx, named: Named, labels: Labels, answered: Post | None) -> Named:
    """The people named, and silently the partner's person whom the post answers: an answer arrives, named or not.

    Only the text's own handles are mentions that notify; this one is an address. Direct posts name their people.
    """
    author = actors.by_id(tx, answered.author_id) if answered is not None else None
    if author is None or author.is_local or author.state >= 2 or not within_reach(labels.reach, author):
        return named
    if labels.visibility is Visibility.DIRECT or any(mention.actor_id == author.id for mention in named.mentions):
        return named
    silent = Mention(author.id, author.iri, author.handle, author.url, silent=True)
    return Named((*named.mentions, silent), named.unreached)


def with_quoted(tx: Tx, named: Named, labels: Labels, author: Actor, quoted: Post | None) -> Named:
    """The people named, and silently the author of what it quotes: they may see it. Raises `BadInput` for direct posts
    that are not for them.
    """
    mention = quotes.silent_mention(tx, author.id, quoted)
    if quoted is None or mention is None:
        return named
    if labels.visibility is Visibility.DIRECT:
        quotes.check_direct(quoted, author, named.mentions)
        return named
    if any(each.actor_id == mention.actor_id for each in named.mentions):
        return named
    return Named((*named.mentions, mention), named.unreached)


def recipients(tx: Tx, post: Post, author: Actor) -> list[Recipient]:
    """The remote actors that a local post (or boost) is for, within its reach: followers, named people, the answered.

    The guard is asked for each partner on top of this, at the moment of sending.
    """
    found: dict[Id, Recipient] = {}
    if post.reach.is_local:
        return []
    if post.visibility is not Visibility.DIRECT:
        followers = actors.by_ids(tx, (row[0] for row in relations.remote_followers(tx, author.id)))
        _collect(found, post.reach, followers.values())
    _collect(found, post.reach, actors.by_ids(tx, posts.mentioned_ids(tx, post.id)).values())
    if post.boost_of_id is not None:
        boosted = posts.by_id(tx, post.boost_of_id)
        if boosted is not None:
            _collect(found, post.reach, actors.by_ids(tx, [boosted.author_id]).values())
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Preview:
    """Who would get a draft. ``local_people`` counts those here that would be told or see it at home."""

    labels: Labels
    named: Named
    recipients: tuple[Recipient, ...]
    local_people: int
    everybody_here: bool


def preview(tx: Tx, site: Site, author: Actor, draft: Draft) -> Preview:
    """Who would get ``draft`` if it were published now: the same rules and the same people as delivery.

    Raises `NotFound` when the post that it answers is not for the author.
    """
    answered, quoted = answered_post(tx, author, draft.in_reply_to_id), quotes.quoted_post(tx, author, draft.quoted_id)
    found = labels(tx, site, draft, answered, quoted)
    named = with_answered(tx, named_people(tx, site, draft.text, found.reach), found, answered)
    named = with_quoted(tx, named, found, author, quoted)
    people: dict[Id, Recipient] = {}
    local = {m.actor_id for m in named.mentions if m.handle.domain is None}
    if found.visibility is not Visibility.DIRECT:
        local |= {ident for ident, _ in relations.local_followers_of(tx, author.id)}
        if not found.reach.is_local:
            followers = actors.by_ids(tx, (row[0] for row in relations.remote_followers(tx, author.id)))
            _collect(people, found.reach, followers.values())
    if not found.reach.is_local:
        _collect(people, found.reach, actors.by_ids(tx, (m.actor_id for m in named.mentions)).values())
    everybody = found.visibility in (Visibility.PUBLIC, Visibility.UNLISTED)
    return Preview(found, named, tuple(people.values()), len(local - {author.id}), everybody)


def answered_post(tx: Tx, author: Actor, ident: Id | None) -> Post | None:
    """The post that a draft answers; for a boost, what it boosts. Raises `NotFound`."""
    if ident is None:
        return None
    answered = posts.visible(tx, ident, author.id)
    if answered is None:
        raise NotFound("The post you are trying to reply to does not appear to exist.")
    return posts.by_id(tx, answered.boost_of_id) if answered.boost_of_id else answered


def reachable(actor: Actor) -> Recipient | None:
    """How one remote actor is reached; None for local, suspended and deleted ones."""
    if actor.is_local or actor.state >= 2 or actor.domain is None or actor.host is None:
        return None
    ends = actor.endpoints
    return Recipient(actor.id, actor.iri, actor.domain, actor.host, ends.inbox, ends.shared_inbox)


def _collect(found: dict[Id, Recipient], reach: Reach, people: Iterable[Actor]) -> None:
    for actor in people:
        recipient = reachable(actor)
        if recipient is not None and within_reach(reach, actor):
            found.setdefault(actor.id, recipient)
