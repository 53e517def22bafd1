"""Checks: what no type can say. Unsafe settings are refused with the reason; names are normalised once.

Each check looks only at keys that could be read, so one mistake makes one problem.
"""

from __future__ import annotations

import ipaddress
import os
import stat
from datetime import date
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

from msgspec.structs import replace

from fedishare.config.reading import Report, shown
from fedishare.config.secrets import Secrets
from fedishare.config.settings import (
    DatabaseSettings,
    FederationSettings,
    InstanceSettings,
    MetricsSettings,
    PostSettings,
    PushSettings,
    RegistrationSettings,
    ServerSettings,
    WebSettings,
)
from fedishare.config.values import Listen
from fedishare.model.errors import BadInput
from fedishare.model.ids import Domain, host_of, parse_domain
from fedishare.model.partners import is_loopback_host, network_problem


def is_development(server: ServerSettings, report: Report) -> bool:
    """The switch. One that could not be read counts as on, so that it is the only problem told."""
    return server.development or not report.ok("server.development")


def check_domain(text: str, path: str, report: Report, *, development: bool) -> Domain:
    """The one spelling of a domain; a port (or a loopback address) is for development on loopback only."""
    if not report.ok(path):
        return Domain("")
    try:
        domain = parse_domain(text, allow_port=development)
    except BadInput as error:
        report.add(path, str(error))
        return Domain("")
    if ":" in domain and not is_loopback_host(domain):
        report.add(path, f"{shown(text)} has a port; that is for loopback hosts (localhost, *.localhost) only")
    return domain


def check_file(name: str | None, base: Path, path: str, report: Report, *, secret: bool = False) -> str | None:
    """The absolute path of a file that must exist; one with a private key must not be readable by others."""
    if name is None or not report.ok(path):
        return name
    file = base / name
    try:
        mode = file.stat().st_mode
        with file.open("rb"):
            pass
    except OSError as error:
        report.add(path, f"cannot read {shown(str(file))}: {error.strerror}")
        return name
    if not stat.S_ISREG(mode):
        report.add(path, f"expected a file, {shown(str(file))} is none")
    elif secret and mode & stat.S_IRWXO:
        report.add(path, f"has a private key and can be read by others (mode {stat.S_IMODE(mode):04o}); do chmod 640")
    return str(file)


def check_instance(instance: InstanceSettings, base: Path, report: Report) -> None:
    """The files that it names, and a day that is one."""
    for key in ("extended_description", "privacy_policy", "terms_of_service"):
        check_file(getattr(instance, key), base, f"instance.{key}", report)
    if instance.terms_effective and report.ok("instance.terms_effective"):
        try:
            date.fromisoformat(instance.terms_effective)
        except ValueError:
            found = shown(instance.terms_effective)
            report.add("instance.terms_effective", f"expected a day such as 2027-01-01, found {found}")


def check_networks(networks: tuple[str, ...], path: str, report: Report, *, loopback: bool) -> None:
    """Networks that make sense; never nearly everybody."""
    for index, text in enumerate(networks if report.ok(path) else ()):
        problem = network_problem(text, loopback=loopback)
        if problem:
            report.add(f"{path}[{index}]", problem)


def check_origin(server: ServerSettings, domain: Domain, report: Report) -> str:
    """``scheme://host[:port]``; http on loopback in development only. The empty string when it cannot be used."""
    if not report.ok("server.origin", "server.development"):
        return ""
    if server.origin is None:
        origin = f"https://{domain}" if report.ok("server.domain") else ""
    else:
        origin = _origin(server.origin, report)
    development = server.development
    if origin.startswith("http://") and not development:
        report.add(
            "server.origin", f"{shown(origin)} is plain http; use https, or [server] development = true on loopback"
        )
        return ""
    if not origin:
        return ""
    try:
        host = host_of(origin, development=development)
    except BadInput as error:
        report.add("server.origin", str(error))
        return ""
    if development and not is_loopback_host(host):
        report.add(
            "server.development",
            f"is true, but {shown(origin)} is not on loopback; only localhost, *.localhost and 127.0.0.0/8 can be "
            "developed on",
        )
    return f"{urlsplit(origin).scheme}://{host}"


