"""The federation side of an instance: what the protocol's modules share."""

from __future__ import annotations

from dataclasses import dataclass

from fedishare.activitypub.keyring import Keyring
from fedishare.http.rates import Rates
from fedishare.instance import Instance

ACCEPT = 'application/activity+json, application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
ACTIVITY_TYPE = "application/activity+json"


@dataclass(frozen=True, slots=True)
class Federation:
    """One per instance, made by the composition root."""

    instance: Instance
    keyring: Keyring
    rates: Rates
