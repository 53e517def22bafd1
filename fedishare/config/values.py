"""One instance's configuration, ready to use: the tables of instance.toml and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fedishare.config.secrets import Secrets
from fedishare.config.settings import (
    DatabaseSettings,
    FederationSettings,
    InstanceSettings,
    Limits,
    LogSettings,
    MediaSettings,
    MetricsSettings,
    PostSettings,
    PushSettings,
    RegistrationSettings,
    ServerSettings,
    WebSettings,
)
from fedishare.model.errors import ConfigError
from fedishare.model.ids import Domain
from fedishare.model.partners import Partner


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the server listens. ``host`` is an address without brackets, or localhost."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Config:
    """One instance's configuration: the tables as they stand in the file, normalised, and what follows from them."""

    server: ServerSettings
    database: DatabaseSettings
    instance: InstanceSettings
    media: MediaSettings
    registration: RegistrationSettings
    posts: PostSettings
    web: WebSettings
    push: PushSettings
    federation: FederationSettings
    limits: Limits
    log: LogSettings
    metrics: MetricsSettings
    path: Path
    """The file itself, absolute."""
    domain: Domain
    """The domain of handles."""
    host: Domain
    """The host (and port, in development) of the origin, where ids live."""
    origin: str
    """``scheme://host[:port]`` without a slash at the end."""
    listen: Listen
    database_url: str = field(repr=False)
    """Ready to open: absolute path, password filled in. Not for logs."""
    partners: tuple[Partner, ...]
    secrets: Secrets

    @property
    def base_path(self) -> Path:
        """The folder of the file, to which its paths are relative."""
        return self.path.parent

    @property
    def secrets_path(self) -> Path:
        """Where the secrets file is, or would be."""
        return self.base_path / "secrets.toml"

    @property
    def media_path(self) -> Path:
        """The folder of media files, absolute."""
        return self.base_path / self.media.path

    @property
    def development(self) -> bool:
        """Whether http and ports on loopback hosts are let through."""
        return self.server.development

    @property
    def own_hosts(self) -> frozenset[Domain]:
        """The names that are this instance itself."""
        return frozenset({self.domain, self.host})

    @property
    def secret_key(self) -> bytes:
        """The key for what this instance signs or hashes for itself. Raises `ConfigError` before `prepare` made one."""
        if self.secrets.secret_key is None:
            raise ConfigError("there is no secret key yet; `fedishare init` or `fedishare serve` writes one")
        return self.secrets.secret_key.encode()

    @property
    def proxy_url(self) -> str | None:
        """``federation.proxy`` with its credentials filled in. Not for logs."""
        proxy, credentials = self.federation.proxy, self.secrets.proxy_credentials
        return proxy.replace("://", f"://{credentials}@", 1) if proxy and credentials else proxy
