"""Quotes: asking for consent, giving it, taking it back; local and remote by the same rules.

A quote is shown only while its author's consent stands. Here consent of local authors is decided from the post's
policy at once; partners' authors are asked. What partners ask and answer is in `fedishare.services.quote_requests`.
"""

from __future__ import annotations

from dataclasses import replace

from fedishare.model.activities import PostEdited
from fedishare.model.actors import Actor, FollowState
from fedishare.model.errors import BadInput, NotAllowed, NotFound
from fedishare.model.ids import Id, Iri, Millis
from fedishare.model.outgoing import PublishEdit, RevokeQuote, SendQuoteRequest
from fedishare.model.posts import Draft, Mention, Post, RemotePost, Visibility
from fedishare.model.quotes import (
    NO_CONSENT,
    Consent,
    Group,
    Interaction,
    NoteConsent,
    Quote,
    QuoteState,
    Rule,
    Stamp,
    rule_of,
    with_rule,
)
from fedishare.services import notifications
from fedishare.services.site import CheckQuoteJob, Site, check_quote, federate
from fedishare.store import actors, posts, quotes, relations, tombstones
from fedishare.store import notifications as notes
from fedishare.store.db import Tx

NOT_QUOTABLE = "The post you are trying to quote does not appear to exist."
ASKS_NOBODY = (
    "Validation failed: the author of a partner's post is asked before it is quoted, and this post would not reach them"
)
MAX_DEPTH = 5
"""How many quoted posts behind each other are read."""
TOLD_OF_BURIAL = 200
"""So many quoting posts are shown anew at once when a quoted post is deleted."""
RECHECK = 7 * 24 * 3600 * 1000
"""A partner's authorization is read again after this time; milliseconds."""


# Consent


def consent(tx: Tx, post: Post, interaction: Interaction, actor: Id) -> Consent:
    """What a post's policy says to somebody who may see it."""
    if post.author_id == actor:
        return Consent.DENIED if _never(post, interaction) else Consent.AUTOMATIC
    if interaction is Interaction.QUOTE and (post.visibility is Visibility.PRIVATE or _never(post, interaction)):
        return Consent.DENIED  # spec: R100 — a followers-only post is quoted by its author alone
    rule = rule_of(post.interaction_policy, interaction)
    return rule.consent(
        follows=bool(rule.groups & Group.FOLLOWERS) and _follows(tx, actor, post.author_id),
        followed=bool(rule.groups & Group.FOLLOWING) and _follows(tx, post.author_id, actor),
    )


def _never(post: Post, interaction: Interaction) -> bool:
    direct = post.visibility is Visibility.DIRECT
    return interaction is Interaction.QUOTE and (direct or post.boost_of_id is not None)


def _follows(tx: Tx, one: Id, other: Id) -> bool:
    made = relations.follow(tx, one, other)
    return made is not None and made.state is FollowState.ACCEPTED


def require(tx: Tx, post: Post, interaction: Interaction, actor: Id) -> Consent:
    """The policy's answer, where it is not no. Raises `NotAllowed`."""
    # spec: R101 — what a partner's author does not want is not sent
    found = consent(tx, post, interaction, actor)
    if found is Consent.DENIED:
        raise NotAllowed("This action is not allowed")
    return found


def quoted_post(tx: Tx, author: Actor, ident: Id | None) -> Post | None:
    """The post that a draft quotes; for a boost, what it boosts. Raises `NotFound`: hidden and unwilling alike."""
    if ident is None:
        return None
    post = posts.visible(tx, ident, author.id)
    if post is not None and post.boost_of_id is not None:
        post = posts.by_id(tx, post.boost_of_id)
    if post is None or consent(tx, post, Interaction.QUOTE, author.id) is Consent.DENIED:
        raise NotFound(NOT_QUOTABLE)
    return post


def silent_mention(tx: Tx, quoter: Id, quoted: Post | None) -> Mention | None:
    """The quoted author, who may see what quotes them, and gets it; None for oneself and those that are gone."""
    if quoted is None or quoted.author_id == quoter:
        return None
    author = actors.by_id(tx, quoted.author_id)
    if author is None or author.state >= 2:
        return None
    return Mention(author.id, author.iri, author.handle, author.url, silent=True)


