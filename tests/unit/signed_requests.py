"""Signed requests for tests: ours, published ones, and such as other servers may send."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fedishare.activitypub import signatures, signatures_cavage, signatures_rfc9421
from fedishare.activitypub.keys import PrivateKey, PublicKey, generate_ed25519, load_private_pem
from fedishare.activitypub.signatures import (
    RawRequest,
    content_digest,
    digest_header,
    sign_cavage,
    sign_rfc9421,
)
from fedishare.activitypub.signatures_base import Component
from fedishare.activitypub.structured import InnerList, Item, parse_dictionary
from fedishare.model.errors import SignatureError, SignatureReason
from fedishare.model.ids import Millis

FOLDER = Path(__file__).parent.parent / "vectors"
PUBLISHED: list[dict[str, Any]] = json.loads((FOLDER / "published_vectors.json").read_text())
KEYS: dict[str, dict[str, str]] = json.loads((FOLDER / "published_keys.json").read_text())
RFC9421 = [vector for vector in PUBLISHED if vector["scheme"] == "rfc9421"]
CAVAGE = [vector for vector in PUBLISHED if vector["scheme"] == "cavage"]

RSA = load_private_pem(KEYS["test-key-rsa"]["privateKeyPem"])
RSA2 = load_private_pem(KEYS["test-key-rsa-pss"]["privateKeyPem"])
ED25519 = load_private_pem(KEYS["test-key-ed25519"]["privateKeyPem"])
OTHER_ED25519 = generate_ed25519()
OURS = "https://ours.example"
INBOX = "https://ours.example/inbox"
KEY_ID = "https://peer.example/users/ann#main-key"
BODY = b'{"type":"Create"}'
AS2 = "application/activity+json"
NOW = Millis(1_800_000_000_000)
HOUR = 3_600_000
SIGN = {"cavage": sign_cavage, "rfc9421": sign_rfc9421}
SCHEMES = sorted(SIGN)
BY_KIND: dict[str, PrivateKey] = {"rsa": RSA, "ed25519": ED25519}


def published_request(vector: dict[str, Any]) -> RawRequest:
    raw = vector["request"]
    headers: dict[str, str] = {}
    for name, value in raw["headers"]:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    url = urlsplit(raw["url"])
    target = url.path + (f"?{url.query}" if url.query else "")
    body = (raw["body"] or "").encode()
    return RawRequest(raw["method"], target, f"{url.scheme}://{url.netloc}", headers, body)


def signed_post(
    scheme: str = "cavage", key: PrivateKey = RSA, url: str = INBOX, body: bytes = BODY, now: int = NOW
) -> RawRequest:
    """A delivery as it arrives."""
    headers = SIGN[scheme]("POST", url, body, KEY_ID, key, Millis(now), AS2)
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return RawRequest("POST", target, OURS, {**headers, "user-agent": "peer/1"}, body)


def signed_get(scheme: str = "cavage", url: str = "https://ours.example/users/bob?page=2") -> RawRequest:
    """A signed fetch as it arrives."""
    headers = SIGN[scheme]("GET", url, None, KEY_ID, RSA, NOW)
    return RawRequest("GET", url.removeprefix(OURS), OURS, headers, b"")


def draft(covered: str, key: PrivateKey = RSA, method: str = "POST", extra: str = "", **headers: str) -> RawRequest:
    """A request signed after the draft over just these headers, the way some other server may do it."""
    values = {"host": "ours.example", "date": "Fri, 15 Jan 2027 08:00:00 GMT", "digest": digest_header(BODY)}
    values |= {name.replace("_", "-"): value for name, value in headers.items()}
    request = RawRequest(method, "/inbox", OURS, values, BODY if method == "POST" else b"")
    unsigned = f'keyId="{KEY_ID}",headers="{covered}"{extra},signature="AA=="'
    claim = signatures.parse(replace(request, headers={**values, "signature": unsigned}))
    text = signatures_cavage.signing_string(claim, request, request.target).encode()
    signature = unsigned.replace("AA==", base64.b64encode(key.sign(text)).decode())
    return replace(request, headers={**values, "signature": signature})


def standard(
    params: str, key: PrivateKey = RSA, method: str = "POST", target: str = "/inbox", **headers: str
) -> RawRequest:
    """A request signed after RFC 9421 with just these parameters."""
    values = {"host": "ours.example", "date": "Fri, 15 Jan 2027 08:00:00 GMT", "content-digest": content_digest(BODY)}
    values |= {name.replace("_", "-"): value for name, value in headers.items()}
    request = RawRequest(method, target, OURS, values, BODY if method == "POST" else b"")
    member = parse_dictionary(f"s={params}")["s"]
    assert isinstance(member, InnerList)
    components = tuple(component_of(item) for item in member.items)
    signature = key.sign(signatures_rfc9421.signature_base(request, components, params).encode("latin-1"))
    encoded = base64.b64encode(signature).decode()
    return replace(request, headers={**values, "signature-input": f"s={params}", "signature": f"s=:{encoded}:"})


def component_of(item: Item) -> Component:
    argument = item.params.get("name")
    return Component(str(item.value), item.text, str(argument) if argument else None)


def reason(request: RawRequest, key: PrivateKey | PublicKey = RSA, now: int = NOW) -> SignatureReason | None:
    """Why the request is refused; None if it is accepted."""
    public = key.public() if isinstance(key, PrivateKey) else key
    try:
        signatures.verify(signatures.parse(request), request, public, now=Millis(now))
    except SignatureError as error:
        assert error.status == 401
        return error.reason
    return None


def with_header(request: RawRequest, name: str, value: str | None) -> RawRequest:
    """The request with one header set, or dropped."""
    rest = {key: text for key, text in request.headers.items() if key != name}
    return replace(request, headers=rest if value is None else {**rest, name: value})
