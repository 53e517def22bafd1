"""Accounts and tokens."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import click

from fedishare.activitypub.keyring import new_keys
from fedishare.app import site_of
from fedishare.cli.options import (
    ID,
    config_option,
    confirm,
    handle_of,
    json_option,
    new_password,
    with_database,
    yes_option,
)
from fedishare.cli.output import Column, distance, facts, moment, plural, print_json, table
from fedishare.config import Config
from fedishare.model.actors import Actor, ActorKind, ActorState, Role
from fedishare.model.errors import NotFound
from fedishare.model.ids import Id
from fedishare.services import accounts, passwords
from fedishare.store import actors, credentials, partners
from fedishare.store.credentials import Credential, TokenRow
from fedishare.store.db import Database, Tx

BY = "cli"
"""Who it was, in the audit log."""
KINDS = {"person": ActorKind.PERSON, "group": ActorKind.GROUP, "service": ActorKind.SERVICE}
ROLES = click.Choice([role.value for role in Role])


@click.group()
def account() -> None:
    """Make, list, suspend and delete accounts."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An account as lists show it."""

    actor: Actor
    credential: Credential | None

    def values(self) -> dict[str, object]:
        """For JSON."""
        actor, kept = self.actor, self.credential
        return {
            "id": str(actor.id),
            "name": actor.name,
            "display_name": actor.profile.display_name,
            "kind": actor.kind.value,
            "role": kept.role.value if kept else None,
            "state": actor.state.name.lower(),
            "email": kept.email if kept else None,
            "approved": kept.approved if kept else None,
            "has_password": bool(kept and kept.password_hash),
            "iri": actor.iri,
            "posts": actor.posts_count,
            "followers": actor.followers_count,
            "following": actor.following_count,
            "created_at": moment(actor.created_at),
            "last_seen_at": moment(kept.last_seen_at) if kept else None,
        }


def _shown(tx: Tx) -> list[Shown]:
    return [Shown(actor, credentials.get(tx, actor.id)) for actor in actors.local_actors(tx)]


@account.command("create")
@click.argument("name")
@click.option("--email", required=True, help="The mail address, unique on this instance.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--role", type=ROLES, default=Role.MEMBER.value, show_default=True, help="What it may administer.")
@click.option("--display-name", default="", help="The name that people see.")
@click.option("--kind", type=click.Choice(sorted(KINDS)), default="person", show_default=True, help="Who acts.")
@config_option
@json_option
def create(
    config: Config, name: str, email: str, password_stdin: bool, role: str, display_name: str, kind: str, as_json: bool
) -> None:
    """Make an account. Without --password-stdin it has no password, and only tokens let anybody in.

    \b
    Example:
      pass show clinic/ana | fedishare account create ana --email ana@clinic.example --password-stdin
    """
    password = new_password(from_stdin=password_stdin)
    hashed = accounts.hash_password(password) if password is not None else None
    keys = new_keys()  # takes a while: never inside a transaction

    async def work(database: Database) -> Actor:
        return await database.write(
            accounts.create, site_of(config), name, keys, email=email, password_hash=hashed, role=Role(role),
            kind=KINDS[kind], display_name=display_name,
        )  # fmt: skip

    made = with_database(config, work)
    if as_json:
        print_json({"id": str(made.id), "name": made.name, "handle": f"@{made.name}@{config.domain}", "iri": made.iri})
        return
    click.echo(f"Made @{made.name}@{config.domain} ({role}).")
    click.echo(f'An app signs in with a token: fedishare token create {made.name} --scopes "read write follow push"')


@account.command("list")
@click.option("--role", type=ROLES, help="Only these.")
@click.option("--state", type=click.Choice([s.name.lower() for s in ActorState]), help="Only these.")
@config_option
@json_option
def list_accounts(config: Config, role: str | None, state: str | None, as_json: bool) -> None:
    """List the accounts of this instance.

    \b
    Example:
      fedishare account list --role security
    """
    found = [
        each
        for each in with_database(config, lambda database: database.read(_shown))
        if (role is None or (each.credential and each.credential.role.value == role))
        and (state is None or each.actor.state.name.lower() == state)
    ]
    if as_json:
        print_json([each.values() for each in found])
        return
    now = _now()
    table(
        ["NAME", "ROLE", "STATE", Column("POSTS", "right"), Column("FOLLOWERS", "right"), "LAST SEEN", "EMAIL"],
        [
            (
                f"@{each.actor.name}",
                each.credential.role.value if each.credential else None,
                each.actor.state.name.lower(),
                each.actor.posts_count,
                each.actor.followers_count,
                distance(each.credential.last_seen_at, now) if each.credential else None,
                each.credential.email if each.credential else None,
            )
            for each in found
        ],
        empty="There are no such accounts. `fedishare account create` makes one.",
    )


