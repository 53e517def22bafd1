"""Public pages: profiles and posts of people here, for browsers of anybody, where ``web.public_pages`` is on.

Plain and calm: no scripts, no forms, nothing loaded from elsewhere. Shown is only what `open_to_anybody` allows, and
what is hidden looks exactly like what does not exist. Switched off, browsers are answered without looking anything up.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape

from fedishare.activitypub.routes import members_page
from fedishare.http.call import Answer, Call
from fedishare.http.pages import page
from fedishare.http.rates import Rates
from fedishare.http.routes import Rate, Route
from fedishare.instance import Instance
from fedishare.model.actors import Actor
from fedishare.model.ids import Id, Millis
from fedishare.model.posts import Content, Poll, Post
from fedishare.store import pages

PAGE = 20
_NUMBER = re.compile(r"[1-9][0-9]{0,18}\Z")
_VARY = ((b"vary", b"Accept, Signature"),)
_PROFILES = ("/@{name}", "/users/{name}")
_POSTS = ("/@{name}/{id}", "/users/{name}/statuses/{id}")


class PublicPages:
    """What a browser without a signature is answered at the addresses of people and posts."""

    def __init__(self, instance: Instance, rates: Rates) -> None:
        self._instance = instance
        self._rates = rates
        self._on = instance.config.web.public_pages

    async def answer(self, call: Call, route: Route) -> Answer:
        """The page; for everything that is not for everybody the same one. Raises `TooMany`."""
        if not self._on:
            return members_page()
        self._rates.take(Rate.PUBLIC, call.client, self._instance.config.limits.public_rate)
        found = None
        if route.path in _PROFILES:
            found = await self._profile(call)
        elif route.path in _POSTS and _NUMBER.match(call.params["id"]):
            found = await self._post(call.params["name"], Id(int(call.params["id"])))
        return found or members_page()

    async def _profile(self, call: Call) -> Answer | None:
        wanted = next((value for key, value in call.query if key == "max_id" and _NUMBER.match(value)), None)
        before = min(int(wanted), pages.LAST) if wanted else pages.LAST
        found = await self._instance.database.read(pages.profile, call.params["name"], before, PAGE)
        if found is None:
            return None
        person, posts = found
        handle = f"@{person.name}@{self._instance.site.names.domain}"
        parts = [f'<p class="quiet">{escape(handle)}</p>', person.profile.summary]
        parts += [f"<p><b>{escape(each.name)}</b>: {each.value}</p>" for each in person.profile.fields]
        parts += [_post(each, person, in_list=True) for each in posts]
        if not posts:
            parts.append("<p>Nothing here is for everybody.</p>")
        if len(posts) == PAGE:
            parts.append(f'<p><a href="{_address(person)}?max_id={posts[-1].id}" rel="next">Older</a></p>')
        return page(_name(person), "".join(parts), headers=_VARY)

    async def _post(self, name: str, ident: Id) -> Answer | None:
        found = await self._instance.database.read(pages.post, name, ident)
        if found is None:
            return None
        person, post = found
        back = f'<p class="quiet"><a href="{_address(person)}">All of {escape(_name(person))}</a></p>'
        return page(_name(person), _post(post, person, in_list=False) + back, headers=_VARY)


def _name(person: Actor) -> str:
    return person.profile.display_name or person.name


def _address(person: Actor) -> str:
    return f"/@{escape(person.name)}"


def _post(post: Post, person: Actor, *, in_list: bool) -> str:
    """One post. Its HTML was made safe when it was written."""
    body = post.content.html + _poll(post.content.poll) + _files(post.content)
    if post.content.summary:
        body = f"<details><summary>{escape(post.content.summary)}</summary>{body}</details>"
    when = _day(post.published) + (", edited" if post.edited_at is not None else "")
    address = f'<a href="{_address(person)}/{post.id}">{when}</a>' if in_list else when
    return f'<article>{body}<p class="quiet">{address}</p></article>'


def _poll(poll: Poll | None) -> str:
    if poll is None:
        return ""
    return f"<ul>{''.join(f'<li>{escape(option.title)}</li>' for option in poll.options)}</ul>"


def _files(content: Content) -> str:
    """What is attached, in words: files are for members and partners."""
    words = [each.description or "without description" for each in content.attachments]
    return "".join(f'<p class="quiet">[{escape(each)}]</p>' for each in words)


def _day(millis: Millis) -> str:
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
