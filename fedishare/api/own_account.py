"""One's own account: what one says about oneself, and what one chose for new posts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from fedishare.api import entities
from fedishare.api.http import Api, Params, Preferences, streamed
from fedishare.api.statuses import own
from fedishare.api.table import OWN, Table
from fedishare.api.uploads import file_of, too_large
from fedishare.http.call import Answer, Call, json_answer
from fedishare.http.routes import Access, Rate, Route
from fedishare.model.actors import Actor, ActorKind, Field, Image, Profile
from fedishare.model.errors import BadInput, FedishareError, NotAllowed, NotFound, TooLarge
from fedishare.model.ids import Id
from fedishare.model.media import Kept
from fedishare.model.posts import Visibility
from fedishare.services import media, profiles
from fedishare.services.media import check_description
from fedishare.store import credentials, relations
from fedishare.store.db import Tx
from fedishare.text import clean_text, plain_text

PICTURES = ("avatar", "header")
QUOTE_POLICIES = ("public", "followers", "nobody")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}\Z")


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """The handlers."""

    api: Api

    async def verify(self, call: Call) -> Answer:
        """``GET /api/v1/accounts/verify_credentials``"""
        return json_answer(await self.api.database.read(self._own, call.me.id))

    def _own(self, tx: Tx, viewer: Id) -> entities.CredentialAccount:
        actor, kept = own(tx, viewer), credentials.get(tx, viewer)
        if kept is None:
            raise NotFound("Record not found")
        chosen = msgspec.json.decode(kept.settings, type=Preferences)
        account = entities.account(actor, self.api.renderer.links(tx), roles=entities.roles_of(kept.role))
        return entities.CredentialAccount(
            **msgspec.structs.asdict(account), source=self._source(tx, actor.id, actor.profile, chosen),
            role=entities.role(kept.role),
        )  # fmt: skip

    def _source(self, tx: Tx, viewer: Id, profile: Profile, chosen: Preferences) -> entities.Source:
        """What one edits: text as it was typed."""
        site = self.api.site
        fields = tuple(entities.AccountField(f.name, plain_text(f.value)) for f in profile.fields)
        return entities.Source(
            note=profile.source, fields=fields, privacy=chosen.privacy or site.default_visibility.word,
            sensitive=chosen.sensitive, language=chosen.language or "", hide_collections=profile.hide_collections,
            discoverable=profile.discoverable, indexable=profile.indexable, quote_policy=chosen.quote_policy,
            attribution_domains=profile.attribution_domains, reach=entities.reach_of(site.default_reach),
            follow_requests_count=relations.count_requests(tx, viewer),
        )  # fmt: skip

    async def update(self, call: Call) -> Answer:
        """``PATCH /api/v1/accounts/update_credentials``"""
        studio, largest = self.api.instance.studio, self.api.instance.config.media.max_bytes
        pictures: dict[str, Kept] = {}
        try:
            async with streamed(call, self.max_body) as found:
                for name in PICTURES:
                    source = file_of(found, name, largest)
                    if source is not None:
                        pictures[name] = await studio.keep_profile_picture(source, name)
                answer = await self.api.database.write(self._update, call.me.id, found, pictures)
        except FedishareError as error:
            await studio.remove([kept.name for kept in pictures.values()])
            raise too_large(largest) if isinstance(error, TooLarge) else error from None
        return json_answer(answer)

    @property
    def max_body(self) -> int:
        """Bytes of a request with both pictures."""
        return 2 * self.api.instance.config.media.max_bytes + self.api.instance.config.limits.api_bytes

    def _update(self, tx: Tx, viewer: Id, found: Params, pictures: dict[str, Kept]) -> entities.CredentialAccount:
        actor = own(tx, viewer)
        profile = profiles.reworded(
            self._pictured(tx, actor, found, pictures), self.api.site,
            name=found.text("display_name") if "display_name" in found else None,
            note=found.text("note") if "note" in found else None,
        )  # fmt: skip
        profile = replace(
            profile,
            locked=found.flag("locked", profile.locked), discoverable=found.flag("discoverable", profile.discoverable),
            indexable=found.flag("indexable", profile.indexable),
            hide_collections=found.flag("hide_collections", profile.hide_collections),
            fields=self._fields(found) if "fields_attributes" in found else profile.fields,
            attribution_domains=(
                profiles.domains(found.texts("attribution_domains"))
                if "attribution_domains" in found
                else profile.attribution_domains
            ),
        )  # fmt: skip
        bot = found.flag("bot", actor.kind.is_bot)
        kind = actor.kind if bot == actor.kind.is_bot else (ActorKind.SERVICE if bot else ActorKind.PERSON)
        profiles.change(tx, self.api.site, actor, profile, kind)
        self._choose(tx, viewer, found.section("source"))
        return self._own(tx, viewer)

    def _pictured(self, tx: Tx, actor: Actor, found: Params, pictures: dict[str, Kept]) -> Profile:
        """The profile with new pictures, and with what is said about them."""
        profile = actor.profile
        made: dict[str, Any] = {}
        for name in PICTURES:
            before: Image | None = getattr(profile, name)
            said = f"{name}_description"
            description = check_description(clean_text(found.text(said))) if said in found else None
            if name in pictures:
                made[name] = media.picture(tx, self.api.site, actor, before, pictures[name], description)
            elif said in found and before is not None:
                made[name] = replace(before, description=description)
        return replace(profile, **made)

    async def without_avatar(self, call: Call) -> Answer:
        """``DELETE /api/v1/profile/avatar``"""
        return json_answer(await self.api.database.write(self._without, call.me.id, "avatar"))

    async def without_header(self, call: Call) -> Answer:
        """``DELETE /api/v1/profile/header``"""
        return json_answer(await self.api.database.write(self._without, call.me.id, "header"))

    def _without(self, tx: Tx, viewer: Id, name: str) -> entities.CredentialAccount:
        actor = own(tx, viewer)
        before: Image | None = getattr(actor.profile, name)
        if before is not None:
            media.drop_picture(tx, self.api.site, before)
            gone: dict[str, Any] = {name: None}
            profiles.change(tx, self.api.site, actor, replace(actor.profile, **gone))
        return self._own(tx, viewer)

    def _fields(self, found: Params) -> tuple[Field, ...]:
        given = found.raw("fields_attributes")
        rows = list(given.values()) if isinstance(given, dict) else given if isinstance(given, list) else [given]
        if not all(isinstance(row, dict) for row in rows):
            raise BadInput(profiles.BAD_FIELDS, path="fields")
        return profiles.fields(self.api.site, [(row.text("name"), row.text("value")) for row in map(Params, rows)])

    def _choose(self, tx: Tx, viewer: Id, source: Params | None) -> None:
        kept = credentials.get(tx, viewer)
        if source is None or kept is None:
            return
        chosen = msgspec.json.decode(kept.settings, type=Preferences)
        privacy = source.text("privacy", chosen.privacy)
        if privacy and Visibility.from_word(privacy) is None:
            raise BadInput("Validation failed: Privacy is not included in the list", path="source.privacy")
        made = Preferences(
            privacy, source.flag("sensitive", chosen.sensitive), _language(source, chosen.language),
            _quote_policy(source, chosen.quote_policy),
        )  # fmt: skip
        credentials.set_settings(tx, viewer, msgspec.json.encode(made).decode())

    async def preferences(self, call: Call) -> Answer:
        """``GET /api/v1/preferences``"""
        mine = await self.api.database.read(self._own, call.me.id)
        return json_answer(
            {
                "posting:default:visibility": mine.source.privacy,
                "posting:default:sensitive": mine.source.sensitive,
                "posting:default:language": mine.source.language or None,
                "posting:default:quote_policy": mine.source.quote_policy,
                "reading:expand:media": "default",
                "reading:expand:spoilers": False,
                "reading:autoplay:gifs": False,
            }
        )

    # The e-mail address

    async def confirm(self, call: Call) -> Answer:
        """``POST /api/v1/emails/confirmations``: an address is not confirmed by mail here, so none ever waits."""
        raise NotAllowed("This method is only available while the e-mail is awaiting confirmation")

    async def confirmed(self, call: Call) -> Answer:
        """``GET /api/v1/emails/check_confirmation``"""
        kept = await self.api.database.read(credentials.get, call.me.id)
        return json_answer(kept is not None and kept.confirmed_at is not None)


def _language(source: Params, before: str | None) -> str | None:
    """``source[language]``; empty is none. Raises `BadInput`."""
    if "language" not in source:
        return before
    code = source.text("language")
    if code and not _LANGUAGE.match(code):
        raise BadInput("Validation failed: Language is not a language code", path="source.language")
    return code or None


def _quote_policy(source: Params, before: str) -> str:
    """``source[quote_policy]``. Raises `BadInput`."""
    word = source.text("quote_policy", before)
    if word not in QUOTE_POLICIES:
        raise BadInput("Validation failed: Quote policy is not included in the list", path="source.quote_policy")
    return word


def routes(api: Api, table: Table) -> list[Route]:
    """The lines of the registry."""
    found, line = OwnAccount(api), table.line
    return [
        line("GET", "/api/v1/accounts/verify_credentials", "read:accounts profile", found.verify, OWN),
        Route(
            method="PATCH", path="/api/v1/accounts/update_credentials", handler=found.update, access=Access.TOKEN,
            scopes=("write:accounts",), rate=Rate.API, max_body=found.max_body, audience=OWN, streams=True,
        ),
        line("DELETE", "/api/v1/profile/avatar", "write:accounts", found.without_avatar, OWN),
        line("DELETE", "/api/v1/profile/header", "write:accounts", found.without_header, OWN),
        line("GET", "/api/v1/preferences", "read:accounts", found.preferences, OWN),
        line("POST", "/api/v1/emails/confirmations", "write:accounts", found.confirm, OWN),
        line("GET", "/api/v1/emails/check_confirmation", "read:accounts", found.confirmed, OWN),
    ]  # fmt: skip
