"""Quotes with a partner: asked for, answered, checked, taken back; and what somebody hostile tries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from fedishare.jobs import Worker
from fedishare.model.actors import Actor
from fedishare.model.ids import Id
from fedishare.model.posts import LOCAL, Draft, Post, Visibility
from fedishare.model.quotes import ANYBODY, FOLLOWERS, Group, Quote, QuoteState, Rule
from fedishare.services import accounts, quotes, relations
from fedishare.services import posts as post_services
from fedishare.store import posts
from fedishare.store import quotes as rows
from fedishare.store.jobs import JobState
from tests.federation.test_effects import met, took
from tests.support.builders import Us, follow
from tests.support.clock import DAY
from tests.support.peer import PUBLIC, Document, PeerServer, Person
from tests.support.sending import sending
from tests.support.world import Org, new_world

Json = dict[str, Any]
TO_ANYBODY = {"canQuote": {"automaticApproval": [PUBLIC], "manualApproval": []}}


@pytest.fixture
async def worker(us: Us) -> AsyncIterator[Worker]:
    """Our worker."""
    async with sending(us) as running:
        yield running


async def quote_of(us: Us, iri: str) -> Quote | None:
    """What a post here quotes, and what became of that."""
    post = await us.find_post(iri)
    return await us.database.read(rows.of_post, post.id) if post is not None else None


async def state(us: Us, iri: str) -> QuoteState:
    """What became of a post's quote."""
    found = await quote_of(us, iri)
    assert found is not None, f"{iri} quotes nothing"
    return found.state


async def count(us: Us, post: Post) -> int:
    """How many quotes a post counts."""
    found = await us.database.read(posts.by_id, post.id)
    assert found is not None
    return found.quotes_count


def request(peer: PeerServer, person: Person, quoted: str, instrument: Any) -> Document:
    """A QuoteRequest."""
    return peer.activity("QuoteRequest", person, quoted, instrument=instrument)


def answers(peer: PeerServer, kind: str) -> list[Document]:
    """The Accepts or Rejects that a partner got."""
    return [body for body in peer.received if body["type"] == kind]


# We are asked


@pytest.mark.spec("R98")
async def test_a_request_is_answered_with_a_stamp_that_can_be_read(us: Us, peer: PeerServer, worker: Worker) -> None:
    ana, ben = await us.person(), await met(us, peer)
    first = await us.post(ana, "the first", quote_rule=ANYBODY)
    note = peer.note(ben, "look", quote=first.iri)
    asked = request(peer, ben, first.iri, note)
    await took(peer, ben, asked)
    await worker.idle()
    (accept,) = answers(peer, "Accept")
    assert accept["object"] == {
        "id": asked["id"], "type": "QuoteRequest", "actor": ben.id, "object": first.iri, "instrument": note["id"]
    }  # fmt: skip
    assert await state(us, note["id"]) is QuoteState.ACCEPTED
    assert await count(us, first) == 1
    assert [n[0] for n in await us.notifications(ana)] == ["quote"]
    stamp = await peer.fetch(ben, accept["result"])
    assert stamp.status == 200
    assert {k: stamp.json[k] for k in ("id", "type", "attributedTo", "interactingObject", "interactionTarget")} == {
        "id": accept["result"], "type": "QuoteAuthorization", "attributedTo": str(ana.iri),
        "interactingObject": note["id"], "interactionTarget": first.iri,
    }  # fmt: skip
    # The same question again, under another id: the same stamp, counted once.
    await took(peer, ben, request(peer, ben, first.iri, note["id"]))
    await worker.idle()
    assert [a["result"] for a in answers(peer, "Accept")] == [accept["result"]] * 2
    assert await count(us, first) == 1
    assert (await us.get(accept["result"]))[0] == 401  # for partners, with a signature
    # spec: R99 — taken back: gone, told to everybody, and not given again
    await us.write(quotes.revoke, us.site, ana, first.id, (await us.find_post(note["id"])).id)  # type: ignore[union-attr]
    await worker.idle()
    (gone,) = answers(peer, "Delete")
    assert gone["object"] == {"id": accept["result"], "type": "QuoteAuthorization", "attributedTo": str(ana.iri)}
    assert note["id"] not in str(gone), "other partners get this, too, and do not learn who quoted"
    assert (await peer.fetch(ben, accept["result"])).status == 404
    await took(peer, ben, request(peer, ben, first.iri, note["id"]))
    for approval in (accept["result"], peer.new_id("stamps")):
        await took(peer, ben, peer.activity("Update", ben, note | {"quoteAuthorization": approval}))
    await worker.idle()
    assert len(answers(peer, "Reject")) == 1
    assert await state(us, note["id"]) is QuoteState.REVOKED
    assert await count(us, first) == 0


