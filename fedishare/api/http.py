"""What every API handler needs: the token's viewer, parameters from any kind of body, paging, and the wiring."""

from __future__ import annotations

import contextlib
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from fedishare.activitypub.federation import Federation
from fedishare.api.rendering import Renderer
from fedishare.http.call import Answer, Call, json_answer
from fedishare.media.tickets import Tickets
from fedishare.model.activities import ActorChanged, TokenRevoked
from fedishare.model.actors import Viewer
from fedishare.model.errors import BadInput, BadRequest, FedishareError, NotFound, Unavailable
from fedishare.model.ids import Id, Millis
from fedishare.services import accounts
from fedishare.services.preferences import Preferences as Preferences
from fedishare.store import credentials
from fedishare.store.db import NoticesLost, Tx
from fedishare.store.timelines import Page
from fedishare.webpush import Sender

P = ParamSpec("P")
R = TypeVar("R")

MAX_ID = 2**63 - 1
STREAMING = "/api/v1/streaming/"
MAX_TOKENS_KEPT = 5_000
TRUE = frozenset(("1", "true", "t", "on", "yes", "y"))
FALSE = frozenset(("", "0", "false", "f", "off", "no", "n"))
_NESTED = re.compile(r"\[([^\[\]]*)\]")
MAX_FIELDS = 500
MAX_DEPTH = 4


class Api:
    """The client API of one instance."""

    def __init__(self, federation: Federation) -> None:
        self.federation = federation
        self.instance = federation.instance
        self.database = federation.instance.database
        self.site = federation.instance.site
        self.tickets = Tickets(self.instance.config.secret_key)
        self.sender = Sender(self.instance.config.secret_key, self.site.names.origin)
        self.renderer = Renderer(self.site, self.tickets)
        self._viewers: OrderedDict[str, tuple[Viewer, Millis]] = OrderedDict()
        self._forgotten = 0
        self.database.on_notice(self._forget)

    async def write_shown(self, fn: Callable[Concatenate[Tx, Renderer, P], R], /, *args: P.args, **kw: P.kwargs) -> R:
        """Run a change that answers with what it rendered; the fragments are kept once it is committed."""

        def run(tx: Tx) -> tuple[R, Renderer]:
            draft = self.renderer.draft()
            return fn(tx, draft, *args, **kw), draft

        result, draft = await self.database.write(run)
        self.renderer.keep(draft)
        return result

    def _forget(self, notice: object) -> None:
        # One revocation path: whatever ends a token, a session or an account ends what is kept of it here.
        if isinstance(notice, (TokenRevoked, NoticesLost)):
            self._forgotten += 1
            self._viewers.clear()
        elif isinstance(notice, ActorChanged):
            self._forgotten += 1
            for key in [k for k, v in self._viewers.items() if v[0].id == notice.actor_id]:
                del self._viewers[key]

    async def authenticate(self, call: Call) -> Viewer | None:
        """Whom the call's bearer token speaks for; None when there is none, or it does not count."""
        kind, _, token = call.headers.get("authorization", "").partition(" ")
        if not kind and call.path.startswith(STREAMING):
            token = dict(call.query).get("access_token", "")  # a browser's EventSource can send no header
            return await self.bearer(token)
        return await self.bearer(token.strip()) if kind.lower() == "bearer" else None

    async def bearer(self, token: str) -> Viewer | None:
        """Whom a bearer token speaks for; None when it does not count."""
        if not token or len(token) > 512:
            return None
        hashed = accounts.token_hash(token)
        now = self.instance.clock()
        kept = self._viewers.get(hashed)
        if kept is not None and now < kept[1]:
            return kept[0]
        forgotten = self._forgotten
        viewer = await self.database.read_fast(credentials.viewer, hashed)
        if viewer is None:
            return None
        with contextlib.suppress(Unavailable):  # what may be read can be read from a full disk, too
            await self.database.write(accounts.touch, viewer.id, viewer.token_id)
        if forgotten != self._forgotten:
            return viewer  # something was revoked meanwhile, perhaps this token: ask again the next time
        # Expiry is asked again within the minute; revocation comes as a notice.
        self._viewers[hashed] = (viewer, Millis(now + 60_000))
        if len(self._viewers) > MAX_TOKENS_KEPT:
            self._viewers.popitem(last=False)
        return viewer


