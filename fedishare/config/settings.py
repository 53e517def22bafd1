"""Settings: every key of instance.toml with its type, bounds, default and meaning.

The text beside a key is the only description of it: messages, the file that ``fedishare init`` writes and the tests of
the documentation are all made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from fedishare.model.ids import Domain
from fedishare.model.posts import LOCAL, PARTNERS, Reach, Visibility

KIB, MIB = 1024, 1024 * 1024
Word = Literal["public", "unlisted", "private", "direct"]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Seconds = Annotated[int, Meta(ge=1, le=3600)]


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of instance.toml."""


class ServerSettings(Section, frozen=True, kw_only=True):
    """Who this instance is, and where it listens."""

    domain: Annotated[
        str,
        Meta(
            description="The domain in people's handles (@name@domain). It can never change. In development it may "
            "have a port, on loopback hosts only.",
            examples=["clinic.example"],
        ),
    ]
    origin: Annotated[
        str | None,
        Meta(
            description="The address under which others reach this server; ids are made from it, so it can never "
            "change either. Without it: https://<domain>. It may be another host than the domain (a split domain), and "
            "other than where the server listens (a TLS proxy in front). http is for development on loopback only.",
            examples=["https://social.clinic.example"],
        ),
    ] = None
    listen: Annotated[
        str,
        Meta(
            description="Address and port to listen on. Anything but loopback wants tls_cert and tls_key here, or the "
            "TLS proxy named in trusted_proxies."
        ),
    ] = "127.0.0.1:8000"
    workers: Annotated[
        int, Meta(ge=1, le=64, description="Server processes. More than one needs PostgreSQL; SQLite has one writer.")
    ] = 1
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks of the proxies whose X-Forwarded-For is believed. Nobody's, by default.",
            examples=[["10.0.5.7", "10.0.6.0/24"]],
        ),
    ] = ()
    development: Annotated[
        bool,
        Meta(
            description="For trying out on one machine: lets http and ports through on loopback hosts, and nothing "
            "else. The origin must then be such a host."
        ),
    ] = False
    tls_cert: Annotated[
        str | None,
        Meta(
            description="PEM file with the certificate chain, to serve TLS without a proxy.",
            examples=["tls/fullchain.pem"],
        ),
    ] = None
    tls_key: Annotated[
        str | None,
        Meta(description="PEM file with its private key; not readable by others.", examples=["tls/privkey.pem"]),
    ] = None
    shutdown_seconds: Annotated[
        int, Meta(ge=1, le=300, description="How long a stop waits for requests and deliveries in flight.")
    ] = 15


class DatabaseSettings(Section, frozen=True, kw_only=True):
    """Where everything is kept."""

    url: Annotated[
        str,
        Meta(
            description="sqlite:///path (relative to this file; four slashes for an absolute path) or "
            "postgresql://user@host/name. A password goes into secrets.toml as database_password.",
            examples=["postgresql://fedishare@db.clinic.example/fedishare"],
        ),
    ] = "sqlite:///fedishare.db"


class InstanceSettings(Section, frozen=True, kw_only=True):
    """What the instance says about itself. Texts in files are read when the server starts."""

    title: Annotated[str, Meta(max_length=100, description="Its name in apps; the domain without it.")] = ""
    description: Annotated[
        str, Meta(max_length=500, description="One or two sentences about it, for the sign-in screens of apps.")
    ] = "Short updates within the organization and with its partners."
    languages: Annotated[
        tuple[str, ...], Meta(description="The languages that people here mostly write, as codes.", examples=[["de"]])
    ] = ("en",)
    contact_email: Annotated[
        str, Meta(description="A mail address for questions.", examples=["help@clinic.example"])
    ] = ""
    contact_account: Annotated[
        str, Meta(description="The name of an account here for questions; shown to people who are signed in.")
    ] = ""
    extended_description: Annotated[
        str | None,
        Meta(description="A file (.html, or text) that says at length what this is.", examples=["texts/about.html"]),
    ] = None
    privacy_policy: Annotated[
        str | None, Meta(description="A file with the privacy policy.", examples=["texts/privacy.html"])
    ] = None
    terms_of_service: Annotated[
        str | None, Meta(description="A file with the terms of service.", examples=["texts/terms.html"])
    ] = None
    terms_effective: Annotated[
        str,
        Meta(description="The day from which these terms count; without it, the day of the file.",
             examples=["2027-01-01"]),
    ] = ""  # fmt: skip
    peers: Annotated[
        bool, Meta(description="Whether people who are signed in may list the domains of all partners.")
    ] = False
    activity: Annotated[
        bool, Meta(description="Whether people who are signed in see how many posts and sign-ins a week has.")
    ] = True
    domain_blocks: Annotated[
        bool, Meta(description="Whether people who are signed in may list the domains that are blocked.")
    ] = False