@pytest.mark.spec("R98")
async def test_a_post_that_did_not_come_along_is_read_before_the_answer(
    us: Us, peer: PeerServer, worker: Worker
) -> None:
    ana, ben, eve = await us.person(), await met(us, peer), await met(us, peer, "eve")
    first, other = await us.post(ana, "1", quote_rule=ANYBODY), await us.post(ana, "2", quote_rule=ANYBODY)
    notes = [peer.note(ben, "a", quote=first.iri), peer.note(ben, "b", quote=other.iri)]
    notes.append(peer.note(eve, "c", quote=first.iri))
    missing = peer.url("/notes/none")
    for instrument in (notes[0]["id"], notes[1]["id"], notes[2]["id"], missing):
        await took(peer, ben, request(peer, ben, first.iri, instrument))
    await worker.idle()
    # The second quotes another post, the third is somebody else's, the last cannot be read: no answer, nothing counted.
    assert [a["object"]["instrument"] for a in answers(peer, "Accept")] == [notes[0]["id"]]
    assert not answers(peer, "Reject")
    assert await count(us, first) == 1


@pytest.mark.spec("R98")
async def test_the_policy_answers(us: Us, peer: PeerServer, third: PeerServer, worker: Worker) -> None:
    ana, ben = await us.person(), await met(us, peer)
    some = await us.post(ana, "1", quote_rule=FOLLOWERS)
    nobody = await us.post(ana, "2")
    ask = await us.post(ana, "3", quote_rule=Rule(Group.NONE, Group.PUBLIC))
    asked = [request(peer, ben, post.iri, peer.note(ben, "q", quote=post.iri)) for post in (some, nobody, ask)]
    for each in asked:
        await took(peer, ben, each)
    await worker.idle()
    assert {r["object"]["object"] for r in answers(peer, "Reject")} == {some.iri, nobody.iri}
    assert not answers(peer, "Accept")
    await us.write(relations.receive_follow, await us.actor(ben.id), ana, peer.new_id("follows"))
    await took(peer, ben, request(peer, ben, some.iri, peer.note(ben, "q", quote=some.iri)))
    await worker.idle()
    assert [a["object"]["object"] for a in answers(peer, "Accept") if "result" in a] == [some.iri]


async def test_who_cannot_see_a_post_learns_nothing_from_asking(us: Us, peer: PeerServer, worker: Worker) -> None:
    ana, ben = await us.person(), await met(us, peer)
    before = len(peer.received)
    hidden = [
        await us.post(ana, "inside", reach=LOCAL, quote_rule=ANYBODY),
        await us.post(ana, "private", visibility=Visibility.PRIVATE, quote_rule=ANYBODY),
        await us.post(ana, "direct", visibility=Visibility.DIRECT, quote_rule=ANYBODY),
    ]
    gone = await us.post(ana, "gone", quote_rule=ANYBODY)
    await us.write(post_services.remove, ana, gone.id)
    for iri in (*(post.iri for post in hidden), gone.iri, us.names.post("ana", Id(17)), str(ana.iri)):
        await took(peer, ben, request(peer, ben, iri, peer.note(ben, "q", quote=iri)))
    await us.write(relations.block, us.site, ana, (await us.actor(ben.id)).id)
    open_one = await us.post(ana, "open", quote_rule=ANYBODY)
    await took(peer, ben, request(peer, ben, open_one.iri, peer.note(ben, "q", quote=open_one.iri)))
    await worker.idle()
    assert not [b for b in peer.received[before:] if b["type"] in ("Accept", "Reject")]


