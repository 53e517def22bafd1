"""The demo's lines: ✓ only for what was seen, ✗ and a failing end for what was not."""

from __future__ import annotations

import io

from fedishare.demo.screen import NotSo, Screen, same, want


def test_a_line_waits_until_it_is_true() -> None:
    screen = Screen(io.StringIO(), deadline=5)
    seen: list[int] = []

    def look() -> int:
        seen.append(1)
        want(len(seen) > 2, "not yet")
        return len(seen)

    assert screen.check("it happened", look) == 3
    assert screen.failed == [] and screen.checked == 1
    assert "✓  it happened" in str(screen.out.getvalue())  # type: ignore[attr-defined]


def test_a_line_that_does_not_come_true_is_told() -> None:
    out = io.StringIO()
    screen = Screen(out, deadline=0.1)
    assert screen.check("it happened", lambda: same("no", "yes")) is None
    assert screen.check("it answers", lambda: dict[str, str]()["key"]) is None

    def never() -> None:
        raise NotSo("")

    assert screen.check("soon", never, within=0.0) is None
    assert screen.failed == ["it happened", "it answers", "soon"] and screen.checked == 3
    assert "✗  it happened  found: 'no' instead of 'yes'" in out.getvalue()
    assert "\x1b" not in out.getvalue(), "colour is for terminals"
