"""The registry beside the list of Mastodon's documented endpoints: each is there, or left out with a reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.world import new_world

GROUPS = {
    "accounts", "admin/accounts", "admin/canonical_email_blocks", "admin/dimensions", "admin/domain_allows",
    "admin/domain_blocks", "admin/email_domain_blocks", "admin/ip_blocks", "admin/measures", "admin/reports",
    "admin/retention", "admin/trends", "announcements", "annual_reports", "apps", "async_refreshes", "blocks",
    "bookmarks", "conversations", "custom_emojis", "directory", "domain_blocks", "emails", "endorsements",
    "favourites", "featured_tags", "filters", "follow_requests", "followed_tags", "grouped_notifications", "health",
    "instance", "lists", "markers", "media", "mutes", "notifications", "notifications_alpha", "oauth", "oembed",
    "polls", "preferences", "profile", "proofs", "push", "reports", "scheduled_statuses", "search", "statuses",
    "streaming", "suggestions", "tags", "timelines", "trends",
}  # fmt: skip
"""The pages of Mastodon's documentation of methods."""
LIST = Path(__file__).parent / "mastodon_endpoints.txt"
_LINE = re.compile(r"([A-Z]+) (/\S+)(?: — (.+))?\Z")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One documented endpoint; ``reason`` says why it is left out."""

    group: str
    method: str
    path: str
    reason: str | None

    @property
    def shape(self) -> str:
        """The endpoint without the names of what stands in its path."""
        return f"{self.method} {re.sub(r':[a-z_]+', '{}', self.path)}"


def documented() -> list[Endpoint]:
    """The checked-in list."""
    found, group = [], ""
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            group = line.strip("[]")
        elif line and not line.startswith("#"):
            match = _LINE.match(line)
            assert match, f"not an endpoint: {line!r}"
            found.append(Endpoint(group, match[1], match[2], match[3]))
    return found


async def test_every_documented_endpoint_is_there_or_left_out_for_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with new_world(tmp_path) as world:
        org = await world.org("clinic.example")
        names = {route.name for route in org.server.router.routes}
        names |= {socket.name for socket in org.server.router.sockets.values()}
    registered = {re.sub(r"\{[^}]*\}", "{}", name) for name in names}
    wanted = documented()
    assert len({e.shape for e in wanted}) == len(wanted) > 250
    assert {e.group for e in wanted} == GROUPS | {"undocumented"}
    here = [e for e in wanted if e.shape in registered]
    number = len([e for e in here if e.group != "undocumented"])
    of = len([e for e in wanted if e.group != "undocumented"])
    with capsys.disabled():
        print(f"\nMastodon's documented endpoints: {number} / {of} implemented")
        for endpoint in wanted:
            if endpoint.reason:
                print(f"  left out: {endpoint.method} {endpoint.path}: {endpoint.reason}")
    papers = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    assert f"{number} of the {of} endpoints" in papers, "docs/api.md says how many"
    missing = [f"{e.method} {e.path}" for e in wanted if e.shape not in registered and not e.reason]
    assert not missing, "neither there nor left out with a reason: " + ", ".join(missing)
    both = [e.shape for e in here if e.reason]
    assert not both, "there, and yet on the list as left out: " + ", ".join(both)