async def test_requests_that_are_not_the_senders_or_not_readable_are_refused(
    us: Us, peer: PeerServer, third: PeerServer
) -> None:
    ana, ben, cy = await us.person(), await met(us, peer), await met(us, third, "cy")
    first = await us.post(ana, "1", quote_rule=ANYBODY)
    theirs = third.note(cy, "c", quote=first.iri)
    for instrument in (None, [], 7, "", "x", {"type": "Note"}, theirs, theirs["id"], first.iri, [theirs, theirs]):
        assert (await peer.deliver(ben, request(peer, ben, first.iri, instrument))).status in (400, 403)
    huge = request(peer, ben, first.iri, peer.note(ben, "x" * 2_000_000, quote=first.iri))
    assert (await peer.deliver(ben, huge)).status == 413
    deep: Any = "x"
    for _ in range(200):
        deep = {"quote": deep}
    assert (await peer.deliver(ben, request(peer, ben, first.iri, peer.note(ben, "d") | {"tag": deep}))).status == 400
    assert await count(us, first) == 0
    assert (await peer.deliver(ben, request(peer, ben, first.iri, peer.note(ben, "ok", quote=first.iri)))).status == 202
    assert await count(us, first) == 1


# A partner's post quotes another partner's: checked at the quoted author's origin


def stamp(peer: PeerServer, author: Person, quoting: str, quoted: str, **fields: Any) -> str:
    """A QuoteAuthorization that can be read."""
    iri = fields.pop("id", None) or peer.new_id("stamps")
    kind = fields.pop("type", "https://w3id.org/fep/044f#QuoteAuthorization")
    gts = "https://gotosocial.org/ns#"
    names = ("interactingObject", "interactionTarget")
    terms = {name: {"@id": f"gts:{name}", "@type": "@id"} for name in names}
    peer.documents[iri.removeprefix(f"https://{peer.host}")] = {
        "@context": ["https://www.w3.org/ns/activitystreams", {"gts": gts, **terms}],
        "id": iri, "type": kind, "attributedTo": author.id, "interactingObject": quoting, "interactionTarget": quoted,
    } | fields  # fmt: skip
    return str(iri)


async def arrives(us: Us, peer: PeerServer, ben: Person, note: Document, approval: str | None) -> QuoteState:
    """A quoting post comes in, is checked, and is …"""
    if approval is not None:
        note["quoteAuthorization"] = approval
    await took(peer, ben, peer.activity("Create", ben, note))
    await us.settle()
    return await state(us, note["id"])


@pytest.mark.spec("R97")
async def test_a_stamp_is_believed_as_read_at_the_quoted_authors_origin(
    us: Us, peer: PeerServer, third: PeerServer
) -> None:
    ben, cy, eve = await met(us, peer), await met(us, third, "cy"), await met(us, third, "eve")
    quoted, other = third.note(cy, "quoted"), third.note(cy, "other")

    def quoting() -> Document:
        return peer.note(ben, "look", quote=quoted["id"])

    for kind in ("https://w3id.org/fep/044f#QuoteAuthorization", "https://gotosocial.org/ns#QuoteAuthorization",
                 "QuoteAuthorization"):  # fmt: skip
        note = quoting()
        good = stamp(third, cy, note["id"], quoted["id"], type=kind)
        assert await arrives(us, peer, ben, note, good) is QuoteState.ACCEPTED
    post = await us.find_post(quoted["id"])
    assert post is not None
    assert await count(us, post) == 3
    wrong: dict[str, Callable[[str], str]] = {
        "from the quoter's own host": lambda n: stamp(peer, ben, n, quoted["id"], attributedTo=cy.id),
        "by another author of that host": lambda n: stamp(third, eve, n, quoted["id"]),
        "of another post": lambda n: stamp(third, cy, n, other["id"]),
        "for another quote": lambda n: stamp(third, cy, note["id"], quoted["id"]),
        "that says it is another one": lambda n: stamp(third, cy, n, quoted["id"], id=third.url("/s/1")) + "?x",
        "of another type": lambda n: stamp(third, cy, n, quoted["id"], type="Note"),
        "that is not there": lambda n: third.url("/stamps/none"),
        "that is no document": lambda n: third.url("/users/cy/inbox"),
    }
    for why, make in wrong.items():
        each = quoting()
        found = await arrives(us, peer, ben, each, make(each["id"]))
        assert found in (QuoteState.PENDING, QuoteState.REJECTED), why
    assert await arrives(us, peer, ben, quoting(), None) is QuoteState.PENDING
    assert await count(us, post) == 3
    # of one's own post it needs none
    own = third.note(cy, "myself", quote=quoted["id"])
    assert await arrives(us, third, cy, own, None) is QuoteState.ACCEPTED


