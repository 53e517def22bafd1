"""E-mail addresses: the one form in which an address and its variants are the same, and its hash.

Mastodon's rule, so that hashes can be exchanged: lower case, no dots and nothing behind a plus before the ``@``.
"""

from __future__ import annotations

import hashlib


def canonical_email(address: str) -> str:
    """``Jo.Hn+x@Mail.Example`` as ``john@mail.example``."""
    name, _, domain = address.strip().lower().rpartition("@")
    return f"{name.partition('+')[0].replace('.', '')}@{domain}"


def email_hash(address: str) -> str:
    """The SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical_email(address).encode("utf-8", "replace")).hexdigest()


def email_domains(address: str) -> tuple[str, ...]:
    """The domain of an address and its parents, the longest first: ``a.b.c`` gives ``a.b.c``, ``b.c``, ``c``."""
    parts = address.strip().lower().rpartition("@")[2].rstrip(".").split(".")
    return tuple(".".join(parts[at:]) for at in range(min(len(parts), 20)))
