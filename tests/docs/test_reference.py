"""The reference documents say what the code says: settings, routes, policy rules."""

from pathlib import Path

from fedishare.config import all_settings
from fedishare.policy.rules import RULES
from tools import routes, settings

DOCS = Path(__file__).resolve().parents[2] / "docs"


def headings(name: str) -> set[str]:
    text = (DOCS / name).read_text(encoding="utf-8")
    return {line.lstrip("#").strip().strip("`") for line in text.splitlines() if line.startswith("#")}


def test_every_setting_is_documented_as_the_code_describes_it() -> None:
    assert {setting.path for setting in all_settings()} <= headings("settings.md")
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == settings.page()


async def test_every_route_is_documented_with_what_it_declares() -> None:
    assert (DOCS / "routes.md").read_text(encoding="utf-8") == routes.page(await routes.registered())


def test_every_policy_rule_is_documented() -> None:
    assert {rule.id for rule in RULES} <= headings("policy.md")
