"""Effects: what an activity of a partner does here, what it must not do, and that Undo takes it back."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from fedishare.activitypub import effects
from fedishare.activitypub.addressing import followers_digest
from fedishare.model import activities
from fedishare.model.actors import ActorKind, ActorState, FollowState
from fedishare.model.ids import Domain, Millis
from fedishare.model.posts import LOCAL, PARTNERS, Poll, PollOption, Post, Reach, Visibility
from fedishare.services import accounts
from fedishare.services import relations as relation_services
from fedishare.store import actors, interactions, posts, relations
from fedishare.store.interactions import Kind
from fedishare.store.jobs import JobState
from tests.support.builders import REPORTS, Us, follow, followed_by, server
from tests.support.clock import DAY, HOUR, MINUTE, Clock
from tests.support.internet import PretendInternet
from tests.support.peer import AS2, PUBLIC, PeerServer, Person


async def met(us: Us, peer: PeerServer, name: str = "ben", **fields: Any) -> Person:
    """A partner's actor that we know already."""
    person = peer.person(name, **fields)
    answer = await peer.deliver(person, peer.activity("Dance", person, person.id))
    assert answer.status == 202
    return person


async def took(peer: PeerServer, person: Person, activity: dict[str, Any]) -> None:
    """An activity is answered 202."""
    answer = await peer.deliver(person, activity)
    assert answer.status == 202, answer.body


async def follow_of(us: Us, follower: str, followee: str) -> FollowState | None:
    """The state of a follow."""
    one, other = await us.actor(follower), await us.actor(followee)
    made = await us.database.read(relations.follow, one.id, other.id)
    return made.state if made else None


async def favourites(us: Us, post: Post) -> int:
    """How many favourites a post counts."""
    found = await us.find_post(post.iri)
    assert found is not None
    return found.favourites_count


# Follows


@pytest.mark.spec("R16", "R18", "R19", "R111")
@pytest.mark.parametrize("kind", [kind.value for kind in ActorKind])
async def test_follow_is_accepted_and_undone(us: Us, peer: PeerServer, kind: str) -> None:
    ana, ben = await us.person("ana"), await met(us, peer, kind=kind)
    wanted = peer.activity("Follow", ben, ana.iri)
    await took(peer, ben, wanted)
    assert await follow_of(us, ben.id, ana.iri) is FollowState.ACCEPTED
    (answer,) = await us.queued("federate")
    assert (answer["type"], answer["accepted"], answer["follow_iri"]) == ("answer", True, wanted["id"])
    assert (await us.actor(ana.iri)).followers_count == 1
    assert [n[0] for n in await us.notifications(ana)] == ["follow"]
    # nobody follows the instance, or people who are not here
    for target in (us.names.instance_actor(), us.names.actor("nobody"), peer.person("mia").id):
        await took(peer, ben, peer.activity("Follow", ben, target))
    assert len(await us.queued("federate")) == 1
    assert (await us.counts())[4] == 1
    await took(peer, ben, peer.activity("Undo", ben, wanted))
    assert await follow_of(us, ben.id, ana.iri) is None
    assert (await us.actor(ana.iri)).followers_count == 0
    assert await us.notifications(ana) == []


@pytest.mark.spec("R18", "R19", "R113")
async def test_follow_ids_that_are_used_again(us: Us, peer: PeerServer, clock: Clock) -> None:
    """Some peers name each Follow of one person by another alike, and its Undo, too."""
    ana, ben = await us.person("ana"), await met(us, peer)
    wanted = peer.activity("Follow", ben, ana.iri)
    undo = peer.activity("Undo", ben, wanted)
    for _ in range(3):
        for _ in range(2):
            await took(peer, ben, wanted)
            assert await follow_of(us, ben.id, ana.iri) is FollowState.ACCEPTED
        for _ in range(2):
            await took(peer, ben, undo)
            assert await follow_of(us, ben.id, ana.iri) is None
        await took(peer, ben, wanted)  # so soon it is the first one, delivered once more
        assert await follow_of(us, ben.id, ana.iri) is None
        clock.forward(3 * MINUTE)
    assert len(await us.queued("federate")) == 3


@pytest.mark.spec("R18")
@pytest.mark.parametrize("form", ["embedded", "bare id", "invented inner id", "without inner id"])
async def test_undo_of_each_kind(us: Us, peer: PeerServer, form: str) -> None:
    ana, ben, mia = await us.person("ana"), await met(us, peer, "ben"), await met(us, peer, "mia")
    post = await us.post(ana)
    done = {
        "Follow": peer.activity("Follow", ben, ana.iri),
        "Like": peer.activity("Like", ben, post.iri),
        "Announce": peer.activity("Announce", ben, post.iri, to=[PUBLIC]),
        "Block": peer.activity("Block", ben, ana.iri),
    }

    async def state() -> tuple[Any, ...]:
        found = await us.find_post(post.iri)
        assert found is not None
        one, other = await us.actor(ben.id), await us.actor(ana.iri)
        blocked = await us.database.read(relations.is_blocked, one.id, other.id)
        return await follow_of(us, ben.id, ana.iri), found.favourites_count, found.boosts_count, blocked

    nothing = await state()
    for kind, activity in done.items():
        await took(peer, ben, activity)
        assert await state() != nothing
        inner: Any = {key: value for key, value in activity.items() if key != "@context"}
        if form == "bare id":
            inner = activity["id"]
        elif form == "invented inner id":
            inner["id"] = peer.new_id("invented")
        elif form == "without inner id":
            del inner["id"]
        # somebody else cannot take it back, in whatever form
        theirs = inner if isinstance(inner, str) else {**inner, "actor": mia.id}
        answer = await peer.deliver(mia, peer.activity("Undo", mia, theirs))
        assert answer.status in (202, 400)
        assert await state() != nothing
        await took(peer, ben, peer.activity("Undo", ben, inner))
        assert await state() == nothing, kind


