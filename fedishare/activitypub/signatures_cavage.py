"""HTTP signatures after draft-cavage-http-signatures-12: what nearly all of the network signs with.

The draft never became a standard, so peers differ. Accepted is what real servers send: `rsa-sha256`, `hs2019` or no
algorithm at all, which all mean "what the key says"; header names in any order. Demanded is what makes a signature
worth something: target, host, a time, and the body's digest.
"""

from __future__ import annotations

import re
from base64 import b64encode

from fedishare.activitypub.keys import PrivateKey, PublicKey
from fedishare.activitypub.signatures_base import (
    Claim,
    RawRequest,
    authority_of,
    check_content_digest,
    check_digest,
    check_host,
    check_key_id,
    check_path,
    check_signature_length,
    check_times,
    digest_header,
    header_value,
    http_date,
    malformed,
    outgoing,
    refuse,
    to_bytes,
)
from fedishare.activitypub.structured import MAX_FIELD, decode_base64, write_string
from fedishare.model.errors import SignatureReason
from fedishare.model.ids import Millis

MAX_COVERED = 64

_PARAM = re.compile(r'[ \t]*([A-Za-z]+)=(?:"([^"\\\x00-\x1f\x7f]*)"|([0-9]{1,12}))[ \t]*(?:,|\Z)')
_ALGORITHMS = {"rsa-sha256": "rsa", "ed25519": "ed25519", "hs2019": None}
"""Algorithm to the kind of key that it needs; None: any."""
_PSEUDO = ("(request-target)", "(created)", "(expires)")
_NAME = re.compile(r"\((?:request-target|created|expires)\)|[a-z0-9!#$%&'*+.^_`|~-]+")


def parse(header: str) -> Claim:
    """Read a `Signature` header. Raises `SignatureError` (malformed, unsupported)."""
    params = _params(header)
    algorithm = params.get("algorithm")
    if algorithm is not None:
        algorithm = algorithm.lower()
        # spec: R28 — unknown and weak algorithms are refused by not being known
        if algorithm not in _ALGORITHMS:
            message = f"the algorithm {algorithm[:40]!r} is not supported; use rsa-sha256 or hs2019"
            raise refuse(SignatureReason.UNSUPPORTED, message)
    if "keyId" not in params or "signature" not in params:
        raise malformed("the Signature header should have keyId and signature")
    # Without a list the draft means the date alone (2.1.6), which will not be enough.
    covered = tuple(params.get("headers", "date").lower().split())
    _check_names(covered, algorithm)
    return Claim(
        scheme="cavage",
        key_id=check_key_id(params["keyId"]),
        algorithm=algorithm,
        covered=covered,
        signature=check_signature_length(decode_base64(params["signature"])),
        created=_seconds(params, "created"),
        expires=_seconds(params, "expires"),
    )


def _params(header: str) -> dict[str, str]:
    if len(header) > MAX_FIELD:
        raise malformed(f"the Signature header has {len(header)} characters; the limit is {MAX_FIELD}")
    params: dict[str, str] = {}
    position = 0
    while position < len(header):
        match = _PARAM.match(header, position)
        if match is None:
            raise malformed(f'name="value" was expected in the Signature header, found {header[position:][:24]!r}')
        name, quoted, number = match.groups()
        if name in params:
            raise malformed(f"{name} occurs twice in the Signature header; one signature was expected")
        params[name] = number if quoted is None else quoted
        position = match.end()
    return params


def _check_names(covered: tuple[str, ...], algorithm: str | None) -> None:
    if not 0 < len(covered) <= MAX_COVERED:
        raise malformed(f"a signature over 1 to {MAX_COVERED} headers was expected, found {len(covered)}")
    if len(set(covered)) != len(covered):
        raise malformed("the signature names a header twice")
    for name in covered:
        if not _NAME.fullmatch(name):
            raise malformed(f"the signature covers {name[:40]!r}, which is not the name of a header")
    if algorithm == "rsa-sha256" and ("(created)" in covered or "(expires)" in covered):
        # draft 12, 2.3: an error, because the older algorithms did not know these two.
        raise malformed("(created) and (expires) do not go with algorithm rsa-sha256; use hs2019")


