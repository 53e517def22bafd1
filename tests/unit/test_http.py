"""The dispatcher and what it is made of: paths, rates, parameters from any kind of body, scopes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedishare.api.http import Params, page_of, parse_id
from fedishare.http import rates as rates_module
from fedishare.http.call import Answer, Call
from fedishare.http.rates import Allowance, Rates
from fedishare.http.router import Gates, Router
from fedishare.http.routes import Access, Audience, Rate, Route
from fedishare.model.actors import Viewer
from fedishare.model.errors import BadInput, Conflict, NotFound, TooMany, Unavailable
from fedishare.model.ids import Id
from tests.support.internet import call_asgi

PATHS = (
    "/", "/a", "/a/b", "/a/{id}", "/a/{id}/c", "/a/b/d", "/@{name}", "/@{name}/{id}", "/a/{id}/c/{other}", "/api/x",
)  # fmt: skip


def route(path: str, method: str = "GET", access: Access = Access.OPEN, *, max_body: int = 0, fn: Any = None) -> Route:
    """A line of a registry whose handler says where it was reached."""

    async def here(call: Call) -> Answer:
        return Answer(json.dumps({"path": path, "params": dict(call.params)}).encode())

    scopes = ("read",) if access is Access.TOKEN else ()
    return Route(
        method=method, path=path, handler=fn or here, access=access, scopes=scopes, rate=Rate.PUBLIC, max_body=max_body,
        audience=Audience.METADATA,
    )  # fmt: skip


async def nobody(call: Call, *rest: Any) -> None:
    """No token counts."""


def router(routes: Iterable[Route], *, per_minute: int | None = None, networks: tuple[str, ...] = ()) -> Router:
    """A dispatcher."""
    numbers = {} if per_minute is None else {Rate.PUBLIC: per_minute}
    gates = Gates(nobody, nobody, Rates(), numbers, networks, 0.2)  # type: ignore[arg-type]
    return Router(routes, gates, {})


async def test_a_path_finds_its_route() -> None:
    found = router(route(path) for path in PATHS)
    for path, where, params in (
        ("/", "/", {}), ("/a", "/a", {}), ("/a/", "/a", {}), ("/a/b", "/a/b", {}), ("/a/7", "/a/{id}", {"id": "7"}),
        ("/a/b/c", "/a/{id}/c", {"id": "b"}), ("/a/b/d", "/a/b/d", {}),
        ("/a/7/c/8/", "/a/{id}/c/{other}", {"id": "7", "other": "8"}),
        ("/@ana", "/@{name}", {"name": "ana"}), ("/@ana/7", "/@{name}/{id}", {"name": "ana", "id": "7"}),
    ):  # fmt: skip
        status, _, body = await call_asgi(found, "GET", f"https://x.example{path}", {}, None)
        assert (status, json.loads(body)) == (200, {"path": where, "params": params}), path
    for path in ("/b", "/a//c", "/a/b/e", "/@", "/a/7/c/8/9", "/A", "/a/b/d/e"):
        status, _, body = await call_asgi(found, "GET", f"https://x.example{path}", {}, None)
        assert (status, json.loads(body)) == (404, {"error": "Record not found"}), path


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_path_is_answered(text: str) -> None:
    found = router(route(path) for path in PATHS)
    routes, params = found.find("/" + text)
    assert not params or all(value for value in params.values())
    assert not routes or next(iter(routes.values())).path.count("/") <= ("/" + text).count("/")


def test_two_routes_for_one_thing_cannot_start() -> None:
    for path in ("/a", "/a/{id}"):
        with pytest.raises(ValueError, match="two routes"):
            router([route(path), route(path)])
    assert router([route("/a"), route("/a", "POST")])


async def test_what_goes_wrong_is_answered_and_logged_without_its_inside(caplog: pytest.LogCaptureFixture) -> None:
    def failing(error: Exception) -> Any:
        async def handler(call: Call) -> Answer:
            raise error

        return handler

    errors: dict[str, tuple[Exception, int, dict[str, str]]] = {
        "/bug": (ZeroDivisionError("secret detail"), 500, {}),
        "/busy": (Unavailable("come back", retry_after=7), 503, {"retry-after": "7"}),
        "/rate": (TooMany("slower", retry_after=3), 429, {"retry-after": "3"}),
        "/clash": (Conflict("somebody was faster"), 409, {}),
        "/bad": (BadInput("wrong", path="x"), 422, {}),
    }
    found = router(route(path, fn=failing(error)) for path, (error, _, _) in errors.items())
    for path, (_, wanted, headers) in errors.items():
        status, got, body = await call_asgi(found, "GET", f"https://x.example{path}", {}, None)
        assert status == wanted and headers.items() <= got.items() and set(json.loads(body)) == {"error"}
        assert b"secret" not in body
    assert "secret detail" in caplog.text and caplog.text.count("failed") == 1


async def test_bodies_have_a_size_and_a_time() -> None:
    async def echo(call: Call) -> Answer:
        return Answer(await call.body(10))

    found = router([route("/a", "POST", max_body=10, fn=echo), route("/b", "POST", fn=echo)])
    for body, status in ((b"x" * 10, 200), (b"x" * 11, 413), (b"", 200)):
        assert (await call_asgi(found, "POST", "https://x.example/a", {}, body))[0] == status
    lying = {"content-length": "5"}
    assert (await call_asgi(found, "POST", "https://x.example/a", lying, b"x" * 50))[0] == 413
    for length in ("x", "²", "-1", ""):
        answer = await call_asgi(found, "POST", "https://x.example/a", {"content-length": length}, b"x")
        assert answer[0] in (200, 400), length
    assert (await call_asgi(found, "POST", "https://x.example/b", {}, b"x"))[0] == 413

    async def slow() -> dict[str, Any]:
        await asyncio.sleep(30)
        return {}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    parts = [{"type": "http.request", "body": b"x", "more_body": True}]

    async def receive() -> dict[str, Any]:
        return parts.pop() if parts else await slow()

    scope = {
        "type": "http", "method": "POST", "path": "/a", "raw_path": b"/a", "query_string": b"",
        "headers": [(b"transfer-encoding", b"chunked")], "client": ("192.0.2.1", 1),
    }  # fmt: skip
    await asyncio.wait_for(found(scope, receive, send), 5)
    assert sent[0]["status"] == 400 and b"did not arrive" in sent[1]["body"]


async def test_figures_are_for_operators_networks() -> None:
    found = router([route("/metrics", access=Access.OPERATOR)], networks=("192.0.2.0/24", "::1/128"))
    for client, status in (("192.0.2.9", 200), ("::1", 200), ("192.0.3.1", 404), ("unknown", 404), ("", 404)):
        answer = await call_asgi(found, "GET", "https://x.example/metrics", {}, None, client)
        assert answer[0] == status, client


async def test_a_viewer_without_the_scope_is_told() -> None:
    viewer = Viewer(Id(1), "ana", frozenset({"write"}), Id(2))

    async def ana(call: Call) -> Viewer:
        return viewer

    gates = Gates(ana, nobody, Rates(), {}, ())  # type: ignore[arg-type]
    found = Router([route("/a", access=Access.TOKEN)], gates, {})
    assert (await call_asgi(found, "GET", "https://x.example/a", {}, None))[0] == 403


def test_a_rate_is_used_up_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("fedishare.http.rates.time.monotonic", lambda: now[0])
    rates = Rates()
    assert [rates.take("api", "ana", 3) for _ in range(3)] == [2, 1, 0]
    with pytest.raises(TooMany) as refused:
        rates.take("api", "ana", 3)
    assert refused.value.retry_after == 21
    assert rates.take("api", "ben", 3) == 2 and rates.take("inbox", "ana", 3) == 2
    now[0] += 20
    assert rates.take("api", "ana", 3) == 0
    now[0] += 10_000
    assert rates.take("api", "ana", 3) == 2
    assert [Rates(enabled=False).take("api", "x", 1) for _ in range(5)] == [1] * 5
    for number in range(rates_module.MAX_BUCKETS + 10):
        rates.take("api", f"n{number}", 3)
    assert len(rates._buckets) == rates_module.MAX_BUCKETS
    headers = dict(Allowance(60, 30).headers(0.0))
    assert headers == {
        b"x-ratelimit-limit": b"60", b"x-ratelimit-remaining": b"30", b"x-ratelimit-reset": b"1970-01-01T00:00:30.000Z",
    }  # fmt: skip


def test_parameters_are_read_as_apps_write_them() -> None:
    found = Params({
        "text": "x", "number": 7, "yes": "on", "no": "0", "true": True, "none": None, "list": ["a", 1, None],
        "rows": {"0": "a", "1": "b"}, "group": {"a": "b"}, "big": "9" * 30, "half": 1.5,
    })  # fmt: skip
    assert (found.text("text"), found.text("number"), found.text("none", "d"), found.text("absent")) == (
        "x",
        "7",
        "d",
        "",
    )
    assert [found.flag(n) for n in ("yes", "no", "true", "absent")] == [True, False, True, False]
    assert found.flag("absent", True) is True and found.number("number", 1, most=5) == 5
    assert found.texts("list") == ["a", "1"] and found.texts("rows") == ["a", "b"] and found.texts("text") == ["x"]
    group = found.section("group")
    assert group is not None and group.text("a") == "b" and found.section("absent") is None
    assert "none" not in found and "text" in found and found.raw("half") == 1.5
    for wrong in (
        lambda: found.text("list"), lambda: found.text("true"), lambda: found.flag("text"), lambda: found.flag("list"),
        lambda: found.number("text", 1), lambda: found.number("big", 1), lambda: found.number("half", 1),
        lambda: found.number("true", 1), lambda: found.section("text"), lambda: Params({"a": [[1]]}).texts("a"),
    ):  # fmt: skip
        with pytest.raises(BadInput):
            wrong()
    assert parse_id("0") == 0 and parse_id(str(2**63 - 1)) == 2**63 - 1
    for text in ("", "x", "-1", "1.0", str(2**63), "٣", " 1", "1" * 50):
        with pytest.raises(NotFound):
            parse_id(text)


def test_a_page_is_what_its_parameters_say() -> None:
    page = page_of(Params({"max_id": "9", "since_id": "3", "limit": "100"}))
    assert (page.before, page.after, page.limit, page.upwards) == (9, 3, 40, False)
    page = page_of(Params({"min_id": "5", "since_id": "7"}))
    assert (page.after, page.upwards, page.limit) == (7, True, 20)
    assert page_of(Params({"limit": "-3", "max_id": ""})).limit == 1