class Params:
    """The parameters of a request, from query and body together, nested as apps write them.

    Unknown ones are ignored; values are text, numbers and booleans as JSON has them, or text from forms.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def names(self, name: str) -> bool:
        """Whether the request speaks of it, even if only to empty it."""
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        """A text. Raises `BadInput`."""
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise BadInput(f"{name}: text was expected, found {_kind(value)}", path=name)
        return str(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """A yes or no. Raises `BadInput`."""
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower() if isinstance(value, (str, int)) else "?"
        if word in TRUE:
            return True
        if word in FALSE:
            return False
        raise BadInput(f"{name}: true or false was expected, found {str(value)[:40]!r}", path=name)

    def number(self, name: str, default: int, *, least: int = 0, most: int = MAX_ID) -> int:
        """A whole number, moved into the range. Raises `BadInput`."""
        value = self._values.get(name)
        if value is None or value == "":
            return default
        try:
            found = int(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
        except ValueError:
            found = None
        if found is None or len(str(value)) > 20:
            raise BadInput(f"{name}: a whole number was expected, found {str(value)[:40]!r}", path=name)
        return max(least, min(most, found))

    def ident(self, name: str) -> Id | None:
        """A local id, or None when it is not given. Raises `NotFound` for text that is no id."""
        value = self._values.get(name)
        return None if value is None or value == "" else parse_id(str(value))

    def texts(self, name: str) -> list[str]:
        """A list of texts; a single one counts as a list. Raises `BadInput`."""
        value = self._values.get(name)
        if value is None:
            return []
        items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]
        if any(isinstance(item, (dict, list, bool)) for item in items):
            raise BadInput(f"{name}: a list of texts was expected", path=name)
        return [str(item) for item in items if item is not None]

    def section(self, name: str) -> Params | None:
        """A nested group (``poll``, ``source``). Raises `BadInput`."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, dict):
            raise BadInput(f"{name}: an object was expected, found {_kind(value)}", path=name)
        return Params(value)

    def raw(self, name: str) -> Any:
        """The value as it came."""
        return self._values.get(name)


def _kind(value: object) -> str:
    return {dict: "an object", list: "a list", bool: "true or false", str: "text"}.get(type(value), "a number")


def parse_id(text: str) -> Id:
    """A local id from a path or parameter. Raises `NotFound`, because nothing has an id of another form."""
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > MAX_ID:
        raise NotFound("Record not found")
    return Id(int(text))


async def params(call: Call) -> Params:
    """Query and body together. JSON, form and multipart bodies are taken everywhere. Raises `BadRequest`."""
    pairs: list[tuple[str, Any]] = list(call.query)
    body = await call.body(MAX_ID)
    if not body:
        return Params(_nest(pairs))
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return Params({**_nest(pairs), **_from_json(body)})
    if kind == "multipart/form-data":
        pairs += await _from_multipart(call, body)
    else:
        pairs += _from_form(body)
    return Params(_nest(pairs))


@contextlib.asynccontextmanager
async def streamed(call: Call, limit: int) -> AsyncIterator[Params]:
    """The same for a route that streams. Files of a multipart body are written aside as they come; they are found in
    `Params.raw` as ``UploadFile``, and gone at the end of the block. Raises `TooLarge` too.
    """
    if not call.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        await call.body(limit)
        yield await params(call)
        return
    form = await _parse_multipart(call, call.parts(limit))
    try:
        yield Params(_nest([*call.query, *form.multi_items()]))
    finally:
        await form.close()


