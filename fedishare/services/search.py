"""Search: what is taken in of posts and profiles, and what a query finds of what one may read.

Posting only notes that something waits (`fedishare.store.search`). The words are made later, in batches: by
housekeeping when there is time, and before a search for whatever is newest, so that everybody finds what they have just
written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from fedishare.model.actors import Actor
from fedishare.model.errors import BadInput
from fedishare.model.ids import Handle, Id, Millis, id_at, unicode_domain
from fedishare.model.posts import Post, Visibility
from fedishare.services.site import Site
from fedishare.store import actors, search
from fedishare.store.db import Tx
from fedishare.store.paging import Page
from fedishare.text import plain_text
from fedishare.text.query import EVERYTHING, FIRST_YEAR, Author, Clause, Query, date_words
from fedishare.text.words import fold, index_text, words

BATCH = 100
"""Posts or profiles that are taken in at once: some ten milliseconds of work."""
MAX_NAME_WORDS = 8

_CODE = re.compile("[a-z0-9_]{1,40}")
_LINK = re.compile(r"<a\s([^>]*)>")
_ATTACHMENT = {"image": "image", "gifv": "video", "video": "video", "audio": "audio"}


# Taking in


def take_in(tx: Tx) -> int:
    """Take in a batch of what waits, the newest first; how many that were."""
    found, gone = search.waiting_posts(tx, BATCH)
    if found or gone:
        search.put_posts(tx, {post.id: post_words(post) for post in found}, gone)
        return len(found) + len(gone)
    people, left = search.waiting_actors(tx, BATCH)
    if people or left:
        search.put_actors(tx, {actor.id: actor_words(actor) for actor in people}, left)
    return len(people) + len(left)


def post_words(post: Post) -> str:
    """What a post is found by: all of its text, and a word for each fact that operators ask for."""
    content = post.content
    parts = [content.summary, content.title, plain_text(content.html)]
    parts += [each.description or "" for each in content.attachments]
    parts += [option.title for option in content.poll.options] if content.poll else []
    # A mention shows the name alone; people look for the handle, too.
    parts += [str(mention.handle) for mention in content.mentions if mention.handle.domain and not mention.silent]
    return index_text(parts, _facts(post))


def _facts(post: Post) -> Iterable[str]:
    content = post.content
    yield EVERYTHING
    yield f"from:{post.author_id}"
    yield from date_words(_day(post.published))
    if post.visibility is Visibility.PUBLIC:
        yield "is:public"
    if post.in_reply_to_id is not None or post.in_reply_to_iri is not None:
        yield "is:reply"
    if content.sensitive:
        yield "is:sensitive"
    if content.language:
        code = content.language.lower().replace("-", "_")
        yield from dict.fromkeys(f"language:{each}" for each in (code, code.partition("_")[0]) if _CODE.fullmatch(each))
    if content.attachments:
        yield "has:media"
        kinds = {_ATTACHMENT.get(each.kind) for each in content.attachments}
        yield from (f"has:{kind}" for kind in sorted(filter(None, kinds)))
    if content.poll:
        yield "has:poll"
    if any("mention" not in each and "hashtag" not in each for each in _LINK.findall(content.html)):
        yield "has:link"


def _day(moment: Millis) -> date:
    try:
        found = datetime.fromtimestamp(moment / 1000, UTC).date()
    except (OverflowError, OSError, ValueError):
        return date(FIRST_YEAR, 1, 1)
    return max(found, date(FIRST_YEAR, 1, 1))


def actor_words(actor: Actor) -> str:
    """What somebody is found by: name, display name and domain."""
    if actor.state >= 2:
        return index_text((actor.name,))
    domain = unicode_domain(actor.domain) if actor.domain else ""
    return index_text((actor.name, actor.profile.display_name, domain))


# Asking


def posts(tx: Tx, site: Site, query: Query, viewer: Id, page: Page, *, skip: int = 0, by: Id | None = None) -> list[Id]:
    """The posts that a query finds and that ``viewer`` may see, the newest first; ``by``: of one author."""
    if not query:
        return []
    clauses = [*query.clauses, *(_author(tx, site, each, viewer) for each in query.authors)]
    if by is not None:
        clauses.append(Clause(((f"from:{by}",),)))
    after = page.after
    if query.since is not None:  # a post is here later than it was published, never earlier
        after = max(after, id_at(_start_of(query.since)) - 1)
    library = {None: 0, True: 1, False: 2}[query.library]
    return search.find_posts(
        tx, written(clauses), viewer, before=page.before, after=after, limit=page.limit, skip=skip, library=library
    )


def _start_of(day: date) -> Millis:
    return Millis(int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000)


def _author(tx: Tx, site: Site, author: Author, viewer: Id) -> Clause:
    ident = viewer if author.name.lower() == "me" else _known(tx, site, author.name)
    return Clause(((f"from:{ident}",),), author.negative)


def _known(tx: Tx, site: Site, name: str) -> Id:
    """The id of a handle, or 0, which nobody has."""
    found = exact(tx, site, name)
    return found.id if found is not None else Id(0)


def exact(tx: Tx, site: Site, name: str) -> Actor | None:
    """Who has exactly that handle, as far as we know them."""
    try:
        handle = Handle.parse(name, development=site.development)
    except BadInput:
        return None
    handle = replace(handle, domain=None) if handle.domain == site.names.domain else handle
    found = actors.by_handle(tx, handle)
    return found if found is not None and is_there(found) else None


def is_there(actor: Actor) -> bool:
    """Whether somebody can be found at all, by whatever they are asked for: nobody who is suspended, or no person."""
    return actor.state < 2 and actor.name != actors.INSTANCE_ACTOR


def written(clauses: Sequence[Clause]) -> str:
    """Clauses as the store takes them. There is always something that is wanted."""
    terms = [
        ("!" if clause.negative else "")
        + "|".join("+".join(phrase) + ("*" if clause.prefix else "") for phrase in clause.phrases)
        for clause in clauses
    ]
    if all(clause.negative for clause in clauses):
        terms.append(EVERYTHING)
    return " ".join(terms)


def people(
    tx: Tx, site: Site, text: str, viewer: Id, *, following: bool = False, limit: int = 40, skip: int = 0
) -> list[Actor]:
    """Known people: by whole handle first, then by the beginnings of words of their names."""
    text = text.strip()
    wanted = words(text)[:MAX_NAME_WORDS]
    if not wanted:
        return []
    query = written([Clause(((word,),), prefix=True) for word in wanted])
    name = fold(text.removeprefix("@")).partition("@")[0]
    found = search.find_people(tx, query, name, viewer, following=following, limit=limit, skip=skip)
    first = exact(tx, site, text) if "@" in text.removeprefix("@") and skip == 0 and not following else None
    if first is None:
        return found
    return [first, *(each for each in found if each.id != first.id)][:limit]