class MediaSettings(Section, frozen=True, kw_only=True):
    """Pictures, sounds and films."""

    path: Annotated[str, Meta(description="The folder for files, relative to this file.")] = "media"
    max_bytes: Annotated[
        int, Meta(ge=KIB, le=1024 * MIB, description="The largest file taken from a person or read from a partner.")
    ] = 16 * MIB
    remote_bytes: Annotated[
        int,
        Meta(
            ge=MIB, le=1024 * 1024 * MIB,
            description="How much of what partners show is kept on disk; what was not used for longest goes first.",
        ),
    ] = 4096 * MIB  # fmt: skip


class RegistrationSettings(Section, frozen=True, kw_only=True):
    """Who may sign up."""

    mode: Annotated[
        Literal["closed", "approval", "open"],
        Meta(
            description="closed: accounts are made with `fedishare account create`. approval: people ask, a moderator "
            "decides. open: everybody who can reach the server."
        ),
    ] = "closed"
    require_reason: Annotated[
        bool, Meta(description="Whether who asks for an account must say why (with mode approval).")
    ] = False
    min_age: Annotated[
        Annotated[int, Meta(ge=1, le=120)] | None,
        Meta(description="How old one must be at least to sign up; apps then ask for the date of birth.",
             examples=[18]),
    ] = None  # fmt: skip
    confirm_email: Annotated[
        bool, Meta(description="Whether who signs up must prove a mail address. No mail is sent yet: open wants false.")
    ] = True


class PostSettings(Section, frozen=True, kw_only=True):
    """What people write, and how far it goes when they do not say."""

    max_characters: Annotated[
        int, Meta(ge=1, le=5000, description="The length of a post. A link counts 23, a mention its @name only.")
    ] = 140
    default_visibility: Annotated[
        Word, Meta(description="Who may see a post: public, unlisted, private (followers) or direct (named people).")
    ] = "public"
    default_reach: Annotated[
        Literal["local", "partners"] | tuple[str, ...],
        Meta(
            description='How far a post may travel: "local" (never leaves), "partners" (every partner whose terms '
            "allow it), or a list of partners' domains. With public and local: everybody here and nobody else.",
        ),
    ] = "local"

    @property
    def visibility(self) -> Visibility:
        """``default_visibility`` as a value."""
        found = Visibility.from_word(self.default_visibility)
        return Visibility.DIRECT if found is None else found  # PUBLIC is 0: never `or` here

    @property
    def reach(self) -> Reach:
        """``default_reach`` as a value."""
        if isinstance(self.default_reach, str):
            return PARTNERS if self.default_reach == "partners" else LOCAL
        return Reach(frozenset(Domain(d) for d in self.default_reach))


class WebSettings(Section, frozen=True, kw_only=True):
    """The built-in pages."""

    public_pages: Annotated[
        bool,
        Meta(description="Whether anybody sees profiles in a browser, and posts that are public for all partners."),
    ] = False
    preview_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="Hosts, besides the partners', that are asked for previews of links in posts that travel "
            "(exact names). Nobody, by default. They learn that somebody here wrote or got the link.",
            examples=[["www.who.int"]],
        ),
    ] = ()


class PushSettings(Section, frozen=True, kw_only=True):
    """Notifications on telephones and in browsers (Web Push): sent, encrypted, through the services that apps name."""

    hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="Push services that may be used (exact names); nobody, by default. They learn that somebody "
            "here gets a notification, and when, never what it says.",
            examples=[["fcm.googleapis.com", "updates.push.services.mozilla.com", "web.push.apple.com"]],
        ),
    ] = ()
    content: Annotated[
        bool,
        Meta(
            description="Whether messages say, encrypted for the app, who did what. Without it they only say that "
            "there is something new, and the app asks here."
        ),
    ] = False


