"""What apps from the package index need for a server process: people with passwords, a browser, and no proxies.

`Library` is Mastodon.py whose answers are held against the types that it declares itself: it never complains when
something is missing or of another type, it hands on what came.
"""

from __future__ import annotations

import queue
import re
import sys
import threading
import types
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import mastodon
import requests
from click.testing import CliRunner
from mastodon.types_base import AttribAccessDict, MaybeSnowflakeIdType

from fedishare.cli import cli
from tests.support.process import KEY, Port, ServerProcess, serving, write_config

PASSWORD = "correct horse battery staple"
LONG = 10.0
SCOPES = ["read", "write", "follow", "push"]


@contextmanager
def clinic_with(folder: Path, *names: str, admin: str = "", **tables: Any) -> Iterator[ServerProcess]:
    """A server process with people who have passwords; ``admin`` administers it."""
    port = Port()
    config = write_config(folder, "clinic", port.number, [], **tables)
    for name in names:
        _told(config, "account", "create", name, "--email", f"{name}@clinic.example", "--password-stdin")
    if admin:
        _told(config, "account", "role", admin, "admin")
    try:
        with serving(config, port.number) as server:
            yield server
    finally:
        port.close()


def _told(config: Path, *words: str) -> None:
    """A command of the command line, in this process: an interpreter for each would cost more than all of it."""
    environment = {"FEDISHARE_CONFIG": str(config), "FEDISHARE_SECRET_KEY": KEY}
    done = CliRunner().invoke(cli, words, input=PASSWORD, env=environment)
    assert done.exit_code == 0, (words, done.output)


class Direct(requests.Session):
    """Straight to this machine, whatever proxies and resolvers it has: ``*.localhost`` is here."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def request(self, method: str, url: str, *rest: Any, **kw: Any) -> requests.Response:  # type: ignore[override]
        """Send it."""
        return super().request(method, re.sub(r"//[a-z.]*localhost(?=[:/])", "//127.0.0.1", url), *rest, **kw)


def code_for(address: str, name: str) -> str:
    """What the consent page shows to somebody who signs in, in a browser, and allows it."""
    with Direct() as browser:
        assert browser.get(address, timeout=20).status_code == 200
        form = dict(parse_qsl(urlsplit(address).query)) | {"name": name, "password": PASSWORD, "decision": "allow"}
        page = browser.post(address.partition("?")[0], data=form, timeout=20)
    assert page.status_code == 200, page.text
    found = re.search(r"<code[^>]*>([^<]+)</code>", page.text)
    assert found, page.text
    return unescape(found[1])


class Library:
    """Mastodon.py, with every answer checked."""

    def __init__(self, client: mastodon.Mastodon) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.client, name)
        if not callable(found):
            return found

        def call(*args: Any, **kw: Any) -> Any:
            answer = found(*args, **kw)
            wrong = sorted(set(odd(answer)))
            assert not wrong, f"{name}: {wrong}"
            return answer

        return call


def connect(server: ServerProcess, token: str | None = None, **more: Any) -> Library:
    """The library at a server."""
    made = mastodon.Mastodon(
        access_token=token, api_base_url=f"http://127.0.0.1:{server.port}", request_timeout=20,
        ratelimit_method="throw", session=Direct(), **more,
    )  # fmt: skip
    return Library(made)


def registered(server: ServerProcess, scopes: list[str] = SCOPES) -> Library:
    """The library as an app that the server knows, with nobody signed in."""
    base = f"http://127.0.0.1:{server.port}"
    known = mastodon.Mastodon.create_app("library", scopes=scopes, api_base_url=base, session=Direct())
    return connect(server, client_id=known[0], client_secret=known[1])


def sign_in(server: ServerProcess, name: str, scopes: list[str] = SCOPES) -> Library:
    """As a person does it: the library registers itself, the browser shows a code, and that makes a token."""
    client = registered(server, scopes)
    address = client.auth_request_url(scopes=scopes, allow_http=True, state="s")
    client.log_in(code=code_for(address, name), scopes=scopes, allow_http=True)
    return client


class Ears(mastodon.StreamListener):
    """Hears a stream of the library, in a thread."""

    handle: Any = None

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()

    def handle_heartbeat(self) -> None:
        """The server greets."""
        self.ready.set()

    def on_any_event(self, name: str, data: Any = None, for_stream: Any = None) -> None:
        """Whatever comes."""
        self.events.put((name, data))

    def on_abort(self, err: Exception) -> None:
        """It broke."""
        self.events.put(("abort", err))

    def heard(self) -> tuple[str, Any]:
        """The next event; its kind and its entity, which was checked."""
        kind, data = self.events.get(timeout=LONG)
        assert not list(odd(data)), (kind, data)
        return kind, data


@contextmanager
def listening(stream: Any, *args: Any) -> Iterator[Ears]:
    """``with listening(library.stream_user) as ears``: the server has greeted when the block begins.

    Closing the library's connection waits for the next byte of it, which is seconds; so the thread lives on with
    nobody listening, and ends with the token or the server.
    """
    ears = Ears()
    ears.handle = stream(*args, ears, run_async=True)
    try:
        assert ears.ready.wait(LONG)
        yield ears
    finally:
        ears.handle.closed = True


# What the library declares


def odd(value: Any, where: str = "") -> Iterator[str]:
    """Where an answer is not what the library's own types say; empty when all is well."""
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from odd(each, where)
    elif isinstance(value, AttribAccessDict):
        name = type(value).__name__
        for field, declared in _fields(type(value)).items():
            found = value.get(field)
            if (name, field) in NEWER | OTHERWISE or (found is None and (name, field) in EMPTY):
                continue
            if not _takes(declared, found):
                yield f"{name}.{field} is {found!r}, not {declared}"
            else:
                yield from odd(found)


