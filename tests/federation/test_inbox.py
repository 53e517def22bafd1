"""The inbox: who is let in, in which order that is found out, and that an activity counts once."""

from __future__ import annotations

import pytest

from fedishare.services import relations
from tests.support.builders import Us
from tests.support.peer import PeerServer, Person


async def follow(us: Us, follower_name: str, person: Person) -> None:
    """A local person follows a partner's actor that we know, and that has accepted."""
    follower, followee = await us.actor(us.names.actor(follower_name)), await us.actor(person.id)
    made = await us.write(relations.follow, us.site, follower, followee.id)
    await us.write(relations.accept, made)


@pytest.mark.spec("R2")
@pytest.mark.parametrize("scheme", ["cavage", "rfc9421"])
async def test_a_signed_create_lands_in_a_home_timeline(us: Us, peer: PeerServer, scheme: str) -> None:
    ana = await us.person("ana")
    ben = peer.person("ben")
    assert (await peer.deliver(ben, peer.create(ben, "first"), scheme=scheme)).status == 202
    await follow(us, "ana", ben)
    answer = await peer.deliver(ben, peer.create(ben, "second"), scheme=scheme)
    assert answer.status == 202
    assert len(await us.home(ana)) == 2
