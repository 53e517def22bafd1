"""The exception tree of fedishare.

::

    FedishareError
    ├── BadInput            what a person, an app or a file gave us is wrong       (HTTP 422 or 400)
    │   ├── BadRequest      the request itself is malformed                        (400)
    │   └── ConfigError     instance.toml has problems, each with a key path
    ├── NotSignedIn         no token, or a token that no longer counts             (401)
    ├── NotAllowed          known, but may not                                     (403)
    ├── NotFound            missing, or hidden: the two look alike                 (404)
    ├── Gone                was here, is deleted                                   (410)
    ├── Conflict            the change collides with another one                   (409)
    ├── TooLarge            over a documented limit                                (413)
    ├── TooMany             a rate is used up; carries ``retry_after`` seconds     (429)
    ├── Unavailable         we cannot at the moment; nothing was changed           (503)
    ├── PeerFault           the other server's fault, never ours
    │   ├── SignatureError  its signature is missing, malformed or wrong           (401)
    │   ├── BadDocument     its document is not what the protocol allows           (400)
    │   └── FetchFailed     it could not be reached, or answered with an error
    └── PolicyRefusal       our own guard said no; carries the rule's name         (403)

A message says what was expected, what was found, and what to do. ``status`` is the HTTP status that a surface
answers with. Whose fault it is decides who is told: a `PeerFault` is never logged as our error.
"""

from __future__ import annotations

from enum import StrEnum


class FedishareError(Exception):
    """The root. ``status`` is the HTTP status for it."""

    status = 500

    @property
    def message(self) -> str:
        """The sentence for people."""
        return str(self)


class BadInput(FedishareError):
    """What somebody gave us is wrong; ``path`` names the field, when there is one."""

    status = 422

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class BadRequest(BadInput):
    """The request itself is malformed."""

    status = 400


class ConfigError(BadInput):
    """instance.toml cannot be used. ``problems`` is a tuple of (key path, sentence)."""

    def __init__(self, message: str, problems: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class NotSignedIn(FedishareError):
    """No token, or one that no longer counts."""

    status = 401


class NotAllowed(FedishareError):
    """The viewer is known, but may not do this."""

    status = 403


class NotFound(FedishareError):
    """Missing or hidden; on purpose the two cannot be told apart."""

    status = 404


class Gone(FedishareError):
    """It existed and was deleted."""

    status = 410


class Conflict(FedishareError):
    """The change collides with another one; ``path`` names the field, when there is one."""

    status = 409

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class TooLarge(FedishareError):
    """Over a documented limit."""

    status = 413


class TooMany(FedishareError):
    """A rate is used up. ``retry_after`` is in seconds."""

    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(FedishareError):
    """We cannot at the moment, and nothing was changed. ``retry_after`` is in seconds."""

    status = 503

    def __init__(self, message: str, *, retry_after: int = 30) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PeerFault(FedishareError):
    """The other server did something wrong."""

    status = 400


class SignatureReason(StrEnum):
    """Why a signature does not count."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    NOT_COVERED = "not-covered"
    EXPIRED = "expired"
    FUTURE = "future"
    DIGEST = "digest"
    MISMATCH = "mismatch"
    NO_KEY = "no-key"
    OWNER = "owner"


class SignatureError(PeerFault):
    """A signature is missing, malformed or wrong; ``reason`` says which."""

    status = 401

    def __init__(self, message: str, *, reason: SignatureReason) -> None:
        super().__init__(message)
        self.reason = reason


class BadDocument(PeerFault):
    """A document is not what the protocol allows. ``path`` points into it, when known."""

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class FetchFailed(PeerFault):
    """A fetch or delivery did not succeed. ``http_status`` is None when no answer came at all."""

    status = 502

    def __init__(self, message: str, *, http_status: int | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.retry_after = retry_after


class PolicyRefusal(FedishareError):
    """Our guard refused. ``rule`` is the rule's id, as in `policy explain`."""

    status = 403

    def __init__(self, message: str, *, rule: str) -> None:
        super().__init__(message)
        self.rule = rule