NEWER = {
    ("Account", "feature_approval"), ("Account", "show_featured"), ("Account", "show_media"),
    ("Account", "show_media_replies"), ("Role", "collection_limit"), ("NotificationPolicy", "for_bots"),
    ("Status", "tagged_collections"), ("SearchV2", "collections"),
    ("PartialAccountWithAvatar", "avatar_description"),
}  # fmt: skip
"""What the library declares and Mastodon 4.5 does not have."""
EMPTY = {
    # null or left out in Mastodon, too: where nobody has set it, or for others than the app itself
    ("AdminAccount", "locale"), ("Application", "id"), ("Application", "redirect_uri"),
    ("Application", "redirect_uris"), ("Application", "scopes"), ("Application", "vapid_key"),
    ("ScheduledStatusParams", "application_id"),
    ("AdminDimensionData", "value"),  # a version is no number
    ("Instance", "contact_account"), ("InstanceContact", "account"),
    # v1's, which the library declares for v2, too; a slip of the pen
    ("Filter", "irreversible"), ("Filter", "phrase"), ("Filter", "whole_word"), ("Report", "rules_ids"),
    # not told to anybody
    ("NodeinfoMetadata", "nodeName"), ("NodeinfoUsage", "localPosts"), ("NodeinfoUsageUsers", "activeHalfyear"),
    ("NodeinfoUsageUsers", "activeMonth"), ("NodeinfoUsageUsers", "total"),
}  # fmt: skip
"""What may be missing although the library does not say so."""
OTHERWISE = {
    ("AdminReport", name) for name in ("account", "target_account", "assigned_account", "action_taken_by_account")
} | {("ScheduledStatusParams", "poll")}
"""Where Mastodon has another entity than the library declares: Admin::Account, and what was asked for a poll."""


@cache
def _fields(entity: type) -> dict[str, Any]:
    found = typing.get_type_hints(entity, vars(sys.modules[entity.__module__]))
    return {name: declared for name, declared in found.items() if not name.startswith("_")}


def _takes(declared: Any, value: Any) -> bool:
    origin, inner = typing.get_origin(declared), typing.get_args(declared)
    if declared is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_takes(each, value) for each in inner)
    if declared is MaybeSnowflakeIdType:
        return isinstance(value, (str, int))
    if origin is not None:
        if issubclass(origin, dict):
            return isinstance(value, dict)
        return isinstance(value, list) and all(_takes(each, one) for one in value for each in inner[:1])
    if declared is float:
        return isinstance(value, (int, float))
    if declared is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if declared is datetime:
        return isinstance(value, datetime)
    return isinstance(value, declared)