def policy_of(draft_rule: Rule | None, visibility: Visibility, policy: int) -> int:
    """The interaction policy of a local post: posts that not everybody may see are quoted by their author alone."""
    if draft_rule is None or visibility in (Visibility.PRIVATE, Visibility.DIRECT):
        draft_rule = Rule()
    return with_rule(policy, Interaction.QUOTE, draft_rule)


def set_policy(tx: Tx, actor: Actor, ident: Id, rule: Rule) -> Post:
    """A local author says who may quote a post of theirs from now on. Raises `NotFound`."""
    post = posts.by_id(tx, ident)
    if post is None or post.author_id != actor.id or post.boost_of_id is not None:
        raise NotFound("Record not found")
    policy = policy_of(rule, post.visibility, post.interaction_policy)
    if quotes.set_policy(tx, post.id, policy):
        tx.notify(PostEdited(post.id))
        if not post.reach.is_local:
            federate(tx, actor.id, PublishEdit(post.id, tx.now))
    return post


# Quoting, by local people


def attach(tx: Tx, site: Site, author: Actor, post: Post, quoted: Post) -> None:
    """A new local post quotes another. Of one's own and of local authors' it is decided now; others are asked."""
    quote = Quote(post.id, author.id, quoted.id, quoted.iri, quoted.author_id, QuoteState.PENDING)
    quotes.put(tx, quote)
    if quoted.author_id == author.id:
        settle(tx, quote, QuoteState.ACCEPTED)  # spec: R96 — the author quotes himself
    elif quoted.local:
        grant(tx, site, quoted, author, post.iri, None, consent(tx, quoted, Interaction.QUOTE, author.id))
    else:
        # spec: R96 — a partner's author is asked
        request = site.names.activity(author.name, "quote_requests", post.id)
        quotes.set_request(tx, post.id, request)
        federate(tx, author.id, SendQuoteRequest(post.id, request))


def grant(
    tx: Tx, site: Site, quoted: Post, quoter: Actor, quoting: Iri, request: Iri | None, said: Consent
) -> Stamp | None:
    """What a local author's policy has ``said`` to a quote: the stamp, PENDING or ACCEPTED; None when it is no.

    What was taken back is never given again for the same post.
    """
    # spec: R98 — answered by the post's policy
    if said not in (Consent.AUTOMATIC, Consent.MANUAL):
        return None
    tx.lock(f"quote:{quoting}")
    known = quotes.stamp_for(tx, quoted.id, quoting)
    if known is None:
        state = QuoteState.ACCEPTED if said is Consent.AUTOMATIC else QuoteState.PENDING
        known = Stamp(tx.new_id(), quoted.id, quoter.id, quoting, request, state)
        quotes.put_stamp(tx, known)
    if known.state in (QuoteState.REJECTED, QuoteState.REVOKED) or known.quoter_id != quoter.id:
        return None
    made = posts.by_iri(tx, quoting)
    found = quotes.of_post(tx, made.id) if made is not None else None
    if found is not None and found.quoted_id == quoted.id and known.state is QuoteState.ACCEPTED:
        settle(tx, found, QuoteState.ACCEPTED, stamp_iri(tx, site, known))
    return known


def stamp_iri(tx: Tx, site: Site, stamp: Stamp) -> Iri:
    """Where an authorization of ours is read."""
    post = posts.by_id(tx, stamp.post_id)
    author = actors.by_id(tx, post.author_id) if post is not None else None
    return site.names.quote_authorization(author.name if author is not None else "", stamp.id)


