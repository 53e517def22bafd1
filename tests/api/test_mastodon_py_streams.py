"""Mastodon.py listens: every stream that it knows, in threads of its own, and what a push service gets for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.support.clients import LONG, Library, clinic_with, listening, sign_in
from tests.support.process import ServerProcess, command

pytestmark = pytest.mark.e2e


class PushService(HTTPServer):
    """A push service on loopback that keeps what it gets."""

    def __init__(self) -> None:
        self.got: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        super().__init__(("127.0.0.1", 0), _Keep)

    @property
    def host(self) -> str:
        """As the operator lists it."""
        return f"push.localhost:{self.server_port}"


class _Keep(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Keep a message."""
        body = self.rfile.read(int(self.headers["content-length"]))
        assert isinstance(self.server, PushService)
        self.server.got.put(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(201)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *words: Any) -> None:
        """Say nothing."""


@contextmanager
def push_service() -> Iterator[PushService]:
    service = PushService()
    thread = threading.Thread(target=service.serve_forever)
    thread.start()
    try:
        yield service
    finally:
        service.shutdown()
        thread.join()
        service.server_close()


@pytest.fixture(scope="module")
def push() -> Iterator[PushService]:
    with push_service() as made:
        yield made


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory, push: PushService) -> Iterator[ServerProcess]:
    """A server with three people, and a push service that its operator listed."""
    folder = tmp_path_factory.mktemp("clinic")
    with clinic_with(folder, "ana", "ben", "cy", push={"hosts": [push.host], "content": True}) as server:
        yield server


@pytest.fixture(scope="module")
def people(clinic: ServerProcess) -> tuple[Library, Library, Library]:
    """ana, ben and cy, signed in."""
    ana, ben, cy = [sign_in(clinic, name) for name in ("ana", "ben", "cy")]
    return ana, ben, cy


def test_a_client_library_hears_home_notifications_edits_and_deletes(
    clinic: ServerProcess, people: tuple[Library, Library, Library]
) -> None:
    ana, ben, _ = people
    ben.account_follow(ana.me().id)
    with listening(ben.stream_user) as home, listening(ben.stream_user_notifications) as told:
        said = ana.status_post("hello @ben")
        events = dict([home.heard(), home.heard()])
        assert events["update"].id == said.id and events["notification"].status.id == said.id
        kind, note = told.heard()
        assert (kind, note.type, note.account.acct) == ("notification", "mention", "ana")
        ana.status_update(said.id, "hello again @ben")
        kind, edited = home.heard()
        assert kind == "status.update" and "again" in edited.content
        ana.status_delete(said.id)
        kind, gone = home.heard()
        assert kind == "delete" and str(gone) == str(said.id)
        ben.filter_create("bird", ["home"])
        assert home.heard()[0] == "filters_changed"
        made = command(clinic.config, "announcement", "add", "Lunch at noon").split()[-1].rstrip(".")
        kind, announced = home.heard()
        assert (kind, announced.id) == ("announcement", made) and "Lunch" in announced.content
        ana.announcement_reaction_create(announced, "👍")
        kind, reaction = home.heard()
        assert (kind, reaction.name, reaction.count) == ("announcement.reaction", "👍", 1)
        command(clinic.config, "announcement", "remove", made)
        assert home.heard()[0] == "announcement.delete"


def test_a_client_library_hears_public_hashtag_list_and_direct_streams(
    people: tuple[Library, Library, Library],
) -> None:
    ana, ben, cy = people
    ana.account_follow(cy.me().id)
    lab = ana.list_create("Lab")
    ana.list_accounts_add(lab, [cy.me().id])
    with (
        listening(ana.stream_public) as public,
        listening(ana.stream_local) as local,
        listening(ana.stream_hashtag, "xray") as tagged,
        listening(ana.stream_list, lab) as listed,
        listening(ana.stream_direct) as direct,
    ):
        plain = ben.status_post("plain")
        look = cy.status_post("look #XRay")
        for ears, wanted in ((public, [plain, look]), (local, [plain, look]), (tagged, [look]), (listed, [look])):
            assert [ears.heard()[1].id for _ in wanted] == [each.id for each in wanted]
        said = ben.status_post("@ana psst", visibility="direct")
        kind, conversation = direct.heard()
        assert (kind, conversation.last_status.id, conversation.unread) == ("conversation", said.id, True)
        assert public.events.empty() and tagged.events.empty() and listed.events.empty()
    ana.list_delete(lab)


def test_a_stream_ends_with_its_token(clinic: ServerProcess, people: tuple[Library, Library, Library]) -> None:
    again = sign_in(clinic, "ana")
    with listening(again.stream_user) as home:
        said = people[0].status_post("still here")
        assert home.heard()[1].id == said.id
        again.revoke_access_token(allow_http=True)
        home.handle.join(LONG)
        assert not home.handle.is_alive()
    assert people[0].stream_healthy() is True


def test_a_client_library_reads_its_push_messages(people: tuple[Library, Library, Library], push: PushService) -> None:
    ana, ben, _ = people
    private, public = ana.push_subscription_generate_keys()
    made = ana.push_subscription_set(f"http://{push.host}/device", public, mention_events=True, favourite_events=False)
    assert made.alerts.mention is True and made.alerts.favourite is False
    assert made.server_key == ana.instance_v2().configuration.vapid.public_key
    assert ana.push_subscription().id == made.id
    ben.status_post("@ana the scan is ready")
    headers, body = push.got.get(timeout=LONG)
    assert b"scan" not in body
    message = ana.push_subscription_decrypt_push(body, private, headers["encryption"], headers["crypto-key"])
    note = ana.notifications(limit=1)[0]
    assert (str(message.notification_id), message.notification_type) == (str(note.id), "mention")
    assert message.body == "@ana the scan is ready" and message.access_token == ana.access_token
    changed = ana.push_subscription_update(mention_events=False, favourite_events=True)
    assert changed.alerts.favourite is True
    said = ana.status_post("thanks")
    ben.status_post("@ana not told")
    ben.status_favourite(said)
    headers, body = push.got.get(timeout=LONG)
    message = ana.push_subscription_decrypt_push(body, private, headers["encryption"], headers["crypto-key"])
    assert message.notification_type == "favourite"
    ana.push_subscription_delete()
    assert push.got.empty()
