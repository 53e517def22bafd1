"""How the client API's lines of the registry are written: what they have in common is said once.

Each noun's module names its own lines in a function ``routes(api, line)``; `fedishare.api.routes` puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.http.routes import Access, Audience, Handler, Rate, Route

SEEN, OWN = Audience.CAN_SEE, Audience.OWN
ANY_READ = "read:accounts read:statuses read:notifications read:search"
"""For what Mastodon shows to everybody, so that apps ask for no scope because of it."""


@dataclass(frozen=True, slots=True)
class Table:
    """Makes lines for one instance, whose ``limit`` is the most bytes of an ordinary body."""

    limit: int

    def line(self, method: str, path: str, scope: str, handler: Handler, audience: Audience = SEEN) -> Route:
        """For bearers of a token with ``scope``, or one of several. ``audience``: what decides about what is shown."""
        return Route(
            method=method, path=path, handler=handler, access=Access.TOKEN, scopes=tuple(scope.split()), rate=Rate.API,
            max_body=self.limit, audience=audience,
        )  # fmt: skip

    def described(self, path: str, handler: Handler) -> Route:
        """A description of the instance that apps read before anybody signs in: nothing of anybody's posts."""
        return Route(
            method="GET", path=path, handler=handler, access=Access.APP, scopes=(), rate=Rate.PUBLIC, max_body=0,
            audience=Audience.METADATA,
        )  # fmt: skip

    def before(self, method: str, path: str, handler: Handler) -> Route:
        """What apps call before anybody is signed in."""
        return Route(
            method=method, path=path, handler=handler, access=Access.APP, scopes=(), rate=Rate.PUBLIC,
            max_body=0 if method == "GET" else self.limit, audience=Audience.METADATA,
        )  # fmt: skip