@pytest.mark.spec("R17")
@pytest.mark.parametrize("form", ["embedded", "bare id", "invented inner id", "the follower"])
async def test_accept_and_reject_are_matched(us: Us, peer: PeerServer, form: str) -> None:
    ana, ben, mia = await us.person("ana"), await met(us, peer, "ben"), await met(us, peer, "mia")
    made = await us.write(relation_services.follow, us.site, ana, (await us.actor(ben.id)).id)
    inner: Any = {"id": made.iri, "type": "Follow", "actor": ana.iri, "object": ben.id}
    if form == "bare id":
        inner = made.iri
    elif form == "invented inner id":
        inner["id"] = peer.new_id("invented")
    elif form == "the follower":
        inner = ana.iri
    await peer.deliver(mia, peer.activity("Accept", mia, inner))
    assert await follow_of(us, ana.iri, ben.id) is FollowState.PENDING
    await took(peer, ben, peer.activity("Accept", ben, inner))
    assert await follow_of(us, ana.iri, ben.id) is FollowState.ACCEPTED
    await peer.deliver(mia, peer.activity("Reject", mia, inner))
    assert await follow_of(us, ana.iri, ben.id) is FollowState.ACCEPTED
    await took(peer, ben, peer.activity("Reject", ben, inner))
    assert await follow_of(us, ana.iri, ben.id) is None


@pytest.mark.spec("R113")
async def test_a_locked_account_answers_when_its_owner_decides(us: Us, peer: PeerServer) -> None:
    ana, ben = await us.person("ana", locked=True), await met(us, peer)
    for _ in range(2):
        await took(peer, ben, peer.activity("Follow", ben, ana.iri))
        assert await follow_of(us, ben.id, ana.iri) is FollowState.PENDING
    assert [n[0] for n in await us.notifications(ana)] == ["follow_request"]
    assert await us.queued("federate") == []
    await us.write(relation_services.answer_request, ana, (await us.actor(ben.id)).id, True)
    await took(peer, ben, peer.activity("Follow", ben, ana.iri))
    assert await follow_of(us, ben.id, ana.iri) is FollowState.ACCEPTED
    await us.write(relation_services.remove_follower, ana, (await us.actor(ben.id)).id)
    assert await follow_of(us, ben.id, ana.iri) is None
    assert [a["accepted"] for a in await us.queued("federate")] == [True, True, False]


@pytest.mark.spec("R46", "R45")
async def test_block_ends_follows_in_both_directions(us: Us, peer: PeerServer) -> None:
    ana, ben = await us.person("ana"), await met(us, peer)
    await follow(us, ana, ben.id)
    await followed_by(us, ana, ben.id)
    block = peer.activity("Block", ben, ana.iri)
    await took(peer, ben, block)
    assert await follow_of(us, ana.iri, ben.id) is await follow_of(us, ben.id, ana.iri) is None
    await took(peer, ben, peer.activity("Undo", ben, block))
    # what somebody here blocks has no effect
    await us.write(relation_services.block, us.site, ana, (await us.actor(ben.id)).id)
    post = await us.post(ana)
    for activity in (
        peer.activity("Follow", ben, ana.iri),
        peer.activity("Like", ben, post.iri),
        peer.activity("Announce", ben, post.iri, to=[PUBLIC]),
        peer.create(ben, "hey", inReplyTo=post.iri),
        peer.create(ben, "hey you", tag=[{"type": "Mention", "href": ana.iri}], to=[ana.iri]),
    ):
        await took(peer, ben, activity)
    assert await follow_of(us, ben.id, ana.iri) is None
    found = await us.find_post(post.iri)
    assert found is not None
    assert (found.favourites_count, found.boosts_count, found.replies_count) == (0, 0, 0)
    assert await us.notifications(ana) == []
    assert (await peer.fetch(ben, ana.iri)).status == 403
    assert [a["accepted"] for a in await us.queued("federate") if a["type"] == "answer"][-1] is False


# Posts