class PartnerEntry(Section, frozen=True, kw_only=True):
    """A partner: a domain plus terms. There is no federation without one; an empty list is nobody."""

    domain: Annotated[str, Meta(description="The partner's domain, exact. Sub-domains are somebody else.")]
    hosts: Annotated[
        tuple[str, ...],
        Meta(description="Further hosts of a split domain, where its actors live.", examples=[["social.lab.example"]]),
    ] = ()
    state: Annotated[
        Literal["proposed", "active", "paused", "ended"],
        Meta(description="Only active exchanges anything. paused keeps the queue, ended cancels it."),
    ] = "active"
    direction: Annotated[
        Literal["in", "out", "both"],
        Meta(description="Which way posts go: in (theirs to us), out (ours to them), both."),
    ] = "both"
    activity_types: Annotated[
        tuple[str, ...] | None,
        Meta(
            description="The activities exchanged; every known one without this key, none with an empty list. Answers "
            "(Accept, Reject, Undo, Delete, Block) always pass.",
            examples=[["Follow", "Create", "Update", "Announce"]],
        ),
    ] = None
    object_types: Annotated[
        tuple[str, ...] | None, Meta(description="The kinds of posts exchanged.", examples=[["Note", "Question"]])
    ] = None
    ceiling_in: Annotated[
        Word, Meta(description="The widest visibility taken from them; a wider post is refused. public: no ceiling.")
    ] = "public"
    ceiling_out: Annotated[
        Word, Meta(description="The widest visibility sent to them; a wider post is withheld. public: no ceiling.")
    ] = "public"
    media: Annotated[bool, Meta(description="Whether posts with attachments are exchanged.")] = True
    direct_messages: Annotated[
        bool, Meta(description="Whether posts to named people are exchanged (votes in polls are such posts).")
    ] = True
    public_addressing: Annotated[
        bool, Meta(description="Whether documents for them may name as:Public, which their server may show to anybody.")
    ] = False
    include_subdomains: Annotated[bool, Meta(description="Whether every sub-domain of the domain is this partner.")] = (
        False
    )
    networks: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks that this partner alone may resolve to although they are not globally routable.",
            examples=[["10.20.0.0/16"]],
        ),
    ] = ()
    ca_bundle: Annotated[
        str | None,
        Meta(description="PEM file with the CA that signs this partner's certificate.", examples=["tls/lab-ca.pem"]),
    ] = None
    client_cert: Annotated[
        str | None,
        Meta(
            description="PEM file with certificate and key that we show to this partner.", examples=["tls/to-lab.pem"]
        ),
    ] = None
    pinned_key: Annotated[
        str | None,
        Meta(
            description="sha256/<base64> of the public key (SPKI) that the partner's server must have.",
            examples=["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="],
        ),
    ] = None
    rate: Annotated[
        Count | None,
        Meta(description="Requests a minute that we take from them; else limits.inbox_rate.", examples=[1200]),
    ] = None
    owner: Annotated[
        str, Meta(description="Who answers for this partnership.", examples=["security@clinic.example"])
    ] = ""
    reason: Annotated[str, Meta(description="Why it exists.", examples=["joint study on thorax imaging"])] = ""
    ticket: Annotated[str, Meta(description="Where it was decided.", examples=["SEC-1234"])] = ""
    expires_at: Annotated[
        Any,
        Meta(
            description="When the terms end, as a date (00:00 UTC of that day) or a date with time and zone.",
            examples=["2027-12-31"],
        ),
    ] = None
    review_at: Annotated[
        Any, Meta(description="When somebody should look at the terms again.", examples=["2027-06-30"])
    ] = None


class FederationSettings(Section, frozen=True, kw_only=True):
    """What is exchanged with partners, and how deliveries are made."""

    enabled: Annotated[
        bool, Meta(description="The switch for all federation. Off: nothing in, nothing out, and what is queued waits.")
    ] = True
    public_addressing: Annotated[
        bool, Meta(description="Whether documents for every partner may name as:Public; else each partner's terms say.")
    ] = False
    proxy: Annotated[
        str | None,
        Meta(
            description="HTTP proxy for everything that leaves; the environment's is never used. Credentials go into "
            "secrets.toml as proxy_credentials.",
            examples=["http://proxy.clinic.example:3128"],
        ),
    ] = None
    ca_bundle: Annotated[
        str | None,
        Meta(description="PEM file with the CAs to trust instead of the system's.", examples=["tls/ca.pem"]),
    ] = None
    max_in_flight: Annotated[
        int, Meta(ge=1, le=4096, description="Deliveries in flight at a time, to all partners.")
    ] = 64
    per_host: Annotated[int, Meta(ge=1, le=64, description="Deliveries in flight at a time, to one host.")] = 4
    timeout_seconds: Annotated[
        int, Meta(ge=1, le=300, description="The whole of one request to a partner, from the look-up to the last byte.")
    ] = 30
    connect_seconds: Annotated[int, Meta(ge=1, le=60, description="Connecting to a partner, TLS included.")] = 10
    partners: tuple[PartnerEntry, ...] = ()


