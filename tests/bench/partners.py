"""The simulated partner world: hosts, actors with keys, and their signed requests, made before any clock starts."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

from fedishare.activitypub.keys import PrivateKey, generate_rsa, load_private_pem
from fedishare.activitypub.signatures import sign_cavage
from fedishare.model.activities import RemoteActor
from fedishare.model.actors import ActorKey, ActorKind, Endpoints, Profile
from fedishare.model.ids import Domain, Iri, Millis

WRITING_HOSTS = 20
WRITERS_PER_HOST = 50
READING_HOSTS = 200
READERS_PER_HOST = 5
KEYS = 32
"""Different keys in the world; actors share them, because making one takes as long as 150 signatures."""
_CONTEXT = [
    "https://www.w3.org/ns/activitystreams",
    {
        "ostatus": "http://ostatus.org#",
        "atomUri": "ostatus:atomUri",
        "inReplyToAtomUri": "ostatus:inReplyToAtomUri",
        "conversation": "ostatus:conversation",
        "sensitive": "as:sensitive",
        "toot": "http://joinmastodon.org/ns#",
        "votersCount": "toot:votersCount",
        "Hashtag": "as:Hashtag",
    },
]
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"


@dataclass(frozen=True, slots=True)
class Person:
    """A partner's actor. ``key`` is the number of its key."""

    host: Domain
    name: str
    key: int
    shared_inbox: bool = True

    @property
    def iri(self) -> Iri:
        """Its id."""
        return Iri(f"http://{self.host}/users/{self.name}")

    @property
    def key_id(self) -> str:
        """The id of its key."""
        return f"{self.iri}#main-key"


@dataclass(frozen=True, slots=True)
class World:
    """Everybody outside. All hosts are names of one port, where `tests.bench.receiver` listens."""

    port: int
    private: tuple[str, ...]
    """Keys as PEM."""
    public: tuple[str, ...]
    writers: tuple[Person, ...]
    """Whom the local reader follows."""
    singles: tuple[Person, ...]
    """Followers that have inboxes of their own only."""
    sharers: tuple[Person, ...]
    """Followers whose hosts have a shared inbox."""

    @property
    def hosts(self) -> list[Domain]:
        """Every host."""
        return list(dict.fromkeys(p.host for p in (*self.writers, *self.singles, *self.sharers)))

    def remote(self, person: Person) -> RemoteActor:
        """What the person's actor document says."""
        iri = person.iri
        return RemoteActor(
            iri=iri, host=person.host, name=person.name, kind=ActorKind.PERSON,
            profile=Profile(display_name=person.name.title(), summary="<p>Somebody at a partner.</p>"),
            endpoints=Endpoints(
                Iri(f"{iri}/inbox"), Iri(f"{iri}/outbox"), Iri(f"{iri}/followers"), Iri(f"{iri}/following"),
                Iri(f"http://{person.host}/inbox") if person.shared_inbox else None,
            ),
            keys=(ActorKey(person.key_id, iri, "rsa", self.public[person.key]),),
            url=f"http://{person.host}/@{person.name}",
        )  # fmt: skip


def make(port: int) -> World:
    """The world, with fresh keys."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        pairs = list(pool.map(_key_pair, range(KEYS)))
    return World(
        port, tuple(private for private, _ in pairs), tuple(public for _, public in pairs),
        writers=_people(port, "w", "writer", WRITING_HOSTS, WRITERS_PER_HOST, True),
        singles=_people(port, "r", "single", READING_HOSTS, READERS_PER_HOST, False),
        sharers=_people(port, "s", "sharer", READING_HOSTS, READERS_PER_HOST, True),
    )  # fmt: skip


def _people(port: int, letter: str, name: str, hosts: int, each: int, shared: bool) -> tuple[Person, ...]:
    return tuple(
        Person(Domain(f"{letter}{h:03}.localhost:{port}"), f"{name}{n:02}", (h * each + n) % KEYS, shared)
        for n in range(each)
        for h in range(hosts)
    )


def _key_pair(_: int) -> tuple[str, str]:
    key = generate_rsa()
    return key.pem(), key.public().pem()


def note_iri(person: Person, number: int) -> Iri:
    """The id of a person's note."""
    return Iri(f"{person.iri}/statuses/{number}")


def create_note(person: Person, number: int) -> bytes:
    """A Create of a public Note, as large and as worded as a widespread server writes it."""
    iri, note = person.iri, note_iri(person, number)
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = (
        f"<p>Measurement {number}: the centrifuge is free from ten o&#39;clock on, and the results of yesterday are in "
        f'the usual place. <a href="http://{person.host}/tags/lab" class="mention hashtag" rel="tag">#<span>lab</span>'
        "</a></p>"
    )
    body = {
        "@context": _CONTEXT,
        "id": f"{note}/activity",
        "type": "Create",
        "actor": iri,
        "published": when,
        "to": [PUBLIC],
        "cc": [f"{iri}/followers"],
        "object": {
            "id": note,
            "type": "Note",
            "summary": None,
            "inReplyTo": None,
            "published": when,
            "url": f"http://{person.host}/@{person.name}/{number}",
            "attributedTo": iri,
            "to": [PUBLIC],
            "cc": [f"{iri}/followers"],
            "sensitive": False,
            "atomUri": note,
            "inReplyToAtomUri": None,
            "conversation": f"tag:{person.host},2027-01-01:objectId={number}:objectType=Conversation",
            "content": text,
            "contentMap": {"en": text},
            "attachment": [],
            "tag": [{"type": "Hashtag", "href": f"http://{person.host}/tags/lab", "name": "#lab"}],
            "replies": {
                "id": f"{note}/replies",
                "type": "Collection",
                "first": {
                    "type": "CollectionPage",
                    "next": f"{note}/replies?only_other_accounts=true&page=true",
                    "partOf": f"{note}/replies",
                    "items": [],
                },
            },
        },
    }
    return json.dumps(body).encode()


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A request to be signed by ``person``. Without ``body`` it is a GET."""

    person: Person
    url: str
    body: bytes | None = None


def sign_all(world: World, requests: Sequence[Unsigned]) -> list[bytes]:
    """The requests as bytes for the wire, signed in several processes."""
    size = 250
    parts = [requests[at : at + size] for at in range(0, len(requests), size)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return [made for part in pool.map(_sign, [world.private] * len(parts), parts) for made in part]


@cache
def _private_key(pem: str) -> PrivateKey:
    return load_private_pem(pem)


def _sign(private: tuple[str, ...], requests: Iterable[Unsigned]) -> list[bytes]:
    made = []
    for request in requests:
        body, person = request.body, request.person
        headers = sign_cavage(
            "GET" if body is None else "POST", request.url, body, person.key_id, _private_key(private[person.key]),
            Millis(time.time_ns() // 1_000_000), None if body is None else "application/activity+json",
        )  # fmt: skip
        target = "/" + request.url.split("/", 3)[3]
        if body is None:
            head = f"GET {target} HTTP/1.1\r\nAccept: application/activity+json\r\n"
        else:
            head = f"POST {target} HTTP/1.1\r\nContent-Length: {len(body)}\r\n"
        head += "User-Agent: Partner/4.3.0\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers.items())
        made.append(head.encode() + b"\r\n" + (body or b""))
    return made