@pytest.mark.spec("R20", "R21", "R22", "R44")
@pytest.mark.parametrize(
    ("to", "cc", "visibility"),
    [
        ([PUBLIC], [], Visibility.PUBLIC),
        ("as:Public", None, Visibility.PUBLIC),
        (["F"], ["Public"], Visibility.UNLISTED),
        ({"id": "F"}, PUBLIC, Visibility.UNLISTED),
        (["F"], ["A"], Visibility.PRIVATE),
        ("F", [], Visibility.PRIVATE),
        (["A"], [], Visibility.DIRECT),
        ([], [], Visibility.DIRECT),
    ],
)
async def test_visibility_follows_the_addressing(
    us: Us, peer: PeerServer, to: Any, cc: Any, visibility: Visibility
) -> None:
    ana, bob, ben = await us.person("ana"), await us.person("bob"), await met(us, peer)
    await follow(us, ana, ben.id)

    def named(value: Any) -> Any:
        text = json.dumps(value).replace('"F"', json.dumps(ben.followers)).replace('"A"', json.dumps(ana.iri))
        return json.loads(text)

    create = peer.create(ben, "for some", to=named(to), cc=named(cc))
    await took(peer, ben, create)
    post = await us.find_post(create["object"]["id"])
    assert post is not None and post.visibility is visibility
    assert post.reach == LOCAL  # what we received we never pass on
    sees = {name: await us.database.read(posts.visible, post.id, a.id) is not None for name, a in
            (("ana", ana), ("bob", bob))}  # fmt: skip
    assert sees["bob"] is (visibility < Visibility.PRIVATE)
    assert sees["ana"] is (visibility < Visibility.DIRECT or "A" in json.dumps([to, cc]))
    assert (post.id in await us.home(ana)) is (visibility < Visibility.DIRECT or "A" in json.dumps([to, cc]))
    # nobody at a partner's reads it here, not even its author's colleagues
    assert (await peer.fetch(ben, post.iri.replace("peer.example", "ours.example"))).status == 404


@pytest.mark.spec("R70", "R69")
async def test_a_mention_is_a_tag(us: Us, peer: PeerServer) -> None:
    ana, bob, ben = await us.person("ana"), await us.person("bob"), await met(us, peer)
    tag = [{"type": "Mention", "href": ana.iri, "name": "@ana@ours.example"}]
    await took(peer, ben, peer.create(ben, "something else", tag=tag, cc=[ana.iri]))
    await took(peer, ben, peer.create(ben, f"@bob@ours.example {bob.iri}"))
    assert [n[0] for n in await us.notifications(ana)] == ["mention"]
    assert await us.notifications(bob) == []


@pytest.mark.spec("R32", "R35")
async def test_an_embedded_object_is_believed_from_its_owner_only(us: Us, peer: PeerServer, third: PeerServer) -> None:
    ben, carla = await met(us, peer), third.person("carla")
    theirs = third.note(carla, "as it is at its origin")
    lie = {**theirs, "content": "<p>a lie</p>"}
    await took(peer, ben, peer.activity("Create", ben, lie))
    stolen = {**peer.note(ben), "attributedTo": carla.id}
    await took(peer, ben, peer.activity("Create", ben, stolen))
    assert (await us.counts())[2] == 0
    await us.settle()
    post = await us.find_post(theirs["id"])
    assert post is not None and "as it is at its origin" in post.content.html
    assert post.author_id == (await us.actor(carla.id)).id
    # Create by bare id is read, too
    note = peer.note(ben, "read later")
    await took(peer, ben, peer.activity("Create", ben, note["id"], to=[PUBLIC]))
    await us.settle()
    assert await us.find_post(note["id"]) is not None


@pytest.mark.spec("R78")
async def test_a_thread_is_read_upwards_to_a_limit(us: Us, peer: PeerServer) -> None:
    ben = await met(us, peer)
    limit = us.instance.config.limits.thread_depth
    notes = [peer.note(ben, "root")]
    for number in range(limit + 2):
        notes.append(peer.note(ben, f"answer {number}", inReplyTo=notes[-1]["id"]))
    await took(peer, ben, peer.create(ben, "the newest", inReplyTo=notes[-1]["id"]))
    await us.settle()
    known = [await us.find_post(note["id"]) is not None for note in notes]
    assert known == [False] * 3 + [True] * limit
    newest = await us.find_post(notes[-1]["id"])
    assert newest is not None and len(await us.database.read(posts.ancestors, newest.id)) == limit - 1
    assert newest.replies_count == 1


