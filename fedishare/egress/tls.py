"""TLS to a partner: verified by name, at least 1.2, against the system's authorities or those of its terms.

Contexts are kept, because reading the authorities costs tens of milliseconds; a file that changes is read again.
No environment variable is looked at (``create_default_context`` would honour SSLKEYLOGFILE).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import ssl

from fedishare.model.errors import FetchFailed
from fedishare.model.partners import Terms

_Stamp = tuple[str, int] | None


class TlsContexts:
    """The TLS settings of an instance. ``ca_bundle`` (a PEM file), ours or a partner's, replaces the system's."""

    def __init__(self, ca_bundle: str | None = None) -> None:
        self._ca_bundle = ca_bundle
        self._kept: dict[tuple[_Stamp, _Stamp], ssl.SSLContext] = {}

    def of(self, terms: Terms) -> ssl.SSLContext:
        """The context for a partner's terms. Raises `FetchFailed` when a file of the configuration is unusable."""
        ca_bundle = terms.ca_bundle or self._ca_bundle
        try:
            key = (_stamp(ca_bundle), _stamp(terms.client_cert))
            if key not in self._kept:
                self._kept[key] = _context(ca_bundle, terms.client_cert)
            return self._kept[key]
        except (OSError, ValueError) as error:
            files = ", ".join(filter(None, (ca_bundle, terms.client_cert)))
            raise FetchFailed(
                f"TLS files cannot be used ({files}): {error}. Check ca_bundle and client_cert"
            ) from error


def _stamp(path: str | None) -> _Stamp:
    return (path, os.stat(path).st_mtime_ns) if path else None


def _context(ca_bundle: str | None, client_cert: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the chain and the host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    if ca_bundle:
        context.load_verify_locations(cafile=ca_bundle)
    else:
        context.load_default_certs()
    if client_cert:
        context.load_cert_chain(client_cert)
    return context


def check_pin(transport: asyncio.BaseTransport | None, pinned: str | None, host: str) -> None:
    """Compare the key of a finished handshake with ``sha256/<base64>``. Raises `FetchFailed`; nothing was sent yet."""
    if pinned is None:
        return
    tls = transport.get_extra_info("ssl_object") if transport else None
    certificate = tls.getpeercert(binary_form=True) if tls else None
    try:
        found = spki_pin(certificate or b"")
    except ValueError:
        found = "no key"
    if not hmac.compare_digest(found.encode(), pinned.strip().encode()):
        raise FetchFailed(
            f"{host} shows the TLS key {found}; the terms pin {pinned}. Ask the partner before you change it"
        )


def spki_pin(certificate: bytes) -> str:
    """``sha256/<base64>`` of the SubjectPublicKeyInfo of a DER certificate (RFC 7469, 2.4). Raises ValueError.

    Walks the DER by hand because importing ``cryptography.x509`` costs 28 ms at every start.
    """
    _, start, _ = _element(certificate, 0)  # Certificate
    _, at, _ = _element(certificate, start)  # TBSCertificate
    tag, _, end = _element(certificate, at)
    fields_before_key = 6 if tag == 0xA0 else 5  # [0] version, serial, algorithm, issuer, validity, subject
    for _ in range(fields_before_key):
        _, _, end = _element(certificate, at)
        at = end
    tag, _, end = _element(certificate, at)
    if tag != 0x30:
        raise ValueError("no SubjectPublicKeyInfo where one was expected")
    return "sha256/" + base64.b64encode(hashlib.sha256(certificate[at:end]).digest()).decode()


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start of the content and end of the DER element at ``at``. Raises ValueError."""
    if at + 2 > len(data):
        raise ValueError("the certificate ends early")
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(data[start : start + size], "big"), start + size
    if start + length > len(data):
        raise ValueError("the certificate ends early")
    return tag, start, start + length