def settle(tx: Tx, quote: Quote, state: QuoteState, approval: Iri | None = None) -> bool:
    """A quote's new state, with everything that follows from it: the count, the author's notification, the streams.

    False when it was in that state before.
    """
    # Two answers side by side must not count twice: what it was is read again when nobody else can change it.
    tx.lock(f"quote:{quote.post_id}")
    quote = quotes.of_post(tx, quote.post_id) or quote
    checked = tx.now if state is QuoteState.ACCEPTED else None
    if not quotes.set_state(tx, quote.post_id, state, approval or quote.approval_iri, checked):
        return False
    accepted = state is QuoteState.ACCEPTED
    if quote.quoted_id is not None and accepted is not (quote.state is QuoteState.ACCEPTED):
        quotes.count(tx, quote.quoted_id, +1 if accepted else -1)
    if quote.quoted_author_id is not None:
        if accepted:
            notifications.notify(tx, quote.quoted_author_id, "quote", quote.quoter_id, quote.post_id)
        else:
            notes.withdraw(tx, quote.quoted_author_id, "quote", quote.quoter_id, quote.post_id)
    tx.notify(PostEdited(quote.post_id))
    return True


def revoke(tx: Tx, site: Site, actor: Actor, ident: Id, quoting: Id) -> Id:
    """A local author takes back that a post quotes theirs. Returns the quoting post's id. Raises `NotFound`."""
    post, quote = posts.by_id(tx, ident), quotes.of_post(tx, quoting)
    if post is None or post.author_id != actor.id or quote is None or quote.quoted_id != post.id:
        raise NotFound("Record not found")
    _withdraw(tx, site, actor, post, quote)
    return quote.post_id


def revoke_stamp(tx: Tx, site: Site, actor: Actor, ident: Id) -> None:
    """The same by the authorization that was given. Raises `NotFound`: for others', and when it was taken back."""
    stamp = quotes.stamp(tx, ident)
    post = posts.by_id(tx, stamp.post_id) if stamp is not None else None
    if stamp is None or post is None or post.author_id != actor.id or stamp.state is not QuoteState.ACCEPTED:
        raise NotFound("Record not found")
    made = posts.by_iri(tx, stamp.quoting_iri)
    quote = quotes.of_post(tx, made.id) if made is not None else None
    if quote is not None and quote.quoted_id == post.id:
        settle(tx, quote, QuoteState.REVOKED)
    _end_stamp(tx, site, actor, post, stamp)


def _withdraw(tx: Tx, site: Site, actor: Actor, post: Post, quote: Quote) -> None:
    made = posts.by_id(tx, quote.post_id)
    stamp = quotes.stamp_for(tx, post.id, made.iri) if made is not None else None
    settle(tx, quote, QuoteState.REVOKED)
    if stamp is not None:
        _end_stamp(tx, site, actor, post, stamp)


def _end_stamp(tx: Tx, site: Site, actor: Actor, post: Post, stamp: Stamp) -> None:
    # spec: R99 — Delete of the authorization tells everybody who may show the quote
    given = stamp.state is QuoteState.ACCEPTED
    quotes.set_stamp(tx, stamp.id, QuoteState.REVOKED)
    if given and not post.reach.is_local:
        made = posts.by_iri(tx, stamp.quoting_iri)
        change = RevokeQuote(
            stamp.id, site.names.quote_authorization(actor.name, stamp.id), post.id, stamp.quoter_id,
            stamp.quoting_iri, made.id if made is not None else None, tx.now,
        )  # fmt: skip
        federate(tx, actor.id, change)


def unquote(tx: Tx, author: Actor, quoter: Actor) -> None:
    """``author`` blocks ``quoter``, whose quotes of theirs are not shown any more."""
    # spec: R99 — a block withdraws the quote
    for quote in quotes.between(tx, author.id, quoter.id):
        if quote.state in (QuoteState.PENDING, QuoteState.ACCEPTED):
            settle(tx, quote, QuoteState.REVOKED)


def part(tx: Tx, site: Site, actor: Actor, quoter: Actor) -> None:
    """The same for a local author, who takes back every consent that ``quoter`` had."""
    unquote(tx, actor, quoter)
    for stamp in quotes.stamps_between(tx, actor.id, quoter.id):
        post = posts.by_id(tx, stamp.post_id)
        if post is not None and stamp.state is not QuoteState.REVOKED:
            _end_stamp(tx, site, actor, post, stamp)


# Posts that come, change and go