@pytest.mark.spec("R80", "R81", "R36", "R35")
async def test_update_of_a_post(us: Us, peer: PeerServer) -> None:
    ben, mia = await met(us, peer, "ben"), await met(us, peer, "mia")
    create = peer.create(ben, "one")
    note = create["object"]
    await took(peer, ben, create)

    async def update(person: Person = ben, status: int = 202, **fields: Any) -> Post:
        activity = peer.activity("Update", person, {**note, **fields}, to=[PUBLIC])
        assert (await peer.deliver(person, activity)).status == status
        found = await us.find_post(note["id"])
        assert found is not None
        return found

    assert "one" in (await update(content="<p>no newer date</p>")).content.html
    edited = await update(content="<p>two</p>", updated="2024-05-02T10:00:00Z", tag=[{"type": "Hashtag", "name": "#x"}])
    assert "two" in edited.content.html and edited.content.hashtags == ("x",)
    assert edited.published == Millis(1714557600000) and edited.edited_at == Millis(1714644000000)
    assert len(await us.database.read(posts.edits, edited.id)) == 1
    assert "two" in (await update(content="<p>older</p>", updated="2024-05-01T12:00:00Z")).content.html
    # by somebody else, of another type or for another author: nothing
    assert "two" in (await update(mia, content="<p>mine</p>", updated="2024-05-03T10:00:00Z")).content.html
    taken = await update(mia, content="<p>mine</p>", updated="2024-05-03T10:00:00Z", attributedTo=mia.id, status=403)
    assert taken.author_id == edited.author_id and "two" in taken.content.html
    await peer.deliver(ben, peer.activity("Update", ben, {"id": note["id"], "type": "Person", "inbox": ben.id}))
    narrowed = await update(content="<p>3</p>", updated="2024-05-04T10:00:00Z", to=[ben.followers], cc=[])
    assert narrowed.visibility is Visibility.PUBLIC and narrowed.kind.value == "Note"


@pytest.mark.spec("R81", "R88")
async def test_update_of_a_question_refreshes_its_counts(us: Us, peer: PeerServer) -> None:
    ben = await met(us, peer)

    def options(*votes: int) -> list[dict[str, Any]]:
        return [
            {"type": "Note", "name": name, "replies": {"type": "Collection", "totalItems": count}}
            for name, count in zip(("yes", "no"), votes, strict=True)
        ]

    create = peer.create(ben, "?", type="Question", oneOf=options(0, 0), endTime="2030-01-01T00:00:00Z")
    await took(peer, ben, create)
    question = {**create["object"], "oneOf": options(3, 4), "votersCount": 7, "content": "<p>changed</p>"}
    await took(peer, ben, peer.activity("Update", ben, question))
    post = await us.find_post(question["id"])
    assert post is not None and post.content.poll is not None
    assert [o.votes for o in post.content.poll.options] == [3, 4] and post.content.poll.voters == 7
    assert "?" in post.content.html and post.edited_at is None


@pytest.mark.spec("R82", "R35")
@pytest.mark.parametrize("form", ["bare id", "Tombstone", "object"])
async def test_delete_for_ever(us: Us, peer: PeerServer, form: str) -> None:
    ana, ben, mia = await us.person("ana"), await met(us, peer, "ben"), await met(us, peer, "mia")
    await follow(us, ana, ben.id)
    create = peer.create(ben, "soon gone", tag=[{"type": "Mention", "href": ana.iri}], cc=[ana.iri])
    note = create["object"]
    ident = note["id"]
    await took(peer, ben, create)
    await took(peer, mia, peer.activity("Announce", mia, ident, to=[PUBLIC]))
    target: Any = {"bare id": ident, "Tombstone": {"type": "Tombstone", "id": ident}, "object": note}[form]
    answer = await peer.deliver(mia, peer.activity("Delete", mia, target))
    assert answer.status in (400, 403)
    assert await us.find_post(ident) is not None
    await took(peer, ben, peer.activity("Delete", ben, target))
    assert await us.find_post(ident) is None
    assert await us.home(ana) == []
    assert await us.notifications(ana) == []
    again = [
        peer.activity("Create", ben, note),
        peer.activity("Update", ben, {**note, "updated": "2024-06-01T00:00:00Z"}),
        peer.activity("Create", ben, ident, to=[PUBLIC]),
        peer.activity("Announce", ben, ident, to=[PUBLIC]),
    ]
    for activity in again:
        await took(peer, ben, activity)
    await took(peer, ben, peer.activity("Announce", ben, us.names.post("ana", ana.id), to=[PUBLIC]))
    assert await us.queued("fetch") == []  # nor do we go and look
    assert await us.find_post(ident) is None
    # Delete before Create: it was under way when it was deleted
    other = peer.create(ben, "overtaken")
    await took(peer, ben, peer.activity("Delete", ben, other["object"]["id"]))
    await took(peer, ben, other)
    assert await us.find_post(other["object"]["id"]) is None


@pytest.mark.spec("R86", "R91")
async def test_a_boost_of_something_unknown_is_read_first(us: Us, peer: PeerServer, third: PeerServer) -> None:
    ana, ben, carla = await us.person("ana"), await met(us, peer), third.person("carla")
    await follow(us, ana, ben.id)
    note = third.note(carla, "worth it")
    for target in (note["id"], {**note, "content": "<p>a lie</p>"}):
        await took(peer, ben, peer.activity("Announce", ben, target, to=[PUBLIC], cc=[]))
        await us.settle()
    post = await us.find_post(note["id"])
    assert post is not None and post.boosts_count == 1 and "worth it" in post.content.html
    (shown,) = await us.home(ana)
    boost = await us.database.read(posts.by_id, shown)
    assert boost is not None and boost.boost_of_id == post.id
    assert boost.author_id == (await us.actor(ben.id)).id


