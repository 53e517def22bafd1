"""Drafts: what the requests that write a post say, read into values with Mastodon's words for what is wrong."""

from __future__ import annotations

import re

from fedishare.api.http import Params
from fedishare.model.errors import BadInput, NotFound
from fedishare.model.ids import Id, Millis, parse_domain
from fedishare.model.posts import (
    LOCAL,
    MAX_POLL_SECONDS,
    MIN_POLL_SECONDS,
    PARTNERS,
    Draft,
    Poll,
    PollOption,
    Reach,
    Visibility,
)
from fedishare.model.quotes import QUOTE_RULES, Rule
from fedishare.services.preferences import with_preferences as with_preferences
from fedishare.services.quotes import NOT_QUOTABLE

MAX_LANGUAGE = 35
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*\Z")


def read_visibility(found: Params) -> Visibility | None:
    word = found.text("visibility")
    visibility = Visibility.from_word(word) if word else None
    if word and visibility is None:
        raise BadInput("Validation failed: Visibility is not included in the list", path="visibility")
    return visibility


def read_reach(found: Params, *, development: bool) -> Reach | None:
    """``reach`` (local, partners, or a list of domains) and ``local_only``; None when neither is given."""
    if "reach" in found:
        words = found.texts("reach")
        if words in (["local"], ["partners"]):
            return LOCAL if words == ["local"] else PARTNERS
        domains = [d for word in words for d in word.split(",") if d.strip()]
        if not domains or "local" in domains or "partners" in domains:
            raise BadInput('reach: "local", "partners" or a list of partner domains was expected', path="reach")
        return Reach(frozenset(parse_domain(d, allow_port=development) for d in domains))
    if "local_only" in found:
        return LOCAL if found.flag("local_only") else PARTNERS
    return None


def read_draft(found: Params, now: Millis, *, development: bool, app_name: str | None) -> Draft:
    """What a post or edit request asks for. Raises `BadInput`."""
    visibility = read_visibility(found)
    text, summary = found.text("status"), found.text("spoiler_text")
    if summary.strip() and not text.strip():
        text, summary = summary, ""  # as Mastodon does: a warning before nothing is the text
    return Draft(
        text=text,
        visibility=visibility,
        reach=read_reach(found, development=development),
        summary=summary,
        sensitive=found.flag("sensitive") if "sensitive" in found else None,
        language=_language(found),
        in_reply_to_id=found.ident("in_reply_to_id"),
        poll=_read_poll(found.section("poll"), now),
        app_name=app_name,
        media_ids=_media_ids(found),
        quoted_id=_quoted(found),
        quote_rule=read_quote_rule(found),
    )


def read_quote_rule(found: Params) -> Rule | None:
    """``quote_approval_policy``; None when it is not given. Raises `BadInput`."""
    word = found.text("quote_approval_policy")
    if word and word not in QUOTE_RULES:
        sentence = "Validation failed: Quote approval policy is not included in the list"
        raise BadInput(sentence, path="quote_approval_policy")
    return QUOTE_RULES.get(word)


def _quoted(found: Params) -> Id | None:
    """``quoted_status_id``. Raises `NotFound` in the words for what cannot be quoted."""
    try:
        return found.ident("quoted_status_id")
    except NotFound as error:
        raise NotFound(NOT_QUOTABLE) from error


def _language(found: Params) -> str | None:
    """The language code; None for none, and for what is no code: a post is not lost because of it."""
    code = found.text("language").strip().replace("_", "-")
    return code if len(code) <= MAX_LANGUAGE and _LANGUAGE.match(code) else None


def _media_ids(found: Params) -> tuple[Id, ...] | None:
    """The uploads to attach, in order; None when the request does not speak of any."""
    if "media_ids" not in found:
        return None
    words = [word for word in found.texts("media_ids") if word]
    if not all(word.isascii() and word.isdigit() and len(word) < 19 for word in words):
        sentence = f"Media {', '.join(words)[:100]} not found or already attached to another post"
        raise BadInput(sentence, path="media_ids")
    return tuple(Id(int(word)) for word in words)


def _read_poll(found: Params | None, now: Millis) -> Poll | None:
    if found is None or not found.texts("options"):
        return None
    seconds = found.number("expires_in", 86400, most=10**9)
    if not MIN_POLL_SECONDS <= seconds <= MAX_POLL_SECONDS:
        wrong = "too soon" if seconds < MIN_POLL_SECONDS else "too far into the future"
        raise BadInput(f"Validation failed: Poll expires at is {wrong}", path="poll.expires_in")
    options = tuple(PollOption(title.strip()) for title in found.texts("options") if title.strip())
    return Poll(
        options, found.flag("multiple"), Millis(now + 1000 * seconds), voters=0, hide_totals=found.flag("hide_totals")
    )