@account.command("show")
@click.argument("name")
@config_option
@json_option
def show(config: Config, name: str, as_json: bool) -> None:
    """Everything that is known of an account, apart from what it wrote.

    \b
    Example:
      fedishare account show ana --json
    """
    local_name = handle_of(config, name).name

    def read(tx: Tx) -> tuple[Shown, list[TokenRow]]:
        actor = accounts.local(tx, local_name)
        return Shown(actor, credentials.get(tx, actor.id)), credentials.tokens(tx, actor.id)

    found, tokens = with_database(config, lambda database: database.read(read))
    valid = [row for row in tokens if row.revoked_at is None]
    values = {**found.values(), "tokens": len(valid)}
    if as_json:
        print_json(values)
        return
    facts((key.replace("_", " "), _text(value)) for key, value in values.items())


def _change(config: Config, name: str, change: Callable[[Tx, Actor, str], None]) -> Actor:
    """Apply one of the services' changes to a local or known remote account."""
    handle = handle_of(config, name)

    def write(tx: Tx) -> Actor:
        found = actors.by_handle(tx, handle)
        if found is None or found.name == actors.INSTANCE_ACTOR:
            raise NotFound(f"there is no account {name!r}; `fedishare account list` shows those that are here")
        change(tx, found, BY)
        return found

    return with_database(config, lambda database: database.write(write))


@account.command("role")
@click.argument("name")
@click.argument("role", type=ROLES)
@config_option
def role(config: Config, name: str, role: str) -> None:
    """Give an account another role. What each may do stands in docs/api.md.

    \b
    Example:
      fedishare account role ana moderator
    """

    def change(tx: Tx, actor: Actor, by: str) -> None:
        accounts.set_role(tx, actor, Role(role), by)

    found = _change(config, name, change)
    click.echo(f"@{found.handle} is {role} now. A running server obeys within 5 seconds.")


@account.command("approve")
@click.argument("name")
@config_option
def approve(config: Config, name: str) -> None:
    """Let somebody in who signed up (registration.mode = "approval").

    \b
    Example:
      fedishare account approve ana
    """
    found = _change(config, name, accounts.approve)
    click.echo(f"@{found.handle} may come in.")


@account.command("suspend")
@click.argument("name")
@config_option
def suspend(config: Config, name: str) -> None:
    """Take everything from an account at once: its tokens end, and nobody sees it. NAME may be a partner's, too.

    \b
    Example:
      fedishare account suspend ana
    """
    found = _change(config, name, accounts.suspend)
    click.echo(f"Suspended @{found.handle}. A running server obeys within 5 seconds.")


@account.command("restore")
@click.argument("name")
@config_option
def restore(config: Config, name: str) -> None:
    """Take a suspension back. Tokens stay ended; make new ones.

    \b
    Example:
      fedishare account restore ana
    """
    found = _change(config, name, accounts.restore)
    click.echo(f"Restored @{found.handle}.")


@account.command("delete")
@click.argument("name")
@yes_option
@config_option
def delete(config: Config, name: str, yes: bool) -> None:
    """Delete an account and all its posts, here and at partners. The name stays taken for ever.

    \b
    Example:
      fedishare account delete ana --yes
    """
    local_name = handle_of(config, name).name

    async def work(database: Database) -> Actor:
        actor = await database.read(accounts.local, local_name)
        confirm(f"Delete @{actor.name} and {plural(actor.posts_count, 'post')}? This cannot be taken back.", yes=yes)
        await database.write(accounts.delete, actor, BY)
        return actor

    found = with_database(config, work)
    click.echo(f"Deleted @{found.name}. Partners are told by the running server.")