@pytest.mark.spec("R86", "R18")
async def test_a_boost_taken_back_while_its_post_is_read(us: Us, peer: PeerServer) -> None:
    ben, mia = await met(us, peer, "ben"), await met(us, peer, "mia")
    note = peer.note(mia)
    boost = peer.activity("Announce", ben, note["id"], to=[PUBLIC])
    await took(peer, ben, boost)
    await took(peer, ben, peer.activity("Undo", ben, boost["id"]))
    await us.settle()
    post = await us.find_post(note["id"])
    assert post is not None and post.boosts_count == 0
    # nor does one of somebody who was suspended meanwhile
    note = peer.note(mia)
    await took(peer, ben, peer.activity("Announce", ben, note["id"], to=[PUBLIC]))
    await us.write(accounts.suspend, await us.actor(ben.id), "test")
    await us.settle()
    post = await us.find_post(note["id"])
    assert post is not None and post.boosts_count == 0


async def test_a_boost_of_a_strangers_post_makes_no_connection(us: Us, peer: PeerServer, stranger: PeerServer) -> None:
    ben, eve = await met(us, peer), stranger.person("eve")
    us.internet.forget()
    await took(peer, ben, peer.activity("Announce", ben, stranger.note(eve)["id"], to=[PUBLIC]))
    await us.settle()
    assert us.internet.dns_lookups == []
    (reason,) = await us.job_errors(JobState.CANCELLED)
    assert "evil.example is not on the allow-list" in reason


@pytest.mark.spec("R87", "R43")
async def test_nothing_happens_to_posts_that_the_actor_cannot_see(us: Us, peer: PeerServer, third: PeerServer) -> None:
    ana, ben = await us.person("ana"), await met(us, peer)
    carla = await met(us, third, "carla")
    await followed_by(us, ana, ben.id)
    hidden = [
        await us.post(ana, "local", reach=LOCAL),
        await us.post(ana, "for third", reach=Reach(frozenset({Domain("third.example")}))),
        await us.post(ana, "direct", visibility=Visibility.DIRECT),
    ]
    private = await us.post(ana, "followers", visibility=Visibility.PRIVATE)

    def acts(post: Post) -> list[dict[str, Any]]:
        return [
            peer.activity("Like", ben, post.iri),
            peer.activity("Announce", ben, post.iri, to=[PUBLIC]),
            peer.create(ben, "answer", inReplyTo=post.iri),
        ]

    async def touched(post: Post) -> tuple[int, int, int]:
        found = await us.find_post(post.iri)
        assert found is not None
        return found.favourites_count, found.boosts_count, found.replies_count

    for post in hidden:
        for activity in acts(post):
            await took(peer, ben, activity)
        assert await touched(post) == (0, 0, 0)
    for activity in acts(private):
        await took(peer, ben, activity)
    assert await touched(private) == (1, 0, 1)  # followers may like and answer, not boost
    await us.write(actors.set_profile, ana.id, ana.kind, replace(ana.profile, locked=True))
    await took(third, carla, third.activity("Follow", carla, ana.iri))  # asked, and not yet a follower
    await took(third, carla, third.activity("Like", carla, private.iri))
    assert await touched(private) == (1, 0, 1)
    await took(third, carla, third.activity("Like", carla, hidden[1].iri))
    assert await touched(hidden[1]) == (1, 0, 0)


@pytest.mark.spec("R90")
async def test_reactions_are_at_least_a_like(us: Us, peer: PeerServer) -> None:
    ana, ben, mia = await us.person("ana"), await met(us, peer, "ben"), await met(us, peer, "mia")
    post = await us.post(ana)
    await took(peer, ben, peer.activity("EmojiReact", ben, post.iri, content="🎉"))
    await took(peer, ben, peer.activity("Like", ben, post.iri))
    await took(peer, mia, peer.activity("Like", mia, post.iri, content="👍", _misskey_reaction="👍"))
    assert await favourites(us, post) == 2
    assert [n[0] for n in await us.notifications(ana)] == ["favourite", "favourite"]


@pytest.mark.spec("R89")
async def test_votes(us: Us, peer: PeerServer, clock: Clock) -> None:
    ana, ben, mia = await us.person("ana"), await met(us, peer, "ben"), await met(us, peer, "mia")
    poll = Poll((PollOption("yes"), PollOption("no")), ends_at=Millis(clock.now + HOUR))
    post = await us.post(ana, "?", poll=poll)

    async def vote(person: Person, option: str) -> list[int]:
        ballot = {"type": "Note", "id": peer.new_id("votes"), "attributedTo": person.id, "name": option,
                  "inReplyTo": post.iri, "to": [ana.iri]}  # fmt: skip
        await took(peer, person, peer.activity("Create", person, ballot))
        found = await us.find_post(post.iri)
        assert found is not None and found.content.poll is not None and found.replies_count == 0
        return [o.votes for o in found.content.poll.options]

    assert await vote(ben, "yes") == [1, 0]
    assert await vote(ben, "yes") == [1, 0]
    assert await vote(ben, "no") == [1, 0]  # a second option of a single choice
    assert await vote(mia, "Yes") == [1, 0]  # exactly the option
    assert await vote(mia, "no") == [1, 1]
    clock.forward(2 * HOUR)
    carl = await met(us, peer, "carl")
    assert await vote(carl, "no") == [1, 1]


