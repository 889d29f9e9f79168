"""What an administrator does from the command line: migrate, agents, import, Asterisk's files.

Owns the words that these commands print. What is done is done by the rooms below.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import DBAPIError, IntegrityError

from agent_desk.passwords import hash_password
from crm_store import agents, migrations, queues
from crm_store.database import Database
from crm_store.models import Role
from cti.pbx_configuration import BadConfiguration, Secrets, render
from deskbell.config import masked_url
from deskbell.failure import CommandFailed, ExitCode
from deskbell.service import pbx_configuration
from deskbell.settings import Settings

# A system Asterisk is not asked for its version: files that 20 and newer understand.
NEWEST_VERSION = (22, 5, 0)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Database]:
    """The database of the settings, at this release's schema. Raises CommandFailed."""
    url = settings.store.url.get_secret_value()
    with _told_plainly(url):
        found = await migrations.revision(url)
    newest = migrations.newest_revision()
    if found != newest:
        state = "has no tables yet" if found is None else f"is at schema {found}, not {newest}"
        raise CommandFailed(f"the database {state}; run: deskbell migrate")
    database = Database(url)
    try:
        with _told_plainly(url):
            yield database
    finally:
        await database.close()


class _told_plainly:  # noqa: N801 - reads as the context manager it is
    """Turns what a database raises into one line without its password."""

    def __init__(self, url: str) -> None:
        self._url = masked_url(url)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (OSError, DBAPIError)) and not isinstance(error, IntegrityError):
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise CommandFailed(f"the database {self._url} can't be used: {cause}") from None


async def migrate(settings: Settings) -> str:
    """Bring the database to this release's schema; says what was done."""
    url = settings.store.url.get_secret_value()
    with _told_plainly(url):
        before = await migrations.revision(url)
        await migrations.migrate(url)
        after = await migrations.revision(url)
    if before == after:
        return f"The database is at schema {after} already."
    return f"The database was brought from {before or 'nothing'} to schema {after}."


async def add_agent(
    settings: Settings,
    *,
    login: str,
    name: str,
    extension: str,
    role: str,
    language: str,
    queue_names: Sequence[str],
    password: str | None,
) -> str:
    """Add an agent, or change the one with that login; the password that was set."""
    chosen = password or secrets.token_urlsafe(9)
    hashed = _hashed(chosen)
    async with open_store(settings) as database:
        known = {queue.name for queue in await queues.all_queues(database)}
        if unknown := sorted(set(queue_names) - known):
            raise CommandFailed(
                f"there is no queue {', '.join(unknown)}; there are: {', '.join(sorted(known))}"
            )
        try:
            async with database.transaction() as transaction:
                await agents.save(
                    transaction,
                    login=login,
                    display_name=name,
                    extension=extension or None,
                    role=Role(role),
                    language=language,
                    queues=list(queue_names),
                )
                await agents.set_password_hash(transaction, login, hashed)
        except IntegrityError:
            raise CommandFailed(f"extension {extension} belongs to another agent") from None
    return chosen


async def set_password(settings: Settings, login: str, password: str | None) -> str:
    """A new password, which ends the agent's sessions; the password that was set."""
    chosen = password or secrets.token_urlsafe(9)
    hashed = _hashed(chosen)
    async with open_store(settings) as database:
        try:
            async with database.transaction() as transaction:
                await agents.set_password_hash(transaction, login, hashed)
        except LookupError as error:
            raise CommandFailed(str(error)) from None
    return chosen


def _hashed(password: str) -> str:
    try:
        return hash_password(password)
    except ValueError as error:
        raise CommandFailed(str(error), ExitCode.USAGE) from None


async def list_agents(settings: Settings, console: Console, *, as_json: bool) -> None:
    """Print all agents, also those who are kept out."""
    async with open_store(settings) as database:
        found = await agents.all_agents(database, also_inactive=True)
    if as_json:
        for agent in found:
            values = {
                "login": agent.login,
                "name": agent.display_name,
                "extension": agent.extension,
                "role": agent.role.value,
                "language": agent.language,
                "active": agent.active,
                "queues": list(agent.queues),
            }
            console.out(orjson.dumps(values).decode(), highlight=False)
        return
    table = Table("login", "name", "extension", "role", "language", "queues", "", box=None)
    for agent in found:
        table.add_row(
            agent.login,
            agent.display_name,
            agent.extension or "",
            agent.role.value,
            agent.language,
            " ".join(agent.queues),
            "" if agent.active else "kept out",
        )
    console.print(table)


async def write_asterisk_files(settings: Settings, folder: Path) -> list[Path]:
    """Render Deskbell's part of a system Asterisk's configuration into `folder`."""
    async with open_store(settings) as database:
        people = await agents.all_agents(database)
        records = await queues.all_queues(database)
    return _render(settings, people, records, folder)


def _render(
    settings: Settings,
    people: Sequence[agents.AgentRecord],
    records: Sequence[queues.QueueRecord],
    folder: Path,
) -> list[Path]:
    try:
        configuration = pbx_configuration(settings.pbx[0], people, records)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = Secrets(folder / "secrets.json")
        return render(configuration, folder, kept, NEWEST_VERSION)
    except BadConfiguration as error:
        raise CommandFailed(str(error)) from None
    except OSError as error:
        raise CommandFailed(f"{folder}: {error.strerror}") from None
