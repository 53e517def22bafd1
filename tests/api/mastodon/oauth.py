"""Apps, tokens, and what a person is known by."""

from __future__ import annotations

from typing import Literal

from tests.api.mastodon.base import UNSET, Address, Count, Entity, Number, Unset, Visibility


class Application(Entity, kw_only=True):
    id: Number
    name: str
    website: Address | None
    scopes: list[str]
    redirect_uris: list[str]
    # deprecated
    redirect_uri: str | Unset = UNSET
    vapid_key: str


class CredentialApplication(Application, kw_only=True):
    client_id: str
    client_secret: str
    client_secret_expires_at: Count


class Token(Entity, kw_only=True):
    access_token: str
    token_type: Literal["Bearer"]
    scope: str
    created_at: Count


class OAuthError(Entity, kw_only=True):
    error: str
    error_description: str


class UserInfo(Entity, kw_only=True):
    iss: Address
    sub: Address
    name: str
    preferred_username: str
    profile: Address
    picture: Address | None


class AuthorizationServer(Entity, kw_only=True):
    issuer: Address
    service_documentation: Address
    authorization_endpoint: Address
    token_endpoint: Address
    app_registration_endpoint: Address
    revocation_endpoint: Address
    userinfo_endpoint: Address
    scopes_supported: list[str]
    response_types_supported: list[str]
    response_modes_supported: list[str]
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    code_challenge_methods_supported: list[str]


class Preferences(
    Entity,
    kw_only=True,
    rename={
        "visibility": "posting:default:visibility",
        "sensitive": "posting:default:sensitive",
        "language": "posting:default:language",
        "quote_policy": "posting:default:quote_policy",
        "media": "reading:expand:media",
        "spoilers": "reading:expand:spoilers",
        "gifs": "reading:autoplay:gifs",
    },
):
    visibility: Visibility
    sensitive: bool
    language: str | None
    quote_policy: Literal["public", "followers", "nobody"]
    media: Literal["default", "show_all", "hide_all"]
    spoilers: bool
    # undocumented
    gifs: bool