class Limits(Section, frozen=True, kw_only=True):
    """Every size, count, depth and rate. Rates are requests a minute; what is over is answered 429, 413 or 503."""

    rates: Annotated[
        bool, Meta(description="Whether rates are counted at all. For benchmarks only: switch off nowhere else.")
    ] = True
    api_rate: Annotated[Count, Meta(description="Client requests a minute, per account.")] = 600
    public_rate: Annotated[
        Count,
        Meta(description="Requests a minute without a token or signature, per address (WebFinger, NodeInfo, pages)."),
    ] = 300
    auth_rate: Annotated[Count, Meta(description="Attempts a minute to sign in, per address and per account.")] = 10
    inbox_rate: Annotated[
        Count, Meta(description="Activities a minute from one partner, unless its terms have a rate.")
    ] = 6000
    fetch_rate: Annotated[Count, Meta(description="Signed reads a minute by one partner.")] = 3000
    key_fetch_rate: Annotated[Count, Meta(description="Keys a minute that we fetch from one partner.")] = 30
    inbox_bytes: Annotated[
        int, Meta(ge=64 * KIB, le=16 * MIB, description="The body of an incoming activity. Peers send up to 1 MiB.")
    ] = 1 * MIB
    api_bytes: Annotated[
        int,
        Meta(ge=16 * KIB, le=16 * MIB, description="The body of a client's request, uploads aside (media.max_bytes)."),
    ] = 256 * KIB
    document_bytes: Annotated[
        int, Meta(ge=64 * KIB, le=16 * MIB, description="A document fetched from a partner, decompressed.")
    ] = 1 * MIB
    header_bytes: Annotated[int, Meta(ge=4 * KIB, le=256 * KIB, description="All headers of one request.")] = 32 * KIB
    json_depth: Annotated[int, Meta(ge=8, le=64, description="How deep JSON from outside may nest.")] = 32
    json_items: Annotated[
        int, Meta(ge=1000, le=1_000_000, description="How many values JSON from outside may have in all.")
    ] = 20_000
    redirects: Annotated[
        int, Meta(ge=0, le=5, description="Redirects followed when reading, on the same host. Deliveries follow none.")
    ] = 3
    collection_pages: Annotated[int, Meta(ge=1, le=1000, description="Pages read of one remote collection.")] = 10
    collection_items: Annotated[int, Meta(ge=1, le=100_000, description="Items read of one remote collection.")] = 1000
    thread_depth: Annotated[
        int, Meta(ge=0, le=100, description="How many unknown parents of a reply are fetched, one after the other.")
    ] = 10
    backlog: Annotated[
        Count, Meta(description="Waiting jobs above which new work is answered 503 with Retry-After.")
    ] = 100_000
    retry_after_seconds: Annotated[Seconds, Meta(description="That Retry-After.")] = 30
    connections: Annotated[
        int, Meta(ge=10, le=100_000, description="Connections and requests at a time, per process; more get 503.")
    ] = 2000
    keep_alive_seconds: Annotated[Seconds, Meta(description="How long an idle connection is kept.")] = 15
    request_seconds: Annotated[Seconds, Meta(description="How long a client may take to send its request.")] = 30


class LogSettings(Section, frozen=True, kw_only=True):
    """What is written to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="How much: debug, info, warning or error.")
    ] = "info"
    format: Annotated[
        Literal["text", "json"], Meta(description="text for people, json (one object a line) for machines.")
    ] = "text"


class MetricsSettings(Section, frozen=True, kw_only=True):
    """The page with figures for Prometheus, /metrics."""

    allowed_networks: Annotated[tuple[str, ...], Meta(description="Networks that may read it; nobody else.")] = (
        "127.0.0.0/8",
        "::1/128",
    )


SECTIONS: Mapping[str, type[Section]] = MappingProxyType(
    {
        "server": ServerSettings,
        "database": DatabaseSettings,
        "instance": InstanceSettings,
        "media": MediaSettings,
        "registration": RegistrationSettings,
        "posts": PostSettings,
        "web": WebSettings,
        "push": PushSettings,
        "federation": FederationSettings,
        "limits": Limits,
        "log": LogSettings,
        "metrics": MetricsSettings,
    }
)
"""The tables of instance.toml, in the order in which they are written. `PartnerEntry` is [[federation.partners]]."""
