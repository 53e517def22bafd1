"""Partners: the domains that we have an agreement with, its terms, and how their servers are doing."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from enum import StrEnum

from fedishare.model.ids import Domain, Millis
from fedishare.model.posts import PostKind, Visibility

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ACTIVITY_TYPES = frozenset(
    {
        "Accept",
        "Add",
        "Announce",
        "Block",
        "Create",
        "Delete",
        "EmojiReact",
        "Flag",
        "Follow",
        "Like",
        "Move",
        "QuoteRequest",
        "Reject",
        "Remove",
        "Undo",
        "Update",
    }
)
"""The activities that we know. Any other is answered 2xx and ignored."""

OBJECT_TYPES = frozenset(kind.value for kind in PostKind)
"""The object types that terms can name: those of posts."""

WIDEST_V4, WIDEST_V6 = 8, 7
"""The shortest prefix that a configured network may have; anything wider is everybody."""

NEVER: tuple[Network, ...] = tuple(ipaddress.ip_network(n) for n in ("0.0.0.0/8", "169.254.0.0/16", "fe80::/10"))
"""Networks in which nobody that we agreed something with can live: "this" network, and link-local with its
metadata services."""


class PartnerState(StrEnum):
    """Only ACTIVE partners exchange anything. PAUSED keeps the queue, ENDED cancels it."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


class Direction(StrEnum):
    """Which way posts may go. Protocol answers (Accept, Reject, Undo) of an allowed exchange may always go back."""

    IN = "in"
    OUT = "out"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed with a partner. The defaults are the cautious ones."""

    direction: Direction = Direction.BOTH
    activity_types: frozenset[str] | None = None
    """None: every type that we know."""
    object_types: frozenset[str] | None = None
    ceiling_in: Visibility = Visibility.PUBLIC
    """The widest visibility taken from them: a wider post is refused."""
    ceiling_out: Visibility = Visibility.PUBLIC
    """The widest visibility sent to them: a wider post is withheld. PUBLIC means no ceiling."""
    media: bool = True
    direct_messages: bool = True
    public_addressing: bool = False
    include_subdomains: bool = False
    networks: tuple[str, ...] = ()
    """CIDRs that this partner alone may resolve to although they are not globally routable."""
    ca_bundle: str | None = None
    client_cert: str | None = None
    """A PEM file with certificate and key that we show to this partner."""
    pinned_key: str | None = None
    """``sha256/<base64>`` of the partner's TLS public key (SPKI)."""
    rate: int | None = None
    """Inbound requests a minute; None: the instance's limit."""


@dataclass(frozen=True, slots=True)
class Partner:
    """A domain plus terms. There is no federation without it."""

    domain: Domain
    state: PartnerState = PartnerState.ACTIVE
    terms: Terms = Terms()
    owner: str = ""
    reason: str = ""
    ticket: str = ""
    expires_at: Millis | None = None
    review_at: Millis | None = None
    source: str = "database"
    """``file`` (instance.toml, read-only elsewhere) or ``database``."""
    created_at: int = 0
    hosts: tuple[Domain, ...] = ()
    """Further hosts of a split domain (where its actors live), each as exact as ``domain``."""

    @property
    def names(self) -> tuple[Domain, ...]:
        """Every host that is this partner, ``domain`` first."""
        return (self.domain, *self.hosts)


def is_loopback_host(host: str) -> bool:
    """Whether a host can only be this machine: ``localhost``, ``*.localhost`` (RFC 6761), 127.0.0.0/8, ::1.

    ``host`` may carry a port and the brackets of an IPv6 address.
    """
    if host.startswith("["):
        name = host[1:].partition("]")[0]
    else:
        name = host if host.count(":") > 1 else host.partition(":")[0]
    name = name.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def network_problem(text: str, *, loopback: bool) -> str | None:
    """Why a CIDR cannot stand in a list of networks, or None. ``loopback`` also lets this machine's own addresses in.

    A network that is nearly everything is refused, and so are link-local (the cloud's metadata service), multicast
    and unspecified addresses: nobody we agreed something with lives there.
    """
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return f"expected a network such as 10.20.0.0/16 or an address, found {text[:60]!r}"
    if "/" in text and ipaddress.ip_interface(text).ip != network.network_address:
        return f"{text!r} has bits set behind its prefix; did you mean {str(network)!r}?"
    if network.prefixlen < (WIDEST_V4 if network.version == 4 else WIDEST_V6):
        return f"{text!r} is so wide that it names nearly everybody; list the networks that are really meant"
    if network.is_loopback:
        return None if loopback else f"{text!r} is this machine itself; that wants [server] development = true"
    if network.is_multicast or network.is_reserved or any(_overlaps(network, never) for never in NEVER):
        return f"{text!r} has link-local, multicast or reserved addresses in it; nothing that we talk to can be there"
    return None


