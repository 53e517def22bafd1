"""Callers: whom a token speaks for, and, where it is a good token and yet does not count, what Mastodon says then."""

from __future__ import annotations

from fedishare.api.http import Api
from fedishare.http.call import Call
from fedishare.model.actors import Viewer
from fedishare.model.errors import BadInput, NotAllowed
from fedishare.services import accounts
from fedishare.store import credentials


async def caller(api: Api, call: Call) -> Viewer | None:
    """The viewer of a call; None without a valid token.

    Raises `BadInput` for an app's own token, which is nobody's, and `NotAllowed` for people who wait for approval.
    """
    viewer = await api.authenticate(call)
    kind, _, token = call.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if viewer is not None or kind.lower() != "bearer" or not 0 < len(token) <= 512:
        return viewer
    standing = await api.database.read_fast(credentials.standing, accounts.token_hash(token))
    if standing is None:
        return None
    if not standing.person:
        raise BadInput("This method requires an authenticated user")
    if standing.disabled:
        raise NotAllowed("Your login is currently disabled")
    if not standing.approved:
        raise NotAllowed("Your login is currently pending approval")
    return None