@pytest.mark.spec("R99")
async def test_a_stamp_that_is_taken_back_ends_the_quote_for_good(us: Us, peer: PeerServer, third: PeerServer) -> None:
    ben, cy, eve = await met(us, peer), await met(us, third, "cy"), await met(us, third, "eve")
    quoted = third.note(cy, "quoted")
    note = peer.note(ben, "look", quote=quoted["id"])
    good = stamp(third, cy, note["id"], quoted["id"])
    assert await arrives(us, peer, ben, note, good) is QuoteState.ACCEPTED
    await third.deliver(eve, third.activity("Delete", eve, good))  # not hers
    assert (await peer.deliver(ben, peer.activity("Delete", ben, good))).status == 400  # nor his
    assert await state(us, note["id"]) is QuoteState.ACCEPTED
    await took(
        third, cy, third.activity("Delete", cy, {"id": good, "type": "QuoteAuthorization", "attributedTo": cy.id})
    )
    assert await state(us, note["id"]) is QuoteState.REVOKED
    # The quoter sends it again, and the stamp is still served: it was taken back, so it counts no more.
    await took(peer, ben, peer.activity("Update", ben, note | {"quoteAuthorization": good}))
    await us.settle()
    assert await state(us, note["id"]) is QuoteState.REVOKED
    fresh = stamp(third, cy, note["id"], quoted["id"])
    await took(peer, ben, peer.activity("Update", ben, note | {"quoteAuthorization": fresh}))
    await us.settle()
    assert await state(us, note["id"]) is QuoteState.ACCEPTED
    # Read again after a week, and gone: 404 withdraws it as well.
    us.clock.forward(8 * DAY)
    assert await us.write(quotes.recheck) == 1
    await us.settle()
    assert await state(us, note["id"]) is QuoteState.ACCEPTED
    third.documents.pop(fresh.removeprefix("https://third.example"))
    us.clock.forward(8 * DAY)
    await us.write(quotes.recheck)
    await us.settle()
    assert await state(us, note["id"]) is QuoteState.REVOKED
    # One that was taken back before the quote came counts for nothing.
    late = peer.note(ben, "late", quote=quoted["id"])
    old = stamp(third, cy, late["id"], quoted["id"])
    await took(third, cy, third.activity("Delete", cy, old))
    assert await arrives(us, peer, ben, late, old) is QuoteState.REJECTED
    # So do the quoted author's block, and the end of the quoted post.
    second = peer.note(ben, "two", quote=quoted["id"])
    assert await arrives(us, peer, ben, second, stamp(third, cy, second["id"], quoted["id"])) is QuoteState.ACCEPTED
    await took(third, cy, third.activity("Delete", cy, quoted["id"]))
    assert await state(us, second["id"]) is QuoteState.DELETED


@pytest.mark.spec("R95")
async def test_older_spellings_are_read_and_stay_without_consent(us: Us, peer: PeerServer, third: PeerServer) -> None:
    ben, cy = await met(us, peer), await met(us, third, "cy")
    quoted = third.note(cy, "quoted")["id"]
    link = {"type": "Link", "mediaType": 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"',
            "href": quoted, "name": f"RE: {quoted}"}  # fmt: skip
    text = f'<p>look<span class="quote-inline"><br><br>RE: <a href="{quoted}"><span>x</span></a></span></p>'
    for fields in ({"quoteUrl": quoted}, {"quoteUri": quoted}, {"_misskey_quote": quoted}, {"tag": [link]}):
        note = peer.note(ben, "look", **fields) | {"content": text}
        assert await arrives(us, peer, ben, note, None) is QuoteState.PENDING
        found, post = await quote_of(us, note["id"]), await us.find_post(note["id"])
        assert found is not None and found.legacy and found.quoted_iri == quoted
        assert post is not None and post.content.html == "<p>look</p>"
    plain = peer.note(ben, "no quote", tag=[link | {"name": "a page"}]) | {"content": text}
    await took(peer, ben, peer.activity("Create", ben, plain))
    post = await us.find_post(plain["id"])
    assert post is not None and not post.quoting and "quote-inline" in post.content.html
    itself = peer.note(ben, "me")
    itself["quote"] = itself["id"]
    await took(peer, ben, peer.activity("Create", ben, itself))
    assert await quote_of(us, itself["id"]) is None