def _origin(text: str, report: Report) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        report.add("server.origin", f"expected https://host, found {shown(text)}")
        return ""
    if parts.username is not None:
        report.add("server.origin", "has user information in it; expected https://host")
        return ""
    rest = parts.path not in ("", "/") or parts.query or parts.fragment
    if parts.scheme not in ("https", "http") or not parts.hostname or rest:
        report.add("server.origin", f"expected https://host and nothing behind it, found {shown(text)}")
        return ""
    if ":" in parts.hostname:
        report.add("server.origin", "an IPv6 address cannot be part of ids; write localhost instead")
        return ""
    return f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port else "")


def check_listen(text: str, report: Report) -> Listen:
    """Address and port. Names other than localhost would leave it to the resolver where we listen."""
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not report.ok("server.listen"):
        return Listen("127.0.0.1", 0)
    if not colon or not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536):
        report.add("server.listen", f"expected address:port such as 127.0.0.1:8000, found {shown(text)}")
        return Listen("127.0.0.1", 0)
    try:
        if host != "localhost":
            ipaddress.ip_address(host)
    except ValueError:
        report.add("server.listen", f"expected an IP address (or localhost) before the port, found {shown(text)}")
    return Listen(host, int(port))


def check_server(
    server: ServerSettings, base: Path, report: Report
) -> tuple[ServerSettings, Domain, Domain, str, Listen]:
    """(the table with normalised values, domain, host of the origin, origin, listen)."""
    development = is_development(server, report)
    domain = check_domain(server.domain, "server.domain", report, development=development)
    origin = check_origin(server, domain, report)
    listen = check_listen(server.listen, report)
    check_networks(server.trusted_proxies, "server.trusted_proxies", report, loopback=True)
    cert = check_file(server.tls_cert, base, "server.tls_cert", report)
    key = check_file(server.tls_key, base, "server.tls_key", report, secret=not development)
    if (server.tls_cert is None) != (server.tls_key is None):
        missing = "tls_key" if server.tls_key is None else "tls_cert"
        report.add(f"server.{missing}", "is missing; tls_cert and tls_key go together")
    if origin.startswith("http://") and server.tls_cert is not None:
        report.add("server.origin", f"{shown(origin)} is plain http, but the server has a certificate; write https")
    _check_open(server, listen, origin, report)
    host = host_of(origin, development=development) if origin else Domain("")
    return replace(server, domain=domain, origin=origin, tls_cert=cert, tls_key=key), domain, host, origin, listen


def _check_open(server: ServerSettings, listen: Listen, origin: str, report: Report) -> None:
    """Whoever listens where others can reach it does so with TLS, or behind a proxy that is named."""
    if is_loopback_host(listen.host) or server.tls_cert is not None or not report.ok("server.listen"):
        return
    if origin.startswith("http://"):
        report.add(
            "server.listen", f"{shown(server.listen)} is open to others, but the origin is plain http; use 127.0.0.1"
        )
    elif not server.trusted_proxies and report.ok("server.trusted_proxies"):
        report.add(
            "server.listen",
            f"{shown(server.listen)} is open to others without TLS; set tls_cert and tls_key, or name the TLS proxy "
            "in trusted_proxies, or listen on 127.0.0.1",
        )


def check_database(
    database: DatabaseSettings, server: ServerSettings, base: Path, secrets: Secrets, report: Report
) -> str:
    """The URL as it is opened: absolute path, password filled in."""
    if not report.ok("database.url"):
        return ""
    try:
        parts = urlsplit(database.url)
        password = parts.password
    except ValueError:
        parts, password = urlsplit(""), None
    if parts.scheme == "sqlite":
        if server.workers > 1 and report.ok("server.workers"):
            report.add(
                "server.workers",
                f"is {server.workers}, but SQLite has one writer: use 1, or PostgreSQL (database.url) for more",
            )
        return _sqlite(database.url, base, report)
    if parts.scheme not in ("postgresql", "postgres"):
        scheme = shown(parts.scheme or database.url.partition(":")[0])
        report.add("database.url", f"expected sqlite:///path or postgresql://user@host/name, found {scheme}")
        return ""
    if password is not None or any(key == "password" for key, _ in parse_qsl(parts.query)):
        report.add("database.url", "has a password in it; put it into secrets.toml as database_password")
        return ""
    if secrets.database_password is None:
        return database.url
    if "@" not in parts.netloc:
        report.add("database.url", "has no user, but there is a database_password; write postgresql://user@host/name")
        return ""
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(secrets.database_password, safe='')}@{place}").geturl()