def _from_json(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadRequest(f"the body is {_kind(value)}; a JSON object was expected")
    return value


def _from_form(body: bytes) -> list[tuple[str, Any]]:
    try:
        return list(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"))
    except ValueError as error:
        raise BadRequest("the body cannot be read as a form") from error


async def _from_multipart(call: Call, body: bytes) -> list[tuple[str, Any]]:
    async def chunks() -> AsyncIterator[bytes]:
        yield body

    form = await _parse_multipart(call, chunks())
    try:
        for name, value in form.multi_items():
            if not isinstance(value, str):
                raise BadInput(f"{name[:40]}: a file was not expected here", path=name)
        return list(form.multi_items())
    finally:
        await form.close()


async def _parse_multipart(call: Call, chunks: AsyncIterator[bytes]) -> FormData:
    failed: list[FedishareError] = []

    async def guarded() -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in chunks:
                yield chunk
        except FedishareError as error:
            # In the parser's own words, so that it closes what it has written aside.
            failed.append(error)
            raise MultiPartException(error.message) from error

    try:
        parser = MultiPartParser(
            Headers(raw=list(call.scope["headers"])), guarded(), max_files=20, max_fields=MAX_FIELDS
        )
        return await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        if failed:
            raise failed[0] from error
        raise BadRequest(f"the body cannot be read as multipart: {error}") from error


def _nest(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """``poll[options][]=a`` becomes ``{"poll": {"options": ["a"]}}``; the last of repeated plain names wins."""
    result: dict[str, Any] = {}
    for name, value in pairs:
        head, bracket, _ = name.partition("[")
        keys = [head, *_NESTED.findall(name)] if bracket else [name]
        if keys[-2:] == ["", ""]:
            del keys[-1]  # a list written twice, as Mastodon.py writes ``id[][]``, is one
        if len(keys) > MAX_DEPTH:
            raise BadRequest(f"the parameter {name[:40]!r} is nested too deeply")
        _put(result, keys, value, name)
    return result


def _put(target: dict[str, Any], keys: Sequence[str], value: Any, name: str) -> None:
    for at, key in enumerate(keys[:-1]):
        is_list = keys[at + 1] == ""
        following = target.setdefault(key, [] if is_list else {})
        if is_list and isinstance(following, list):
            _append(following, keys[at + 2 :], value, name)
            return
        if is_list or not isinstance(following, dict):
            raise BadRequest(f"the parameter {name[:40]!r} is given in two forms")
        target = following
    target[keys[-1]] = value


def _append(items: list[Any], keys: Sequence[str], value: Any, name: str) -> None:
    """``x[]=1`` is one more of a list; ``x[][y]=1`` a part of its last object, or of a new one if that has a ``y``."""
    if not keys:
        items.append(value)
        return
    if len(keys) > 1:
        raise BadRequest(f"the parameter {name[:40]!r} is nested too deeply")
    if not items or not isinstance(items[-1], dict) or keys[0] in items[-1]:
        items.append({})
    items[-1][keys[0]] = value


def page_of(found: Params, *, limit: int = 20, most: int = 40) -> Page:
    """The page that ``max_id``, ``since_id``, ``min_id`` and ``limit`` describe, each with its own meaning."""
    before = found.number("max_id", MAX_ID)
    since, least = found.number("since_id", 0), found.number("min_id", 0)
    return Page(before, max(since, least), found.number("limit", limit, least=1, most=most), upwards="min_id" in found)


@dataclass(frozen=True, slots=True)
class Cursors:
    """The ids at both ends of a page: that of the newest and that of the oldest entry."""

    newest: Id
    oldest: Id


def link_header(api: Api, call: Call, cursors: Cursors | None) -> tuple[tuple[bytes, bytes], ...]:
    """``Link`` to the next (older) and previous (newer) page, with the other parameters of the request kept."""
    if cursors is None:
        return ()
    kept = [(k, v) for k, v in call.query if k not in ("max_id", "since_id", "min_id")]
    base = f"{api.site.names.origin}{call.path}"
    older = f"{base}?{urlencode([*kept, ('max_id', str(cursors.oldest))])}"
    newer = f"{base}?{urlencode([*kept, ('min_id', str(cursors.newest))])}"
    return ((b"link", f'<{older}>; rel="next", <{newer}>; rel="prev"'.encode()),)


def paged(api: Api, call: Call, body: object, idents: Sequence[Id]) -> Answer:
    """A JSON list with its ``Link`` header; ``idents`` are the paging ids of its entries, newest first."""
    cursors = Cursors(idents[0], idents[-1]) if idents else None
    return json_answer(body, headers=link_header(api, call, cursors))