async def test_a_chain_of_quotes_is_read_only_so_far_and_nobody_on_no_list_is_asked(
    us: Us, peer: PeerServer, third: PeerServer, stranger: PeerServer
) -> None:
    ben, cy = await met(us, peer), await met(us, third, "cy")
    chain = [third.note(cy, "0")]
    for number in range(1, 20):
        chain.append(third.note(cy, str(number), quote=chain[-1]["id"]))
    note = peer.note(ben, "look", quote=chain[-1]["id"])
    await arrives(us, peer, ben, note, None)
    known = [each for each in chain if await us.find_post(each["id"]) is not None]
    assert 1 <= len(known) <= quotes.MAX_DEPTH + 1
    eve = stranger.person("eve")
    before = len(stranger.requests)
    bad = peer.note(ben, "look", quote=stranger.note(eve, "evil")["id"], quoteAuthorization=stranger.url("/s/1"))
    assert await arrives(us, peer, ben, bad, None) is QuoteState.PENDING
    assert len(stranger.requests) == before
    # What claims to be ours and is not here is looked for nowhere.
    ended = [*await us.job_errors(JobState.CANCELLED), *await us.job_errors(JobState.DEAD)]
    ours = peer.note(ben, "look", quote=us.names.post("ana", Id(17)))
    assert await arrives(us, peer, ben, ours, None) is QuoteState.PENDING
    assert [*await us.job_errors(JobState.CANCELLED), *await us.job_errors(JobState.DEAD)] == ended
    # Two posts that quote each other, in one delivery each, come to rest.
    one, two = third.note(cy, "one"), third.note(cy, "two")
    one["quote"], two["quote"] = two["id"], one["id"]
    assert await arrives(us, third, cy, one, None) is QuoteState.ACCEPTED
    assert await state(us, two["id"]) is QuoteState.ACCEPTED


# We ask


async def quoting(us: Us, peer: PeerServer, ana: Actor, ben: Person, **fields: Any) -> tuple[Document, Post]:
    """ana quotes a post of ben's."""
    note = peer.note(ben, "quotable", interactionPolicy=TO_ANYBODY, **fields)
    await took(peer, ben, peer.activity("Create", ben, note))
    quoted = await us.find_post(note["id"])
    assert quoted is not None
    return note, await us.post(ana, "look", reach=None, quoted_id=quoted.id)