@pytest.mark.spec("R47")
async def test_a_report_from_an_instance_actor(us: Us, peer: PeerServer) -> None:
    ana = await us.person("ana")
    post = await us.post(ana)
    office = await met(us, peer, "peer.example", kind="Application")
    stray = peer.activity("Flag", office, ["https://third.example/users/x"], content="not ours")
    await took(peer, office, stray)
    assert await us.rows(REPORTS) == []
    await took(peer, office, peer.activity("Flag", office, [ana.iri, post.iri], content="<p>rude</p>"))
    ((reporter, target, about, comment),) = await us.rows(REPORTS)
    assert (reporter, target, json.loads(about), comment) == (office.id, ana.id, [post.id], "rude")


@pytest.mark.spec("R107")
async def test_pins(us: Us, peer: PeerServer) -> None:
    ben, mia = await met(us, peer, "ben"), await met(us, peer, "mia")
    create = peer.create(ben)
    await took(peer, ben, create)
    ident = create["object"]["id"]
    actor = await us.actor(ben.id)

    async def pinned() -> int:
        return len(await us.database.read(interactions.mine, actor.id, Kind.PIN))

    featured = ben.document["featured"]
    for person, target in ((mia, featured), (mia, mia.document["featured"]), (ben, f"{ben.id}/other")):
        await took(peer, person, peer.activity("Add", person, ident, target=target))
        assert await pinned() == 0
    await took(peer, ben, peer.activity("Add", ben, ident, target=featured))
    assert await pinned() == 1
    await took(peer, ben, peer.activity("Remove", ben, ident, target=featured))
    assert await pinned() == 0


# Actors


@pytest.mark.spec("R103", "R36")
async def test_update_of_an_actor(us: Us, peer: PeerServer) -> None:
    ben, mia = await met(us, peer, "ben"), await met(us, peer, "mia")
    fresh = {**ben.document, "name": "Benjamin", "summary": "<p>new</p>", "manuallyApprovesFollowers": True}
    answer = await peer.deliver(mia, peer.activity("Update", mia, fresh))
    assert answer.status == 400
    assert (await us.actor(ben.id)).profile.display_name == "Ben"
    await took(peer, ben, peer.activity("Update", ben, fresh))
    profile = (await us.actor(ben.id)).profile
    assert (profile.display_name, profile.locked) == ("Benjamin", True)
    # a new name is believed from WebFinger only
    await took(peer, ben, peer.activity("Update", ben, {**fresh, "preferredUsername": "mia"}))
    ben.document["preferredUsername"] = "mia"
    await us.settle()
    assert (await us.actor(ben.id)).name == "ben"
    assert (await us.actor(mia.id)).name == "mia"


@pytest.mark.spec("R103")
async def test_a_stale_actor_is_read_again_when_seen(us: Us, peer: PeerServer, clock: Clock) -> None:
    ben = await met(us, peer)
    ben.document["name"] = "Benjamin"
    clock.forward(DAY - HOUR)
    await took(peer, ben, peer.create(ben))
    assert await us.queued("fetch") == []
    clock.forward(2 * HOUR)
    for _ in range(3):
        await took(peer, ben, peer.create(ben))
    assert len(await us.queued("fetch")) == 1
    await us.settle()
    assert (await us.actor(ben.id)).profile.display_name == "Benjamin"