@account.command("reset-password")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; else one is made.")
@click.option("--keep-tokens", is_flag=True, help="Leave apps signed in.")
@config_option
def reset_password(config: Config, name: str, password_stdin: bool, keep_tokens: bool) -> None:
    """Give an account another password and end its tokens. Without --password-stdin a new one is made and printed.

    \b
    Example:
      fedishare account reset-password ana
    """
    given = new_password(from_stdin=password_stdin)
    password = given if given is not None else secrets.token_urlsafe(15)
    hashed = accounts.hash_password(password)
    local_name = handle_of(config, name).name

    def write(tx: Tx) -> Actor:
        actor = accounts.local(tx, local_name)
        if keep_tokens:
            credentials.set_password(tx, actor.id, hashed)
            partners.audit(tx, BY, "account.reset-password", f"@{actor.name}")
        else:
            passwords.set_password(tx, actor, hashed, BY)
        return actor

    found = with_database(config, lambda database: database.write(write))
    if given is None:
        click.echo(password)
    click.echo(f"@{found.name} has a new password{'' if keep_tokens else ', and its tokens are ended'}.", err=True)


@account.command("reset-link")
@click.argument("name")
@config_option
def reset_link(config: Config, name: str) -> None:
    """Make a link with which somebody chooses a new password, and print it. This server sends no mail: hand it over
    yourself. It works once, for 24 hours, and ends the ones before; only its hash is stored.

    \b
    Example:
      fedishare account reset-link ana
    """
    local_name, made = handle_of(config, name).name, accounts.new_token()

    async def work(database: Database) -> int:
        return await database.write(passwords.make_link, local_name, made, BY)

    until = with_database(config, work)
    click.echo(f"{config.origin}/auth/password?token={made}")
    click.echo(f"It works once, until {moment(until)}.", err=True)


@click.group()
def token() -> None:
    """Let apps and scripts act for an account."""


@token.command("create")
@click.argument("name")
@click.option("--scopes", default="read write follow push", show_default=True, help="What it may do.")
@click.option("--label", default="command line", show_default=True, help="What it is for.")
@config_option
def create_token(config: Config, name: str, scopes: str, label: str) -> None:
    """Make a token and print it, and nothing else. It is not shown again: only its hash is stored.

    \b
    Example:
      TOKEN=$(fedishare token create ana --scopes "read write")
    """
    made = accounts.new_token()
    local_name = handle_of(config, name).name

    async def work(database: Database) -> Id:
        return await database.write(accounts.issue_token, local_name, made, scopes, label=label)

    with_database(config, work)
    click.echo(made)


@token.command("list")
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Ended ones, too.")
@config_option
@json_option
def list_tokens(config: Config, name: str | None, everything: bool, as_json: bool) -> None:
    """List tokens, of one account or of all.

    \b
    Example:
      fedishare token list ana
    """
    local_name = handle_of(config, name).name if name else None

    def read(tx: Tx) -> list[TokenRow]:
        return credentials.tokens(tx, accounts.local(tx, local_name).id if local_name else None)

    now = _now()
    rows = [
        row
        for row in with_database(config, lambda database: database.read(read))
        if everything or _ended(row, now) is None
    ]
    if as_json:
        print_json(
            [
                {
                    "id": str(row.id), "account": row.account, "label": row.name, "scopes": row.scopes.split(),
                    "created_at": moment(row.created_at), "last_used_at": moment(row.last_used_at),
                    "expires_at": moment(row.expires_at), "revoked_at": moment(row.revoked_at),
                }
                for row in rows
            ]
        )  # fmt: skip
        return
    table(
        ["ID", "ACCOUNT", "STATE", "CREATED", "LAST USED", "LABEL", "SCOPES"],
        [
            (
                row.id, f"@{row.account}", _ended(row, now) or "active", distance(row.created_at, now),
                distance(row.last_used_at, now), row.name, row.scopes,
            )
            for row in rows
        ],
        empty="There are no tokens.",
    )  # fmt: skip


def _ended(row: TokenRow, now: int) -> str | None:
    if row.revoked_at is not None:
        return "ended"
    return "expired" if row.expires_at is not None and row.expires_at <= now else None


@token.command("revoke")
@click.argument("ident", type=ID, metavar="ID")
@config_option
def revoke_token(config: Config, ident: Id) -> None:
    """End a token; `token list` shows its id.

    \b
    Example:
      fedishare token revoke 115638612345678901
    """
    with_database(config, lambda database: database.write(accounts.revoke_token, ident))
    click.echo(f"Ended token {ident}. A running server obeys within 5 seconds.")


def _text(value: object) -> object:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _now() -> int:
    return int(time.time() * 1000)