@pytest.mark.spec("R96")
async def test_a_quote_counts_only_after_accept_with_result(us: Us, peer: PeerServer, worker: Worker) -> None:
    ana, ben, eve = await us.person(), await met(us, peer), await met(us, peer, "eve")
    note, made = await quoting(us, peer, ana, ben)
    await worker.idle()
    (asked,) = answers(peer, "QuoteRequest")
    assert (asked["object"], asked["instrument"]["id"]) == (note["id"], made.iri)
    instrument = asked["instrument"]
    assert {instrument[k] for k in ("quote", "quoteUri", "quoteUrl", "_misskey_quote")} == {note["id"]}
    assert [t["href"] for t in instrument["tag"] if t["type"] == "Link"] == [note["id"]]
    assert 'class="quote-inline">RE: <a' in instrument["content"]
    assert "quoteAuthorization" not in instrument
    good = peer.new_id("stamps")

    async def answer(person: Person, kind: str, **fields: Any) -> QuoteState:
        await took(peer, person, peer.activity(kind, person, asked["id"], **fields))
        await worker.idle()
        return await state(us, made.iri)

    assert await answer(eve, "Accept", result=good) is QuoteState.PENDING  # somebody else's word
    assert await answer(ben, "Accept") is QuoteState.PENDING  # without a stamp
    assert await answer(ben, "Accept", result="https://third.example/stamps/1") is QuoteState.PENDING
    early = peer.new_id("stamps")
    await took(peer, ben, peer.activity("Delete", ben, early))
    assert await answer(ben, "Accept", result=early) is QuoteState.PENDING  # it was taken back before it came
    assert await answer(ben, "Accept", result=good) is QuoteState.ACCEPTED
    (update,) = answers(peer, "Update")
    assert update["object"]["quoteAuthorization"] == good
    shown = (await peer.fetch(ben, made.iri)).json
    assert shown["quoteAuthorization"] == good
    # A late Reject takes it back, and so does Delete of the stamp; a replayed Accept brings nothing back.
    await took(peer, ben, peer.activity("Delete", ben, good))
    await worker.idle()
    assert await state(us, made.iri) is QuoteState.REVOKED
    assert await answer(ben, "Accept", result=good) is QuoteState.REVOKED
    assert "quote" not in (await peer.fetch(ben, made.iri)).json
    _, second = await quoting(us, peer, ana, ben)
    await worker.idle()
    asked = answers(peer, "QuoteRequest")[-1]
    made = second
    assert await answer(ben, "Reject") is QuoteState.REJECTED
    # spec: R99 — a block by the quoted author
    _, made = await quoting(us, peer, ana, ben)
    await worker.idle()
    asked = answers(peer, "QuoteRequest")[-1]
    assert await answer(ben, "Accept", result=peer.new_id("stamps")) is QuoteState.ACCEPTED
    await took(peer, ben, peer.activity("Block", ben, str(ana.iri)))
    assert await state(us, made.iri) is QuoteState.REVOKED


@pytest.mark.spec("R100")
async def test_our_posts_say_who_may_quote_them(us: Us, peer: PeerServer) -> None:
    ana, ben = await us.person(), await met(us, peer)
    followers, me = us.names.followers("ana"), str(ana.iri)
    for rule, said in ((ANYBODY, followers), (FOLLOWERS, followers), (None, me)):
        post = await us.post(ana, "x", quote_rule=rule)
        found = (await peer.fetch(ben, post.iri)).json["interactionPolicy"]
        # as:Public is not named to a partner whose terms do not allow it
        assert found == {"canQuote": {"automaticApproval": [said], "manualApproval": []}}


@pytest.mark.spec("R101")
async def test_policies_are_read_in_all_their_spellings(us: Us, peer: PeerServer) -> None:
    ben = await met(us, peer)
    fans = ben.followers
    for stated, expected in (
        ({"canReply": {"automaticApproval": PUBLIC}}, 0x01_01_01_00),
        ({"canReply": {"always": [fans], "approvalRequired": "as:Public"}}, 0x01_01_12_00),
        ({"canAnnounce": {"automaticApproval": [ben.id]}, "canLike": {"always": ben.id}}, 0x00_00_01_00),
        ({"canQuote": {"manualApproval": [fans]}}, 0x01_01_01_20),
        ({"canQuote": {"automaticApproval": [ben.id + "/following", peer.url("/users/eve")]}}, 0x01_01_01_0C),
        ({"canReply": [], "canLike": 7, "canQuote": {}}, 0x01_01_01_00),
        ([], 0x01_01_01_00),
    ):  # fmt: skip
        note = peer.note(ben, "p", interactionPolicy=stated)
        await took(peer, ben, peer.activity("Create", ben, note))
        post = await us.find_post(note["id"])
        assert post is not None
        assert f"{post.interaction_policy:08x}" == f"{expected:08x}", stated
    await took(peer, ben, peer.activity("Update", ben, note | {"interactionPolicy": TO_ANYBODY}))
    post = await us.find_post(note["id"])
    assert post is not None and post.interaction_policy == 0x01_01_01_01


