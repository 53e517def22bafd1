"""Terms: the partners of instance.toml as values, each entry checked as strictly as the guard will read it."""

from __future__ import annotations

import base64
import binascii
import difflib
from datetime import UTC, date, datetime
from pathlib import Path

from fedishare.config.checks import check_domain, check_file, check_networks
from fedishare.config.reading import Report, shown
from fedishare.config.settings import PartnerEntry
from fedishare.model.ids import Millis
from fedishare.model.partners import ACTIVITY_TYPES, OBJECT_TYPES, Direction, Partner, PartnerState, Terms
from fedishare.model.posts import Visibility


def check_partners(
    entries: tuple[PartnerEntry, ...], own_hosts: frozenset[str], base: Path, report: Report, *, development: bool
) -> tuple[Partner, ...]:
    """The partners, ``source`` ``file``. No name may stand in two entries, nor be ours."""
    partners = []
    taken: dict[str, str] = {}
    for index, entry in enumerate(entries):
        path = f"federation.partners[{index}]"
        partner = _partner(entry, path, base, report, development=development)
        partners.append(partner)
        places = (f"{path}.domain", *(f"{path}.hosts[{n}]" for n in range(len(partner.hosts))))
        for place, name in zip(places, partner.names, strict=True):
            if name and name in own_hosts:
                report.add(place, f"{shown(name)} is this instance itself")
            elif name in taken:
                report.add(place, f"{shown(name)} stands in {taken[name]} already")
            elif name:
                taken[name] = path
    return tuple(partners)


def _partner(entry: PartnerEntry, path: str, base: Path, report: Report, *, development: bool) -> Partner:
    domain = check_domain(entry.domain, f"{path}.domain", report, development=development)
    hosts = tuple(
        check_domain(host, f"{path}.hosts[{index}]", report, development=development)
        for index, host in enumerate(entry.hosts)
    )
    check_networks(entry.networks, f"{path}.networks", report, loopback=development)
    if entry.include_subdomains and domain and "." not in domain and not development:
        report.add(f"{path}.include_subdomains", f"{shown(domain)} is a top-level domain; list the partners in it")
    _check_pin(entry.pinned_key, f"{path}.pinned_key", report)
    terms = Terms(
        direction=Direction(entry.direction),
        activity_types=_types(entry.activity_types, ACTIVITY_TYPES, f"{path}.activity_types", report),
        object_types=_types(entry.object_types, OBJECT_TYPES, f"{path}.object_types", report),
        ceiling_in=Visibility[entry.ceiling_in.upper()],
        ceiling_out=Visibility[entry.ceiling_out.upper()],
        media=entry.media,
        direct_messages=entry.direct_messages,
        public_addressing=entry.public_addressing,
        include_subdomains=entry.include_subdomains,
        networks=entry.networks,
        ca_bundle=check_file(entry.ca_bundle, base, f"{path}.ca_bundle", report),
        client_cert=check_file(entry.client_cert, base, f"{path}.client_cert", report, secret=not development),
        pinned_key=entry.pinned_key,
        rate=entry.rate,
    )
    return Partner(
        domain=domain,
        state=PartnerState(entry.state),
        terms=terms,
        owner=entry.owner,
        reason=entry.reason,
        ticket=entry.ticket,
        expires_at=_moment(entry.expires_at, f"{path}.expires_at", report),
        review_at=_moment(entry.review_at, f"{path}.review_at", report),
        source="file",
        hosts=hosts,
    )


def _types(names: tuple[str, ...] | None, known: frozenset[str], path: str, report: Report) -> frozenset[str] | None:
    """A misspelt type would silently be nothing at all; so it is refused."""
    for index, name in enumerate(names or ()):
        if name not in known:
            close = difflib.get_close_matches(name, sorted(known), 1, 0.6)
            guess = f'did you mean "{close[0]}"?' if close else f"known are {', '.join(sorted(known))}"
            report.add(f"{path}[{index}]", f"{shown(name)} is not a known type; {guess}")
    return None if names is None else frozenset(names)


def _check_pin(pin: str | None, path: str, report: Report) -> None:
    if pin is None or not report.ok(path):
        return
    try:
        digest = base64.b64decode(pin.removeprefix("sha256/"), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if not pin.startswith("sha256/") or len(digest) != 32:
        report.add(path, f"expected sha256/ and 32 bytes of base64, found {shown(pin)}")


def _moment(value: object, path: str, report: Report) -> Millis | None:
    """A TOML date or date-time, or the same as text (RFC 3339). A date alone is 00:00 UTC; a time wants its zone."""
    moment: object = value
    if isinstance(value, str):
        try:
            moment = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        except ValueError:
            moment = None
    elif value is None:
        return None
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            report.add(path, f"{shown(str(value))} has no time zone; write Z or an offset such as +01:00 behind it")
            return None
        return Millis(int(moment.timestamp() * 1000))
    if isinstance(moment, date):
        return Millis(int(datetime(moment.year, moment.month, moment.day, tzinfo=UTC).timestamp() * 1000))
    report.add(path, f"expected a date such as 2027-12-31 or 2027-12-31T12:00:00Z, found {shown(value)}")
    return None
