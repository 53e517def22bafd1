"""HTTP message signatures after RFC 9421, as far as requests between servers need them.

The parameters are taken over as text into what is signed, never written anew (2.5). Component parameters other than
`name` change how a value is read (`sf`, `bs`, `key`, `req`, `tr`); no peer sends them, so they are refused by name
instead of being half supported.

One label decides. With several, it is the first in the order of `Signature-Input` that has a signature, a key id and
an algorithm that we can check; the others are not looked at, and say nothing about the request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote_to_bytes

from fedishare.activitypub.keys import PrivateKey, PublicKey
from fedishare.activitypub.signatures_base import (
    Claim,
    Component,
    RawRequest,
    authority_of,
    check_content_digest,
    check_digest,
    check_host,
    check_key_id,
    check_path,
    check_signature_length,
    check_times,
    content_digest,
    header_value,
    http_date,
    malformed,
    outgoing,
    refuse,
    to_bytes,
)
from fedishare.activitypub.structured import (
    Bare,
    InnerList,
    Item,
    Token,
    parse_dictionary,
    write_bytes,
    write_string,
)
from fedishare.model.errors import SignatureError, SignatureReason
from fedishare.model.ids import Millis

MAX_LABELS = 8
MAX_COMPONENTS = 64
LABEL = "sig1"

_ALGORITHMS = {"rsa-v1_5-sha256": "rsa", "ed25519": "ed25519"}
"""Algorithm to the kind of key that it needs."""
_FIELD_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_DERIVED = frozenset(
    {
        "@method",
        "@target-uri",
        "@authority",
        "@scheme",
        "@request-target",
        "@path",
        "@query",
        "@query-param",
        "@status",
    }
)


def parse(inputs: str, signatures: str | None) -> Claim:
    """Read `Signature-Input` and `Signature`. Raises `SignatureError` (malformed, unsupported)."""
    if signatures is None:
        raise malformed("Signature-Input came without Signature")
    described = parse_dictionary(inputs)
    values = parse_dictionary(signatures)
    if len(described) > MAX_LABELS:
        raise malformed(f"{len(described)} signatures are too many; the limit is {MAX_LABELS}")
    problem: SignatureError | None = None
    for label, member in described.items():
        try:
            return _claim(label, member, values.get(label))
        except SignatureError as error:
            problem = problem or error
    raise problem or malformed("Signature-Input describes no signature")


def _claim(label: str, member: Item | InnerList, value: Item | InnerList | None) -> Claim:
    if not isinstance(member, InnerList):
        raise malformed(f"Signature-Input should hold a list of components for {label!r}")
    if not isinstance(value, Item) or not isinstance(value.value, bytes):
        raise malformed(f"Signature should hold a byte sequence for {label!r}")
    params = member.params
    components = _components(member.items)
    algorithm = _text(params, "alg")
    # spec: R28 — unknown and weak algorithms are refused by not being known
    if algorithm is not None and algorithm not in _ALGORITHMS:
        message = f"alg {algorithm[:40]!r} is not supported; use rsa-v1_5-sha256 or ed25519, or leave it out"
        raise refuse(SignatureReason.UNSUPPORTED, message)
    return Claim(
        scheme="rfc9421",
        key_id=check_key_id(_text(params, "keyid") or ""),
        algorithm=algorithm,
        covered=tuple(component.name for component in components),
        signature=check_signature_length(value.value),
        created=_seconds(params, "created"),
        expires=_seconds(params, "expires"),
        label=label,
        components=components,
        params=member.text,
    )


def _components(items: tuple[Item, ...]) -> tuple[Component, ...]:
    if len(items) > MAX_COMPONENTS:
        raise malformed(f"{len(items)} covered components are too many; the limit is {MAX_COMPONENTS}")
    components = tuple(_component(item) for item in items)
    if len({(component.name, component.argument) for component in components}) != len(components):
        raise malformed("a component is covered twice")
    return components


def _component(item: Item) -> Component:
    name = item.value
    if not isinstance(name, str) or isinstance(name, Token):
        raise malformed(f"the name of a component should be a string, found {item.text[:40]!r}")
    argument: str | None = None
    if item.params:
        if name != "@query-param" or set(item.params) != {"name"}:
            message = f"the component {item.text[:60]!r} has parameters that are not supported"
            raise refuse(SignatureReason.UNSUPPORTED, message)
        argument = _text(item.params, "name")
    if name.startswith("@"):
        if name not in _DERIVED:
            raise refuse(SignatureReason.UNSUPPORTED, f"the component {name[:40]!r} is not known")
        if name == "@query-param" and argument is None:
            raise malformed('@query-param should have a parameter ;name="…"')
    elif not _FIELD_NAME.fullmatch(name):
        raise malformed(f"the signature covers {name[:40]!r}, which is not the lower-case name of a header")
    return Component(name, item.text, argument)


def _text(params: Mapping[str, Bare], name: str) -> str | None:
    value = params.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or isinstance(value, Token):
        raise malformed(f"the parameter {name} should be a string")
    return value


def _seconds(params: Mapping[str, Bare], name: str) -> Millis | None:
    value = params.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise malformed(f"the parameter {name} should be a number of seconds since 1970")
    return Millis(value * 1000)


def check(claim: Claim, request: RawRequest, *, now: Millis, max_age: int, max_ahead: int) -> None:
    """Everything that can be checked without the key. Raises `SignatureError`."""
    covered = claim.covered
    check_path(request)
    # spec: R50, R52 — method and target, always
    whole = "@target-uri" in covered
    if "@method" not in covered or not (whole or ("@authority" in covered and "@path" in covered)):
        message = "the signature should cover @method, and @target-uri or both @authority and @path"
        raise refuse(SignatureReason.NOT_COVERED, message)
    if "?" in request.target and request.method not in ("GET", "HEAD") and not whole and "@query" not in covered:
        raise refuse(SignatureReason.NOT_COVERED, "the signature should cover @query, for there is one")
    if claim.created is None and "date" not in covered:
        raise refuse(SignatureReason.NOT_COVERED, "the signature should have created, or cover date")
    if "host" in covered:
        check_host(request)
    check_times(claim, request, now=now, max_age=max_age, max_ahead=max_ahead)
    if "content-digest" in covered:
        check_content_digest(request)
    elif request.needs_digest:
        raise refuse(SignatureReason.NOT_COVERED, "the signature of a request with a body should cover content-digest")
    if "digest" in covered:
        check_digest(request)


def check_algorithm(claim: Claim, key: PublicKey) -> None:
    """Raises `SignatureError` (unsupported) if ``alg`` contradicts the key. spec: R28"""
    if claim.algorithm is not None and _ALGORITHMS.get(claim.algorithm) != key.kind:
        message = f"alg {claim.algorithm} does not go with a key of kind {key.kind}"
        raise refuse(SignatureReason.UNSUPPORTED, message)


def bases(claim: Claim, request: RawRequest) -> tuple[bytes, ...]:
    """The one text that may have been signed. Raises `SignatureError`."""
    return (to_bytes(signature_base(request, claim.components, claim.params)),)


def signature_base(
    request: RawRequest, components: tuple[Component, ...], params: str, status: int | None = None
) -> str:
    """The text that is signed (RFC 9421, 2.5). ``status`` is for responses only. Raises `SignatureError`."""
    lines = [f"{component.identifier}: {_value(request, component, status)}" for component in components]
    # spec: R27, R51 — the parameters verbatim, in their own order
    lines.append(f'"@signature-params": {params}')
    return "\n".join(lines)


def _value(request: RawRequest, component: Component, status: int | None) -> str:
    name = component.name
    if not name.startswith("@"):
        return header_value(request, name)
    path, _, query = request.target.partition("?")
    match name:
        case "@method":
            return request.method
        case "@target-uri":
            scheme = request.origin.partition("://")[0].lower()
            return f"{scheme}://{authority_of(request.origin)}{request.target}"
        case "@authority":
            return authority_of(request.origin)
        case "@scheme":
            return request.origin.partition("://")[0].lower()
        case "@request-target":
            return request.target
        case "@path":
            return path or "/"
        case "@query":
            return f"?{query}"
        case "@query-param":
            return _query_param(query, component.argument or "")
        case "@status" if status is not None:
            return str(status)
    raise refuse(SignatureReason.UNSUPPORTED, f"the component {name} does not go with a request")


def _query_param(query: str, name: str) -> str:
    found = [value for key, value in map(_encoded_pair, query.split("&")) if key == name]
    if len(found) != 1:
        # RFC 9421, 2.2.8: a name that occurs several times must not be signed this way.
        raise malformed(f"the query should have {name[:40]!r} exactly once, found {len(found)}")
    return found[0]


def _encoded_pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return _encoded(key), _encoded(value)


def _encoded(text: str) -> str:
    """One spelling for each value: form-decoded, then percent-encoded (RFC 9421, 2.2.8)."""
    decoded = unquote_to_bytes(text.replace("+", " ").encode("utf-8", "replace"))
    return quote(decoded, safe="*").replace("~", "%7E")


def sign(
    method: str,
    url: str,
    body: bytes | None,
    key_id: str,
    private_key: PrivateKey,
    now: Millis,
    content_type: str | None = None,
) -> dict[str, str]:
    """The headers to send with a request, under one label. spec: R55

    Covered are `@method`, `@target-uri`, `content-digest` when there is a body, `content-type` when it is given.
    Raises `BadInput` for a URL that is not absolute. Pure: safe in any thread.
    """
    headers: dict[str, str] = {}
    request = outgoing(method, url, headers, body)
    if body is not None:
        headers["content-digest"] = content_digest(body)
    if content_type is not None:
        headers["content-type"] = content_type
    names = ("@method", "@target-uri", *headers)
    components = tuple(Component(name, f'"{name}"') for name in names)
    algorithm = "rsa-v1_5-sha256" if private_key.kind == "rsa" else "ed25519"
    listed = " ".join(component.identifier for component in components)
    params = f"({listed});created={now // 1000};keyid={write_string(key_id)};alg={write_string(algorithm)}"
    signature = private_key.sign(to_bytes(signature_base(request, components, params)))
    headers["host"] = authority_of(request.origin)
    headers["date"] = http_date(now)
    headers["signature-input"] = f"{LABEL}={params}"
    headers["signature"] = f"{LABEL}={write_bytes(signature)}"
    return headers
