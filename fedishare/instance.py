"""An instance is a value: everything that one running server consists of, wired by hand, nothing at module level.

Several of them can live in one process, which is how the tests federate.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from fedishare.config import Config, partners_from
from fedishare.gateway import Gateway
from fedishare.guard import Guard
from fedishare.media.studio import Studio
from fedishare.model.ids import Domain, Millis, host_of
from fedishare.model.partners import Partner
from fedishare.policy.rules import Policy, compile_policy
from fedishare.services.site import Site
from fedishare.store import partners
from fedishare.store.db import Database, Tx

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Instance:
    """One server: its configuration, the rules made from it, the store, and the two gates."""

    config: Config
    site: Site
    clock: Callable[[], Millis]
    database: Database
    guard: Guard
    gateway: Gateway
    studio: Studio


def own_hosts(config: Config, site: Site) -> tuple[Domain, ...]:
    """The domains that are ourselves: the handle's, and the origin's host."""
    host = host_of(site.names.origin, development=config.server.development)
    return tuple(dict.fromkeys((site.names.domain, host)))


def policy_of(config: Config, site: Site, stored: list[Partner], revision: int) -> Policy:
    """The policy from both sources. A domain of the file stands above the same one in the database."""
    return compile_policy(
        (*partners_from(config), *stored),
        enabled=config.federation.enabled,
        own_hosts=own_hosts(config, site),
        revision=revision,
        development=config.server.development,
        public_addressing=config.federation.public_addressing,
        previews=config.web.preview_hosts,
        pushes=config.push.hosts,
    )


def read_partners(tx: Tx) -> tuple[list[Partner], int]:
    """The partners of the database, and the policy's revision."""
    return partners.all_partners(tx), partners.revision(tx)


async def reload_policy(instance: Instance) -> None:
    """Compile the policy anew and put it in force; drops connections to hosts whose terms changed."""
    stored, revision = await instance.database.read(read_partners)
    before = instance.guard.policy
    instance.guard.replace(policy_of(instance.config, instance.site, stored, revision))
    if before != instance.guard.policy:
        log.info("policy revision %s is in force", revision)