@pytest.mark.spec("R85")
async def test_delete_of_an_actor(us: Us, peer: PeerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = await us.person("ana"), await met(us, peer)
    await follow(us, ana, ben.id)
    await followed_by(us, ana, ben.id)
    creates = [peer.create(ben, f"post {number}") for number in range(3)]
    for create in creates:
        await took(peer, ben, create)
    monkeypatch.setattr("fedishare.activitypub.effects.ERASE_AT_ONCE", 2)
    await took(peer, ben, peer.activity("Delete", ben, ben.id))
    assert (await us.actor(ben.id)).state is ActorState.DELETED
    assert await us.home(ana) == []  # hidden at once …
    await us.settle()
    for create in creates:
        assert await us.find_post(create["object"]["id"]) is None  # … and gone soon
    assert await follow_of(us, ana.iri, ben.id) is await follow_of(us, ben.id, ana.iri) is None
    found = await us.actor(ana.iri)
    assert (found.followers_count, found.following_count) == (0, 0)


@pytest.mark.spec("R105")
async def test_move(us: Us, peer: PeerServer, third: PeerServer) -> None:
    ana, old = await us.person("ana"), await met(us, peer, "old")
    new = third.person("new")
    await follow(us, ana, old.id)

    async def moved() -> tuple[FollowState | None, FollowState | None]:
        await us.settle()
        known = await us.find_actor(new.id)
        return await follow_of(us, ana.iri, old.id), await follow_of(us, ana.iri, new.id) if known else None

    async def move(person: Person, target: str) -> int:
        return (await peer.deliver(person, peer.activity("Move", person, old.id, target=target))).status

    mia = await met(us, peer, "mia")
    assert await move(mia, new.id) == 400
    assert await move(old, new.id) == 202
    assert await moved() == (FollowState.ACCEPTED, None)  # neither document says so
    old.document["movedTo"] = new.id
    assert await move(old, new.id) == 202
    assert await moved() == (FollowState.ACCEPTED, None)  # the new one does not
    del old.document["movedTo"]
    new.document["alsoKnownAs"] = [old.id]
    assert await move(old, new.id) == 202
    assert await moved() == (FollowState.ACCEPTED, None)  # the old one does not
    old.document["movedTo"] = new.id
    await us.write(accounts.suspend, await us.actor(new.id), "test")
    assert await move(old, new.id) == 202
    assert await moved() == (FollowState.ACCEPTED, None)  # nobody is led to somebody suspended
    await us.write(accounts.restore, await us.actor(new.id), "test")
    assert await move(old, "https://evil.example/users/new") == 202
    assert await moved() == (FollowState.ACCEPTED, None)
    assert await move(old, new.id) == 202
    assert await moved() == (None, FollowState.PENDING)


@pytest.mark.spec("R105")
async def test_move_to_us(us: Us, peer: PeerServer) -> None:
    old = await met(us, peer, "old")
    ana, bob = await us.person("ana"), await us.person("bob", also_known_as=(old.id,))
    await follow(us, ana, old.id)
    old.document["movedTo"] = ana.iri
    await took(peer, old, peer.activity("Move", old, old.id, target=ana.iri))
    await us.settle()
    assert await follow_of(us, ana.iri, old.id) is FollowState.ACCEPTED
    old.document["movedTo"] = bob.iri
    await took(peer, old, peer.activity("Move", old, old.id, target=bob.iri))
    await us.settle()
    assert await follow_of(us, ana.iri, old.id) is None
    assert await follow_of(us, ana.iri, bob.iri) is FollowState.ACCEPTED


# Groups, forwarding, synchronisation


@pytest.mark.spec("R112")
async def test_a_group_relays_activities(us: Us, peer: PeerServer, third: PeerServer, stranger: PeerServer) -> None:
    ana, group = await us.person("ana"), await met(us, peer, "club", kind="Group")
    carla, eve = third.person("carla"), stranger.person("eve")
    post = await us.post(ana)

    async def relay(activity: dict[str, Any]) -> None:
        await took(peer, group, peer.activity("Announce", group, "", to=[PUBLIC]) | {"object": activity})
        await us.settle()

    # fetchable at its origin: what that says counts, not what the group says
    create = third.create(carla, "in the club", audience=group.id)
    third.documents[create["id"].removeprefix("https://third.example")] = create
    lie = json.loads(json.dumps(create))
    lie["object"]["content"] = "<p>a lie</p>"
    await relay(lie)
    found = await us.find_post(create["object"]["id"])
    assert found is not None and "in the club" in found.content.html
    # only the post can be read
    other = third.create(carla, "the post alone")
    await relay(other)
    assert await us.find_post(other["object"]["id"]) is not None
    # proven by itself
    await relay(third.prove(third.activity("Like", carla, post.iri), carla))
    assert await favourites(us, post) == 1
    # neither readable nor proven; a stranger's; by something that is no group
    await relay(third.activity("Like", carla, (await us.post(ana)).iri))
    us.internet.forget()
    await relay(stranger.prove(stranger.activity("Like", eve, post.iri), eve))
    assert await favourites(us, post) == 1 and us.internet.to("evil.example") == []
    ben = await met(us, peer, "ben")
    await took(peer, ben, peer.activity("Announce", ben, third.create(carla), to=[PUBLIC]))
    assert await us.queued("apply") == []
    # what cannot be read, about a post that is not its actor's
    us.internet.forget()
    await relay(third.activity("Create", carla, stranger.note(eve)))
    await relay(third.activity("Create", carla, peer.note(ben)))
    assert us.internet.to("evil.example") == [] and us.internet.to("peer.example") == []
    # a colleague's activity relayed as if it were carla's
    forged = third.activity("Like", carla, post.iri) | {"id": peer.new_id()}
    peer.documents[forged["id"].removeprefix("https://peer.example")] = forged
    await relay(forged)
    assert await favourites(us, post) == 1


@pytest.mark.spec("R118")
async def test_replies_are_forwarded_within_one_partner_only(us: Us, peer: PeerServer, third: PeerServer) -> None:
    ana, ben, carla = await us.person("ana"), await met(us, peer), await met(us, third, "carla")
    await followed_by(us, ana, ben.id)
    await followed_by(us, ana, carla.id)
    post = await us.post(ana, reach=PARTNERS)

    async def forwards() -> list[dict[str, Any]]:
        return [each for each in await us.queued("federate") if each["type"] == "forward"]

    await took(peer, ben, peer.create(ben, "not to ana's followers", inReplyTo=post.iri))
    assert await forwards() == []
    reply = peer.create(ben, "to ana's followers", inReplyTo=post.iri, cc=[ana.iri + "/followers"])
    await took(peer, ben, reply)
    (forward,) = await forwards()
    assert json.loads(forward["body"]) == reply
    assert (forward["post_id"], forward["origin_host"]) == (post.id, "peer.example")
    # a reply to somebody else's post is none of our business
    theirs = third.create(carla, "theirs")
    await took(third, carla, theirs)
    reply = peer.create(ben, "to carla's followers", inReplyTo=theirs["object"]["id"], cc=[carla.followers])
    await took(peer, ben, reply)
    assert len(await forwards()) == 1


@pytest.mark.spec("R119")
async def test_followers_are_synchronised(us: Us, peer: PeerServer, clock: Clock) -> None:
    ana, bob, ben = await us.person("ana"), await us.person("bob"), await met(us, peer)
    for person in (ana, bob):
        await follow(us, person, ben.id)
    clock.forward(HOUR)
    path = "/users/ben/followers_synchronization"

    async def deliver(digest: str, url: str = peer.url(path), collection: str = ben.followers) -> None:
        header = f'collectionId="{collection}", url="{url}", digest="{digest}"'
        us.federation.rates._buckets.clear()  # compared at most once a minute
        answer = await peer.deliver(ben, peer.create(ben), headers={"collection-synchronization": header})
        assert answer.status == 202

    async def state() -> tuple[FollowState | None, FollowState | None]:
        await us.settle()
        return await follow_of(us, ana.iri, ben.id), await follow_of(us, bob.iri, ben.id)

    both = (FollowState.ACCEPTED, FollowState.ACCEPTED)
    peer.documents[path] = {"@context": AS2, "id": peer.url(path), "type": "OrderedCollection", "orderedItems": []}
    await deliver(followers_digest([ana.iri, bob.iri]))
    assert await us.queued("apply") == []
    await deliver("0" * 64, url="https://third.example/x")
    await deliver("nonsense")
    await deliver("0" * 64, collection="https://third.example/users/x/followers")
    assert await us.queued("apply") == [] and await state() == both
    carl = await us.person("carl")
    peer.documents[path]["orderedItems"] = [ana.iri]
    await follow(us, carl, ben.id)  # under way to them while they counted
    await deliver(followers_digest([ana.iri]))
    assert await state() == (FollowState.ACCEPTED, None)
    assert await follow_of(us, carl.iri, ben.id) is FollowState.ACCEPTED
    header = f'collectionId="{ben.followers}", url="{peer.url(path)}", digest="{"0" * 64}"'
    reads = len(peer.requests)
    await peer.deliver(ben, peer.create(ben), headers={"collection-synchronization": header})
    assert await us.queued("apply") == [] and len(peer.requests) == reads  # at most once a minute


@pytest.mark.spec("R119")
async def test_a_list_that_was_cut_says_nothing_about_who_is_missing(tmp_path: Path, internet: PretendInternet) -> None:
    async with server(tmp_path, internet, limits={"collection_items": 2}) as us:
        peer, clock = PeerServer(internet, "peer.example", us), us.clock
        ana, ben = await us.person("ana"), await met(us, peer)
        await follow(us, ana, ben.id)
        clock.forward(HOUR)
        others = [f"https://ours.example/users/x{number}" for number in range(3)]
        path = "/users/ben/followers_synchronization"
        peer.documents[path] = {"@context": AS2, "id": peer.url(path), "type": "OrderedCollection", "items": others}
        header = f'collectionId="{ben.followers}", url="{peer.url(path)}", digest="{"0" * 64}"'
        await peer.deliver(ben, peer.create(ben), headers={"collection-synchronization": header})
        assert len(await us.queued("apply")) == 1
        await us.settle()
        assert await follow_of(us, ana.iri, ben.id) is FollowState.ACCEPTED


async def test_who_was_suspended_meanwhile_has_no_effect(us: Us, peer: PeerServer) -> None:
    """The state is looked at again inside the transaction, also when the key was still kept."""
    ben = await met(us, peer)
    actor = await us.actor(ben.id)
    flag = activities.ReportContent(None, ((await us.person("ana")).iri,), "x")
    inbound = effects.Inbound(flag, actor.id, "k", "Flag", Domain(ben.host), Domain(ben.host), "partner", 1, b"")
    assert await us.write(effects.record_and_apply, us.site, inbound) is effects.Result.APPLIED
    assert await us.write(effects.record_and_apply, us.site, inbound) is effects.Result.DUPLICATE
    await us.write(accounts.suspend, actor, "test")
    again = replace(inbound, key="k2")
    assert await us.write(effects.record_and_apply, us.site, again) is effects.Result.NOTHING
    assert len(await us.rows(REPORTS)) == 1


def test_every_intent_has_an_effect() -> None:
    """The dispatcher names each of them; one that is forgotten is loud."""
    source = inspect.getsource(effects.apply)
    for intent in get_args(activities.Intent):
        assert f"case {intent.__name__}(" in source
    with pytest.raises(TypeError, match="an intent without an effect"):
        effects.apply(None, None, None, object(), b"")  # type: ignore[arg-type]