def receive(tx: Tx, author: Actor, post: Post, remote: RemotePost, depth: int = 0) -> None:
    """A partner's post that has just arrived quotes another one: shown only once that is checked."""
    said = remote.quote
    if said is None:
        return
    quoted = posts.by_iri(tx, said.iri)
    quote = Quote(
        post.id, author.id, quoted.id if quoted else None, said.iri, quoted.author_id if quoted else None,
        QuoteState.PENDING, said.legacy, None, said.approval,
    )  # fmt: skip
    if quoted is None and tombstones.was_here(tx, said.iri):
        quote = Quote(post.id, author.id, None, said.iri, None, QuoteState.DELETED, said.legacy, None, said.approval)
    quotes.put(tx, quote)
    consider(tx, quote, quoted, depth)


def consider(tx: Tx, quote: Quote, quoted: Post | None, depth: int = 0) -> None:
    """Decide what can be decided about a partner's quote from what is here; leave the rest to a check."""
    if quote.state is not QuoteState.PENDING:
        return
    if quoted is not None and quoted.author_id == quote.quoter_id:
        if quoted.visibility is not Visibility.DIRECT and quoted.boost_of_id is None:
            settle(tx, quote, QuoteState.ACCEPTED)
        return
    if quoted is not None and quoted.local:
        made = posts.by_id(tx, quote.post_id)
        stamp = quotes.stamp_for(tx, quoted.id, made.iri) if made is not None else None
        if stamp is not None and stamp.state is QuoteState.ACCEPTED and stamp.quoter_id == quote.quoter_id:
            settle(tx, quote, QuoteState.ACCEPTED, quote.approval_iri)
        return
    wanted = quote.quoted_iri if quoted is None else quote.approval_iri
    if depth < MAX_DEPTH and wanted is not None:
        check_quote(tx, CheckQuoteJob(quote.post_id, wanted, depth))


def receive_edit(tx: Tx, author: Actor, post: Post, remote: RemotePost) -> None:
    """What an Update says about quote and policy; that needs no newer version, because consent comes later."""
    if quotes.set_policy(tx, post.id, remote.interaction_policy):
        tx.notify(PostEdited(post.id))
    before, said = quotes.of_post(tx, post.id), remote.quote
    if said is None and before is not None and before.state not in (QuoteState.PENDING, QuoteState.ACCEPTED):
        return  # that it says nothing of a quote any more is how some withdraw one
    if before is not None and (said is None or said.iri != before.quoted_iri):
        forget(tx, post)
        quotes.drop(tx, post.id)
        before = None
    if (said is not None) is not post.quoting:
        quotes.set_quoting(tx, post.id, said is not None)
        tx.notify(PostEdited(post.id))
    if said is None:
        return
    if before is None:
        receive(tx, author, post, remote)
    elif said.approval is not None and said.approval != before.approval_iri:
        _other_approval(tx, before, said.approval)


def _other_approval(tx: Tx, before: Quote, approval: Iri) -> None:
    quoted = posts.by_id(tx, before.quoted_id) if before.quoted_id is not None else None
    if before.state is QuoteState.DELETED or (quoted is not None and quoted.local):
        return  # whatever they say about a post of ours: we know what we gave
    if before.state is not QuoteState.PENDING:
        settle(tx, before, QuoteState.PENDING)
    quotes.set_approval(tx, before.post_id, approval)
    fresh = quotes.of_post(tx, before.post_id)
    if fresh is not None:
        consider(tx, fresh, quoted)


def arrived(tx: Tx, post: Post) -> None:
    """A post is here that others quote."""
    for quote in quotes.waiting(tx, post.iri):
        quotes.set_quoted(tx, quote.post_id, post.id, post.author_id)
        fresh = quotes.of_post(tx, quote.post_id)
        if fresh is not None:
            consider(tx, fresh, post)


def forget(tx: Tx, post: Post) -> None:
    """A quoting post is about to go, or to quote nothing: the count of what it quoted."""
    quote = quotes.of_post(tx, post.id)
    if quote is not None and quote.state is QuoteState.ACCEPTED and quote.quoted_id is not None:
        quotes.count(tx, quote.quoted_id, -1)


