"""A simulated partner: actors with real keys, documents served on the pretend internet, signed requests to us.

It speaks the protocol with the field's own means (signatures of `fedishare`, because those are tested against published
vectors elsewhere), and misbehaves where a test asks for it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fedishare.activitypub import proofs
from fedishare.activitypub.keys import PrivateKey
from fedishare.activitypub.signatures import RawRequest, parse, sign_cavage, sign_rfc9421, verify
from fedishare.model.errors import SignatureError
from fedishare.model.ids import Millis
from tests.support.builders import Us, ed25519_key, rsa_key
from tests.support.internet import PretendInternet, call_asgi

AS2 = "https://www.w3.org/ns/activitystreams"
PUBLIC = AS2 + "#Public"
TYPE = "application/activity+json"
SIGN = {"cavage": sign_cavage, "rfc9421": sign_rfc9421}
_numbers = itertools.count(20)

Document = dict[str, Any]


@dataclass
class Person:
    """An actor at the simulated partner."""

    host: str
    name: str
    key: PrivateKey
    ed25519: PrivateKey
    document: Document
    key_id: str

    @property
    def id(self) -> str:
        """The actor's id."""
        return str(self.document["id"])

    @property
    def followers(self) -> str:
        """The id of the followers collection."""
        return self.id + "/followers"


