"""Uploads as ActivityStreams objects: ``uploadMedia`` of ActivityPub's client side, the same uploads as the API's."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import UploadFile

from fedishare.activitypub import strictjson
from fedishare.activitypub.documents import answer
from fedishare.api.http import Api, Params, parse_id, streamed
from fedishare.api.media import MediaApi
from fedishare.api.table import OWN
from fedishare.api.uploads import BLANK, file_of, too_large
from fedishare.http.call import Answer, Call
from fedishare.http.routes import Access, Rate, Route
from fedishare.model.errors import BadDocument, BadInput, TooLarge
from fedishare.model.ids import Id
from fedishare.model.media import Media, MediaState
from fedishare.services import media as service
from fedishare.services.media import Note, check_description
from fedishare.text import clean_text

MAX_OBJECT = 16 * 1024
"""Bytes of what is said about an upload."""
_TYPES = {"image": "Image", "gifv": "Video", "video": "Video", "audio": "Audio"}


@dataclass(frozen=True, slots=True)
class UploadedObjects:
    """The handlers."""

    api: Api
    media: MediaApi

    async def create(self, call: Call) -> Answer:
        """``POST`` to ``uploadMedia``: ``file``, and ``object`` with name or summary; 201, and its id as Location."""
        largest = self.api.instance.config.media.max_bytes
        try:
            async with streamed(call, self.media.max_body) as found:
                source = file_of(found, "file", largest)
                if source is None:
                    raise BadInput(BLANK, path="file")
                made = await self.media.take(call.me.id, source, await _said(found), wait=False)
        except TooLarge as error:
            raise too_large(largest) from error
        location = self._id(made.id).encode()
        done = answer(self._object(made), status=201)
        return Answer(
            done.body, status=201, media_type=done.media_type, headers=(*done.headers, (b"location", location))
        )

    async def show(self, call: Call) -> Answer:
        """``GET`` of one's own upload by its id."""
        found = await self.api.database.read(service.own, call.me.id, parse_id(call.params["id"]))
        return answer(self._object(found))

    def _id(self, ident: Id) -> str:
        return f"{self.api.site.names.uploads()}/{ident}"

    def _object(self, media: Media) -> dict[str, object]:
        names = self.api.site.names
        document: dict[str, object] = {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": self._id(media.id),
            "type": _TYPES.get(media.kind, "Document"),
        }
        if media.description:
            document["name"] = media.description
        if media.state is MediaState.READY and media.file is not None:
            document["url"] = media.attachment(names.origin).url
            document["mediaType"] = media.media_type
        return document


async def _said(found: Params) -> Note:
    """What the ``object`` beside a file says of it. Raises `BadInput`."""
    given = found.raw("object")
    if isinstance(given, UploadFile):
        given = await given.read(MAX_OBJECT + 1)
    if given is None or given == "" or given == b"":
        return Note()
    body = given.encode() if isinstance(given, str) else given
    try:
        document = strictjson.loads(body, max_bytes=MAX_OBJECT) if isinstance(body, bytes) else body
    except (BadDocument, TooLarge, UnicodeError) as error:
        raise BadInput(f"object: {error}", path="object") from error
    if not isinstance(document, dict):
        raise BadInput("object: a JSON object was expected", path="object")
    for name in ("name", "summary"):
        text = document.get(name)
        if text is not None and not isinstance(text, str):
            raise BadInput(f"object: text was expected in {name}", path=f"object.{name}")
    words = document.get("name") or document.get("summary") or ""
    return Note(check_description(clean_text(words)))


def routes(api: Api) -> list[Route]:
    """The lines of the registry."""
    found = UploadedObjects(api, MediaApi(api))
    at = api.site.names.uploads().removeprefix(api.site.names.origin)

    def line(method: str, path: str, scopes: tuple[str, ...]) -> Route:
        post = method == "POST"
        return Route(
            method=method, path=path, handler=found.create if post else found.show, access=Access.TOKEN,
            scopes=scopes, rate=Rate.API, max_body=found.media.max_body if post else 0, audience=OWN, streams=post,
        )  # fmt: skip

    return [line("POST", at, ("write:media",)), line("GET", f"{at}/{{id}}", ("read:statuses",))]
