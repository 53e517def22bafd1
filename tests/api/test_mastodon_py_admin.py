"""Mastodon.py at a moderator's desk: accounts, reports, domains, blocks, numbers and trends, each answer typed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import mastodon
import pytest

from tests.support.clients import SCOPES, Library, clinic_with, registered, sign_in
from tests.support.process import ServerProcess

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    doors = {"mode": "approval", "confirm_email": False}
    folder = tmp_path_factory.mktemp("clinic")
    with clinic_with(folder, "ana", "ben", "cy", admin="ana", registration=doors) as server:
        yield server


@pytest.fixture(scope="module")
def desk(clinic: ServerProcess) -> Library:
    """ana, who administers, with an app that may."""
    return sign_in(clinic, "ana", [*SCOPES, "admin:read", "admin:write"])


def test_accounts_and_reports(clinic: ServerProcess, desk: Library) -> None:
    ben, cy = sign_in(clinic, "ben"), sign_in(clinic, "cy")
    him = cy.me().id
    said = cy.status_post("rude words")
    reported = ben.report(him, status_ids=[said.id], comment="look at this", category="spam")
    (report,) = desk.admin_reports()
    assert (report.id, report.comment, report.category) == (reported.id, "look at this", "spam")
    assert [s.id for s in report.statuses] == [said.id] and desk.admin_report(report.id).id == report.id
    assert desk.admin_report_assign(report.id).assigned_account is not None
    assert desk.admin_report_unassign(report.id).assigned_account is None
    assert desk.admin_report_resolve(report.id).action_taken is True
    assert desk.admin_report_reopen(report.id).action_taken is False
    assert [n.type for n in desk.notifications(types=["admin.report"])] == ["admin.report"]

    assert {a.username for a in desk.admin_accounts_v2(origin="local")} == {"ana", "ben", "cy"}
    assert [a["username"] for a in desk.admin_accounts_v1(username="cy")] == ["cy"]
    seen = desk.admin_account(him)
    assert (seen.email, seen.confirmed, seen.silenced, seen.account.acct) == ("cy@clinic.example", True, False, "cy")
    desk.admin_account_moderate(him, "silence", report_id=report.id, text="once more and you go")
    assert desk.admin_account(him).silenced is True and desk.admin_report(report.id).action_taken is True
    assert desk.admin_account_unsilence(him).silenced is False
    desk.admin_account_moderate(him, "sensitive")
    assert desk.admin_account_unsensitive(him).sensitized is False
    desk.admin_account_moderate(him, "disable")
    with pytest.raises(mastodon.MastodonUnauthorizedError):
        cy.timeline_home()
    assert desk.admin_account_enable(him).disabled is False
    desk.admin_account_moderate(him, "suspend")
    assert desk.admin_account(him).suspended is True
    assert desk.admin_account_unsuspend(him).suspended is False
    for refused in (ben.admin_accounts_v2, ben.admin_reports):
        with pytest.raises(mastodon.MastodonAPIError, match="403"):
            refused()


def test_domains_and_blocks(desk: Library) -> None:
    allowed = desk.admin_create_domain_allow("lab.example")
    assert [d.domain for d in desk.admin_domain_allows()] == ["lab.example"]
    assert desk.admin_domain_allow(allowed.id).id == allowed.id
    quiet = desk.admin_create_domain_block("lab.example", severity="noop", reject_media=True)
    assert (quiet.severity, quiet.reject_media) == ("noop", True)
    assert desk.admin_update_domain_block(quiet.id, reject_media=True, reject_reports=True).reject_reports is True
    desk.admin_delete_domain_block(quiet.id)
    desk.admin_delete_domain_allow(allowed.id)
    assert desk.admin_domain_allows() == []
    blocked = desk.admin_create_domain_block("noise.example", severity="suspend", private_comment="loud")
    assert (blocked.severity, blocked.private_comment) == ("suspend", "loud")
    assert "noise.example" in [b.domain for b in desk.admin_domain_blocks()]
    desk.admin_delete_domain_block(blocked.id)
    with pytest.raises(mastodon.MastodonAPIError, match="limit its accounts, or use suspend"):
        desk.admin_create_domain_block("noise.example", severity="silence")

    mail = desk.admin_create_email_domain_block("spam.example")
    assert [b.domain for b in desk.admin_email_domain_blocks()] == ["spam.example"]
    assert desk.admin_email_domain_block(mail.id).domain == "spam.example"
    desk.admin_delete_email_domain_block(mail.id)
    shut = desk.admin_create_ip_block("198.51.100.7", "no_access", comment="probes", expires_in=3600)
    assert shut.comment == "probes" and shut.expires_at > datetime.now(UTC)
    assert desk.admin_update_ip_block(shut.id, severity="sign_up_block").severity == "sign_up_block"
    assert [b.id for b in desk.admin_ip_blocks()] == [shut.id] == [desk.admin_ip_block(shut.id).id]
    desk.admin_delete_ip_block(shut.id)
    known = desk.admin_create_canonical_email_block("Who.Ever+x@mail.example")
    assert [b.id for b in desk.admin_test_canonical_email_block("whoever@mail.example")] == [known.id]
    assert [b.id for b in desk.admin_canonical_email_blocks()] == [known.id]
    assert desk.admin_canonical_email_block(known.id).canonical_email_hash == known.canonical_email_hash
    desk.client.admin_delete_canonical_email_block(known.id)  # answered with {}, which the library calls an entity
    assert desk.admin_canonical_email_blocks() == []


def test_numbers_and_trends(desk: Library) -> None:
    desk.status_post("good morning #ward")
    now = datetime.now(UTC)
    span = (now - timedelta(days=2), now)
    measures = desk.admin_measures(*span, active_users=True, new_users=True, interactions=True, opened_reports=True,
                                   resolved_reports=True, tag_uses=desk.tag("ward").id)  # fmt: skip
    totals = {each.key: int(each.total) for each in measures}
    assert totals["new_users"] >= 3 and totals["tag_uses"] == 1 and len(measures[0].data) == 3
    shown = desk.admin_dimensions(*span, languages=True, sources=True, servers=True, space_usage=True,
                                  software_versions=True)  # fmt: skip
    assert {each.key for each in shown} == {"languages", "sources", "servers", "space_usage", "software_versions"}
    assert desk.admin_retention(*span)[-1].data
    for listed in (desk.admin_trending_tags, desk.admin_trending_statuses, desk.admin_trending_links):
        assert listed() == []
    tag = desk.admin_reject_trending_tag(desk.tag("ward").id)
    assert tag.name == "ward" and desk.admin_approve_trending_tag(tag.id).trendable is True


def test_sign_ups_are_approved_or_rejected(clinic: ServerProcess, desk: Library) -> None:
    waiting = {}
    for name in ("dan", "eve"):
        waiting[name] = registered(clinic)
        waiting[name].create_account(
            name, "correct horse battery", f"{name}@clinic.example", agreement=True, reason="I work in the lab"
        )
        with pytest.raises(mastodon.MastodonAPIError, match="pending approval"):
            waiting[name].account_verify_credentials()
    asked = {a.username: a for a in desk.admin_accounts_v2(status="pending")}
    assert asked.keys() == {"dan", "eve"} and asked["dan"].invite_request == "I work in the lab"
    assert desk.admin_account_approve(asked["dan"].id).approved is True
    desk.admin_account_reject(asked["eve"].id)
    assert desk.admin_accounts_v2(status="pending") == []
    assert waiting["dan"].timeline_home() == []
    with pytest.raises(mastodon.MastodonUnauthorizedError):
        waiting["eve"].timeline_home()