def _overlaps(one: Network, other: Network) -> bool:
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and one.overlaps(other)
    return isinstance(other, ipaddress.IPv6Network) and one.overlaps(other)


class Outcome(StrEnum):
    """How one delivery attempt ended."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    """A 4xx that will not change: ended, the peer is alive."""
    GONE = "gone"
    """404 or 410: ended, the inbox is forgotten."""
    BUSY = "busy"
    """429 or 503 with Retry-After: later."""
    FAILED = "failed"
    """5xx, 401, 403, 408: later."""
    UNREACHABLE = "unreachable"
    """No answer: DNS, connection, TLS, time-out. Later, and the circuit counts it."""


SCHEDULE: tuple[int, ...] = (60, 120, 300, 900, 1800, 3600, 7200, 14400, 28800)
"""Seconds before attempt 2, 3, …; after the last, every 12 hours until 7 days have passed."""
LATER = 12 * 3600
GIVE_UP_AFTER = 7 * 86400


@dataclass(frozen=True, slots=True)
class PeerHealth:
    """The circuit of one destination host: closed, or open until ``retry_at``, when one probe goes out."""

    failures: int = 0
    retry_at: Millis | None = None
    last_error: str | None = None
    signature_scheme: str | None = None
    """``rfc9421`` or ``cavage``: what worked last (double knocking)."""
    scheme_until: Millis | None = None

    OPEN_AFTER = 3

    def is_open(self, now: Millis) -> bool:
        """Whether deliveries wait."""
        return self.retry_at is not None and now < self.retry_at

    def after(
        self, outcome: Outcome, now: Millis, error: str | None = None, retry_after: int | None = None
    ) -> PeerHealth:
        """The state after one attempt. Any answer but a server fault proves the peer alive and closes the circuit."""
        if outcome in (Outcome.DELIVERED, Outcome.REFUSED, Outcome.GONE):
            return replace(self, failures=0, retry_at=None, last_error=None)
        if outcome is Outcome.BUSY:
            wait = max(retry_after or 30, 1)
            return replace(self, retry_at=Millis(now + 1000 * wait), last_error=error)
        failures = self.failures + 1
        if failures < self.OPEN_AFTER:
            return replace(self, failures=failures, last_error=error)
        wait = SCHEDULE[min(failures - self.OPEN_AFTER, len(SCHEDULE) - 1)]
        return replace(self, failures=failures, retry_at=Millis(now + 1000 * wait), last_error=error)

    def heard_from(self) -> PeerHealth:
        """A request from the peer proves it alive."""
        return replace(self, failures=0, retry_at=None)


def next_attempt(
    outcome: Outcome,
    attempts: int,
    first_at: Millis,
    now: Millis,
    *,
    retry_after: int | None = None,
    jitter: float = 0.0,
) -> Millis | None:
    """When to try again, or None when it is over.

    ``attempts`` counts those made, ``retry_after`` is in seconds, ``jitter`` (-1 to 1) moves the delay by up to 20 %.
    """
    if outcome in (Outcome.DELIVERED, Outcome.REFUSED, Outcome.GONE) or now - first_at >= 1000 * GIVE_UP_AFTER:
        return None
    delay = SCHEDULE[attempts - 1] if attempts <= len(SCHEDULE) else LATER
    seconds = max(delay * (1 + 0.2 * max(-1.0, min(1.0, jitter))), retry_after or 0)
    return Millis(now + int(1000 * min(seconds, GIVE_UP_AFTER)))