def bury(tx: Tx, post: Post) -> None:
    """A post is about to be deleted: it counts no more as a quote, and those that quote it show that it is gone."""
    # spec: R99 — deletion of the quoted post
    if post.quoting:
        forget(tx, post)
    for quote in quotes.of_quoted(tx, post.id, TOLD_OF_BURIAL):
        tx.notify(PostEdited(quote.post_id))
    quotes.bereave(tx, post.id)


def tell_of_edit(tx: Tx, post: Post) -> None:
    """A post was edited: local people who quote it hear of that."""
    if post.quotes_count:
        for quote in quotes.of_quoted(tx, post.id):
            if quote.state is QuoteState.ACCEPTED:
                notifications.notify(tx, quote.quoter_id, "quoted_update", post.author_id, quote.post_id)


def quoters(tx: Tx, post: Post) -> set[Id]:
    """Who quotes a post, with or without consent."""
    return {quote.quoter_id for quote in quotes.of_quoted(tx, post.id)}


def edited(tx: Tx, author: Actor, post: Post, draft: Draft) -> tuple[Draft, Post | None]:
    """What an edit says about quotes, and what the post quotes. Raises `BadInput`: a quote is never added or changed.

    Who may quote it can be said anew with every edit.
    """
    quote = quotes.of_post(tx, post.id) if post.quoting else None
    if draft.quoted_id is not None and (quote is None or quote.quoted_id != draft.quoted_id):
        raise BadInput("Validation failed: Quotes cannot be added when editing a post.", path="quoted_status_id")
    if draft.quote_rule is not None:
        set_policy(tx, author, post.id, draft.quote_rule)
    quoted = posts.by_id(tx, quote.quoted_id) if quote is not None and quote.quoted_id is not None else None
    return replace(draft, quoted_id=post.id if post.quoting else None), quoted


def note_consent(tx: Tx, post: Post) -> NoteConsent:
    """What a local post's own document says about what it quotes, and about consent that it has."""
    found = quotes.of_post(tx, post.id) if post.quoting else None
    waits = quotes.reply(tx, post.id) if post.in_reply_to_iri is not None else None
    reply_approval = waits[1] if waits is not None else None
    if found is None or found.state not in (QuoteState.PENDING, QuoteState.ACCEPTED):
        return NoteConsent(reply_approval=reply_approval) if reply_approval is not None else NO_CONSENT
    quoted = posts.by_id(tx, found.quoted_id) if found.quoted_id is not None else None
    approval = found.approval_iri if found.state is QuoteState.ACCEPTED else None
    return NoteConsent(found.quoted_iri, quoted.url if quoted else found.quoted_iri, approval, reply_approval)


def note_consent_for(tx: Tx, post: Post, viewer: Id) -> NoteConsent:
    """The same for somebody here who reads the document: what they may not see is not named to them."""
    found = note_consent(tx, post)
    quoted = posts.by_iri(tx, found.quoted_iri) if found.quoted_iri is not None else None
    if quoted is None or posts.visible(tx, quoted.id, viewer) is not None:
        return found
    return NoteConsent(reply_approval=found.reply_approval)


def recheck(tx: Tx, limit: int = 50) -> int:
    """Have partners' authorizations read again that nobody has looked at for long. Returns how many."""
    found = quotes.stale(tx, Millis(tx.now - RECHECK), limit)
    for ident, approval in found:
        quotes.checked(tx, ident)  # not again before the next time, whatever comes of it
        check_quote(tx, CheckQuoteJob(ident, approval, MAX_DEPTH))
    return len(found)


def check_direct(quoted: Post, author: Actor, mentions: tuple[Mention, ...]) -> None:
    """A direct post quotes others only if it is for them, too. Raises `BadInput`."""
    named = {mention.actor_id for mention in mentions if not mention.silent}
    if quoted.author_id != author.id and quoted.author_id not in named:
        raise BadInput("Validation failed: Cannot quote a non-mentioned user in a Private Mention post.")