def _sqlite(url: str, base: Path, report: Report) -> str:
    name = url.removeprefix("sqlite:///")
    if name == url or not name or name == ":memory:" or "?" in name or "#" in name:
        report.add("database.url", f"expected sqlite:///path/to/file.db, found {shown(url)}")
        return ""
    # normpath, not resolve: a link to a data disk stays one.
    return "sqlite:///" + os.path.normpath(base / name)


def check_posts(posts: PostSettings, report: Report, *, development: bool) -> PostSettings:
    """Named partners as default reach, in their one spelling."""
    if isinstance(posts.default_reach, str):
        return posts
    if not posts.default_reach:
        report.add("posts.default_reach", 'is an empty list; write "local" for posts that never leave')
    return replace(
        posts,
        default_reach=tuple(
            check_domain(text, f"posts.default_reach[{index}]", report, development=development)
            for index, text in enumerate(posts.default_reach)
        ),
    )


def check_web(web: WebSettings, report: Report, *, development: bool) -> WebSettings:
    """Hosts for previews in their one spelling."""
    return replace(web, preview_hosts=_hosts(web.preview_hosts, "web.preview_hosts", report, development=development))


def check_push(push: PushSettings, report: Report, *, development: bool) -> PushSettings:
    """Push services in their one spelling."""
    return replace(push, hosts=_hosts(push.hosts, "push.hosts", report, development=development))


def _hosts(hosts: tuple[str, ...], path: str, report: Report, *, development: bool) -> tuple[str, ...]:
    return tuple(check_domain(host, f"{path}[{n}]", report, development=development) for n, host in enumerate(hosts))


def check_metrics(metrics: MetricsSettings, report: Report) -> None:
    """Figures are for the listed networks, never for everybody."""
    check_networks(metrics.allowed_networks, "metrics.allowed_networks", report, loopback=True)


def check_registration(registration: RegistrationSettings, report: Report) -> None:
    """Sign-up is only opened in a way that can be kept: there is nothing here yet that sends mail."""
    if registration.mode != "closed" and registration.confirm_email and report.ok("registration.confirm_email"):
        sentence = (
            f'cannot be true with mode = "{registration.mode}": this version sends no mail; set it to false, and use '
            '"approval" if somebody should look at each sign-up'
        )
        report.add("registration.confirm_email", sentence)


def check_federation(federation: FederationSettings, base: Path, report: Report) -> FederationSettings:
    """Proxy, CA and delivery numbers; the partners are checked by `fedishare.config.terms`."""
    if federation.proxy is not None and report.ok("federation.proxy"):
        _check_proxy(federation.proxy, report)
    if federation.per_host > federation.max_in_flight and report.ok("federation.per_host", "federation.max_in_flight"):
        report.add("federation.per_host", f"is above max_in_flight ({federation.max_in_flight})")
    ca_bundle = check_file(federation.ca_bundle, base, "federation.ca_bundle", report)
    return replace(federation, ca_bundle=ca_bundle)


def _check_proxy(proxy: str, report: Report) -> None:
    try:
        parts = urlsplit(proxy)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.username is not None or parts.password is not None:
        report.add("federation.proxy", "has credentials in it; put them into secrets.toml as proxy_credentials")
    elif parts.scheme != "http" or not host or not port or parts.path not in ("", "/") or parts.query:
        report.add("federation.proxy", f"expected http://host:port, found {shown(proxy)}")