def _seconds(params: dict[str, str], name: str) -> Millis | None:
    text = params.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 12 or (text[0] == "0" and text != "0"):
        raise malformed(f"{name} should be a number of seconds since 1970, found {text[:20]!r}")
    return Millis(int(text) * 1000)


def check(claim: Claim, request: RawRequest, *, now: Millis, max_age: int, max_ahead: int) -> None:
    """Everything that can be checked without the key. Raises `SignatureError`."""
    covered = claim.covered
    check_path(request)
    # spec: R2 — target, host and a time
    if "(request-target)" not in covered or "host" not in covered:
        raise refuse(SignatureReason.NOT_COVERED, "the signature should cover (request-target) and host")
    if "date" not in covered and "(created)" not in covered:
        raise refuse(SignatureReason.NOT_COVERED, "the signature should cover date or (created)")
    check_host(request)
    check_times(claim, request, now=now, max_age=max_age, max_ahead=max_ahead)
    # spec: R4 — the body's digest is covered, and right
    if "digest" in covered:
        check_digest(request)
    if "content-digest" in covered:
        check_content_digest(request)
    if request.needs_digest and "digest" not in covered and "content-digest" not in covered:
        raise refuse(SignatureReason.NOT_COVERED, "the signature of a request with a body should cover digest")


def check_algorithm(claim: Claim, key: PublicKey) -> None:
    """Raises `SignatureError` (unsupported) if the algorithm contradicts the key. spec: R28"""
    wanted = _ALGORITHMS.get(claim.algorithm or "hs2019")
    if wanted is not None and wanted != key.kind:
        message = f"algorithm {claim.algorithm} needs a key of kind {wanted}; the key is {key.kind}"
        raise refuse(SignatureReason.UNSUPPORTED, message)


def bases(claim: Claim, request: RawRequest) -> tuple[bytes, ...]:
    """The texts that may have been signed: usually one; two for a GET with a query. Raises `SignatureError`.

    Several servers leave the query out of (request-target) when they sign a GET. That is taken for GET and HEAD
    only, so that a POST's query always counts. spec: R56
    """
    full = to_bytes(signing_string(claim, request, request.target))
    path, question, _ = request.target.partition("?")
    if not question or request.method not in ("GET", "HEAD"):
        return (full,)
    return full, to_bytes(signing_string(claim, request, path))


def signing_string(claim: Claim, request: RawRequest, target: str) -> str:
    """The text that is signed (draft 12, 2.3), with ``target`` as the request target."""
    lines: list[str] = []
    for name in claim.covered:
        if name not in _PSEUDO:
            lines.append(f"{name}: {header_value(request, name)}")
        elif name == "(request-target)":
            lines.append(f"(request-target): {request.method.lower()} {target}")
        else:
            stamp = claim.created if name == "(created)" else claim.expires
            if stamp is None:
                raise malformed(f"the signature covers {name}, but does not give it")
            lines.append(f"{name}: {stamp // 1000}")
    return "\n".join(lines)


def sign(
    method: str,
    url: str,
    body: bytes | None,
    key_id: str,
    private_key: PrivateKey,
    now: Millis,
    content_type: str | None = None,
) -> dict[str, str]:
    """The headers to send with a request, signed over `(request-target) host date digest`. spec: R7

    `digest` is left out when ``body`` is None; `content-type` is sent and covered when given. Raises `BadInput` for
    a URL that is not absolute. Pure: safe in any thread.
    """
    headers: dict[str, str] = {}
    request = outgoing(method, url, headers, body)
    headers["host"] = authority_of(request.origin)
    headers["date"] = http_date(now)
    if body is not None:
        headers["digest"] = digest_header(body)
    if content_type is not None:
        headers["content-type"] = content_type
    covered = ("(request-target)", *headers)
    algorithm = "rsa-sha256" if private_key.kind == "rsa" else "hs2019"
    claim = Claim("cavage", key_id, algorithm, covered, b"", None, None)
    signature = b64encode(private_key.sign(to_bytes(signing_string(claim, request, request.target)))).decode()
    headers["signature"] = (
        f"keyId={write_string(key_id)},algorithm={write_string(algorithm)},"
        f'headers="{" ".join(covered)}",signature="{signature}"'
    )
    return headers
