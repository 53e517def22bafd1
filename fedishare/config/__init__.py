"""Configuration: instance.toml read to frozen values, with every problem told at once, each with its key and a hint.

`load` reads, checks and refuses what is unsafe; `prepare` makes the folders (and a development instance's secrets)
before the first start; `write_initial` is what ``fedishare init`` writes. Secrets come from secrets.toml or the
environment, never from instance.toml.
"""

from fedishare.config.described import Setting, all_settings
from fedishare.config.initial import Initial, render, write_initial
from fedishare.config.load import load, parse, partners_from, prepare
from fedishare.config.secrets import Secrets
from fedishare.config.settings import (
    DatabaseSettings,
    FederationSettings,
    InstanceSettings,
    Limits,
    LogSettings,
    MediaSettings,
    MetricsSettings,
    PartnerEntry,
    PostSettings,
    PushSettings,
    RegistrationSettings,
    ServerSettings,
    WebSettings,
)
from fedishare.config.values import Config, Listen

__all__ = [
    "Config",
    "DatabaseSettings",
    "FederationSettings",
    "Initial",
    "InstanceSettings",
    "Limits",
    "Listen",
    "LogSettings",
    "MediaSettings",
    "MetricsSettings",
    "PartnerEntry",
    "PostSettings",
    "PushSettings",
    "RegistrationSettings",
    "Secrets",
    "ServerSettings",
    "Setting",
    "WebSettings",
    "all_settings",
    "load",
    "parse",
    "partners_from",
    "prepare",
    "render",
    "write_initial",
]