@pytest.mark.spec("R102")
async def test_an_answer_that_needs_approval_waits_for_it(us: Us, peer: PeerServer, worker: Worker) -> None:
    ana, amy, ben = await us.person(), await us.person("amy"), await met(us, peer)
    cy = await met(us, peer, "cy")
    await us.write(relations.follow, us.site, amy, ana.id)
    await follow(us, amy, ben.id)  # answers are shown to those who follow both
    note = peer.note(ben, "policed", interactionPolicy={"canReply": {"always": [ben.id], "approvalRequired": [PUBLIC]}})
    await took(peer, ben, peer.activity("Create", ben, note))
    answered = await us.find_post(note["id"])
    assert answered is not None
    made = await us.post(ana, "@cy@peer.example @amy hello", reach=None, in_reply_to_id=answered.id)
    await us.write(post_services.edit, us.site, ana, made.id, Draft("@cy@peer.example @amy hello again"))
    await worker.idle()

    async def seen_by_amy() -> bool:
        return await us.database.read(posts.visible, made.id, amy.id) is not None

    sent = [b for b in peer.received if b["type"] == "Create"]
    assert [(b["to"], b["cc"]) for b in sent] == [([ben.id], [])]
    assert not await seen_by_amy() and made.id not in await us.home(amy)
    approval = peer.new_id("approvals")
    asked = {
        "type": "ReplyRequest",
        "id": peer.new_id(),
        "actor": str(ana.iri),
        "object": note["id"],
        "instrument": made.iri,
    }
    await took(peer, cy, peer.activity("Accept", cy, asked, result=approval))
    await took(peer, ben, peer.activity("Reject", ben, asked, result=approval))
    assert not await seen_by_amy()
    await took(peer, ben, peer.activity("Accept", ben, asked, result=approval))
    await worker.idle()
    assert await seen_by_amy() and made.id in await us.home(amy)
    wide = [b for b in peer.received if b["type"] == "Create"][-1]["object"]
    assert (wide["approvedBy"], wide["replyAuthorization"]) == (approval, approval)
    assert cy.id in [*wide["to"], *wide["cc"]]


# Whole servers


async def test_two_houses_quote_each_other(tmp_path: Path) -> None:
    async with new_world(tmp_path) as world:
        terms = {"public_addressing": True}
        clinic = await world.org("clinic.example", [{"domain": "lab.example", **terms}])
        lab = await world.org("lab.example", [{"domain": "clinic.example", **terms}])
        ana, ben = await clinic.person("ana"), await lab.person("ben")
        await ben.follow(ana.handle)
        await ana.follow(ben.handle)
        await world.settle()
        said = await ana.say("from the clinic", reach="partners")
        await world.settle()
        here = await ben.status(said["uri"])
        assert here is not None and here["quote_approval"]["current_user"] == "automatic"
        made = await ben.say("look", quoted_status_id=here["id"])
        assert made["quote"]["state"] == "pending"
        await world.settle()

        async def states(where: Org) -> str:
            person = ana if where is clinic else ben
            found = await person.status(made["uri"])
            assert found is not None
            return str(found["quote"]["state"])

        assert [await states(lab), await states(clinic)] == ["accepted", "accepted"]
        assert ("quote", "ben@lab.example") in await ana.notifications()
        assert "quote-inline" in (await ana.status(made["uri"]) or {})["content"]
        there = await ana.status(made["uri"])
        original = await clinic.post(said["uri"])
        assert there is not None and original is not None
        await ana.do(f"/api/v1/statuses/{original.id}/quotes/{there['id']}/revoke")
        await world.settle()
        assert [await states(lab), await states(clinic)] == ["revoked", "revoked"]
        made = await ben.say("again", quoted_status_id=here["id"])
        await world.settle()
        assert await states(clinic) == "accepted"
        await ana.delete(said)
        await world.settle()
        assert [await states(lab), await states(clinic)] == ["deleted", "deleted"]
        # Of somebody who is suspended nothing comes in, and nothing is answered.
        second = await ana.say("second", reach="partners")
        await world.settle()
        there = await ben.status(second["uri"])
        assert there is not None
        await clinic.write(accounts.suspend, await clinic.actor(ben.iri), "test")
        made = await ben.say("thrice", quoted_status_id=there["id"])
        await world.settle()
        assert await clinic.post(made["uri"]) is None
        assert await states(lab) == "pending"