@dataclass
class Answer:
    """What we answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass
class PeerServer:
    """One partner's server. ``documents`` maps paths to what a GET answers; ``received`` has what was POSTed to it."""

    internet: PretendInternet
    host: str = "peer.example"
    us: Us | None = None
    documents: dict[str, Document] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    received: list[Document] = field(default_factory=list)
    requests: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    """Paths that answer with a status and nothing else."""
    media_types: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    handles: dict[str, tuple[str, str]] = field(default_factory=dict)
    """WebFinger: ``name@domain`` to (subject, actor id); None for everybody of ``people`` under ``host``."""
    takes: frozenset[str] = frozenset(("cavage", "rfc9421"))
    """The signature schemes that it understands; others are answered 401."""
    secure: bool = True
    refusal: int = 401
    """What a GET is answered whose signature is not taken."""
    refused: int = 0
    query_counts: bool = True
    """Whether the query is part of the target that it checks."""
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.internet.add(self.host, self.app)

    def url(self, path: str) -> str:
        """An address of it."""
        return f"https://{self.host}{path}"

    # people and documents

    def person(self, name: str = "ben", kind: str = "Person", **fields: Any) -> Person:
        """An actor with keys of its own."""
        number = next(_numbers) % 8 + 20
        rsa, ed = rsa_key(number), ed25519_key(number)
        me = self.url(f"/users/{name}")
        document: Document = {
            "@context": [AS2, "https://w3id.org/security/v1"],
            "id": me,
            "type": kind,
            "preferredUsername": name,
            "name": name.title(),
            "inbox": f"{me}/inbox",
            "outbox": f"{me}/outbox",
            "followers": f"{me}/followers",
            "following": f"{me}/following",
            "featured": f"{me}/collections/featured",
            "endpoints": {"sharedInbox": self.url("/inbox")},
            "publicKey": {"id": f"{me}#main-key", "owner": me, "publicKeyPem": rsa.public().pem()},
            "assertionMethod": [
                {
                    "id": f"{me}#ed25519-key",
                    "type": "Multikey",
                    "controller": me,
                    "publicKeyMultibase": ed.public().multibase(),
                }
            ],
            **fields,
        }
        made = Person(self.host, name, rsa, ed, document, f"{me}#main-key")
        self.people[name] = made
        self.documents[f"/users/{name}"] = document
        return made

    def rotate(self, person: Person) -> None:
        """Give an actor a new RSA key under the same key id."""
        old = person.key
        person.key = next(key for key in (rsa_key(n) for n in range(20, 28)) if key is not old)
        person.document["publicKey"]["publicKeyPem"] = person.key.public().pem()

    def new_id(self, kind: str = "activities") -> str:
        """A fresh id."""
        return self.url(f"/{kind}/{next(self._ids)}")

    def note(self, author: Person, text: str = "hello", **fields: Any) -> Document:
        """A public Note, which can be fetched."""
        ident = self.new_id("notes")
        document: Document = {
            "@context": AS2,
            "id": ident,
            "type": "Note",
            "attributedTo": author.id,
            "content": f"<p>{text}</p>",
            "published": "2024-05-01T10:00:00Z",
            "to": [PUBLIC],
            "cc": [author.followers],
            **fields,
        }
        self.documents[document["id"].removeprefix(f"https://{self.host}")] = document
        return document

    def activity(self, kind: str, actor: Person, target: Any, /, **fields: Any) -> Document:
        """An activity; the addressing is that of the object, if it has one."""
        document: Document = {
            "@context": AS2,
            "id": self.new_id(),
            "type": kind,
            "actor": actor.id,
            "object": target,
        }
        if isinstance(target, dict):
            document |= {name: target[name] for name in ("to", "cc") if name in target}
            document["object"] = {name: value for name, value in target.items() if name != "@context"}
        return document | fields

    def create(self, author: Person, text: str = "hello", **fields: Any) -> Document:
        """Create of a new Note."""
        return self.activity("Create", author, self.note(author, text, **fields))

    def prove(self, document: Document, person: Person, now: int | None = None) -> Document:
        """The document with an object integrity proof."""
        now = now if now is not None else self._us.clock()
        return dict(proofs.create(document, f"{person.id}#ed25519-key", person.ed25519, Millis(now)))

    # requests to us

    @property
    def _us(self) -> Us:
        assert self.us is not None
        return self.us

    async def deliver(
        self,
        person: Person,
        activity: Document | bytes,
        url: str | None = None,
        *,
        scheme: str | None = "cavage",
        content_type: str = TYPE,
        at: int | None = None,
        key: PrivateKey | None = None,
        key_id: str | None = None,
        tamper: Mapping[str, str] | None = None,
        sent_body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A signed POST to our inbox. ``scheme`` None: unsigned. ``tamper`` changes headers after signing."""
        body = activity if isinstance(activity, bytes) else json.dumps(activity).encode()
        url = url or str(self._us.inbox)
        signed: dict[str, str] = {}
        if scheme is not None:
            now = Millis(at if at is not None else self._us.clock())
            sign = SIGN[scheme]
            signed = sign("POST", url, body, key_id or person.key_id, key or person.key, now, content_type)
        sent = {"content-type": content_type, **signed, **(headers or {}), **(tamper or {})}
        return Answer(*await call_asgi(self._us.router, "POST", url, sent, body if sent_body is None else sent_body))

    async def fetch(self, person: Person, url: str, *, scheme: str = "cavage", at: int | None = None) -> Answer:
        """A signed GET."""
        now = Millis(at if at is not None else self._us.clock())
        signed = SIGN[scheme]("GET", url, None, person.key_id, person.key, now)
        return Answer(*await call_asgi(self._us.router, "GET", url, {"accept": TYPE, **signed}, None))

    # requests to it

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI: serves documents, WebFinger and an inbox."""
        headers = {k.decode().lower(): v.decode("latin-1") for k, v in scope["headers"]}
        query = scope["query_string"].decode()
        path = scope["path"] + (f"?{query}" if query else "")
        self.requests.append((scope["method"], path, headers))
        status, kind, body, extra = await self._answer(scope, path, headers, receive)
        pairs = [(b"content-type", kind.encode()), *((k.encode(), v.encode()) for k, v in extra.items())]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    async def _answer(
        self, scope: Any, path: str, headers: Mapping[str, str], receive: Any
    ) -> tuple[int, str, bytes, dict[str, str]]:
        if scope["method"] == "POST":
            self.received.append(json.loads((await receive())["body"]))
            return 202, TYPE, b"", {}
        if path in self.redirects:
            return 302, "text/plain", b"", {"location": self.redirects[path]}
        if scope["path"] == "/.well-known/webfinger":
            return self._webfinger(path)
        if path in self.statuses:
            return self.statuses[path], "text/plain", b"", {}
        if self.secure and not self._signature_is_good(scope["method"], path, headers):
            self.refused += 1
            return self.refusal, "text/plain", b"sign it", {}
        document = self.documents.get(path)
        if document is None:
            return 404, "text/plain", b"", {}
        return 200, self.media_types.get(path, TYPE), json.dumps(document).encode(), {}

    def _webfinger(self, path: str) -> tuple[int, str, bytes, dict[str, str]]:
        handle = path.partition("acct%3A")[2].replace("%40", "@")
        name, _, domain = handle.partition("@")
        if handle in self.handles:
            subject, target = self.handles[handle]
        elif domain == self.host and name in self.people:
            subject, target = f"acct:{handle}", self.people[name].id
        else:
            return 404, "text/plain", b"", {}
        links = [{"rel": "self", "type": TYPE, "href": target}]
        return 200, "application/jrd+json", json.dumps({"subject": subject, "links": links}).encode(), {}

    def _signature_is_good(self, method: str, path: str, headers: Mapping[str, str]) -> bool:
        """Whether a GET of ours carries a good signature of our instance actor, by a scheme that it takes."""
        target = path if self.query_counts else path.partition("?")[0]
        request = RawRequest(method, target, f"https://{self.host}", headers, b"")
        try:
            claim = parse(request)
            if claim.scheme not in self.takes:
                return False
            verify(claim, request, rsa_key(0).public(), now=self._us.clock())
        except SignatureError:
            return False
        return True
