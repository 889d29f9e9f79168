"""What an administrator does from the command line: migrate, agents, import, Asterisk's files.

Owns the words that these commands print. What is done is done by the rooms below.
"""

from __future__ import annotations

import getpass
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import DBAPIError, IntegrityError

from agent_desk.entrance.passwords import hash_password
from crm_store import migrations
from crm_store.database import Database
from crm_store.models import PhoneKind, Role
from crm_store.people import import_customers as customer_import
from crm_store.people.import_customers import ImportReport, UnreadableImport
from crm_store.staff import agents, queues
from cti.pbx.configuration import BadConfiguration, Secrets, render
from deskbell.config import masked_url
from deskbell.event_loop import run
from deskbell.failure import CommandFailed, ExitCode
from deskbell.menus import EXTERNAL_PORT, phone_menus_config
from deskbell.pbx_description import pbx_configuration
from deskbell.settings import Settings

LINES_SHOWN = 10
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
    phone: str | None,
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
                    phone=PhoneKind(phone) if phone else None,
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
                "phone": agent.phone.value,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportWish:
    """A CSV file to import; what is None is found out from the file itself."""

    file: Path
    rejects: Path | None = None
    encoding: str | None = None
    delimiter: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


def import_customers(settings: Settings, wish: ImportWish, *, as_json: bool) -> None:
    """Import customers and print the report. Raises CommandFailed if the file is unreadable."""
    rejects = wish.rejects or wish.file.with_name(f"{wish.file.stem}.rejects.csv")
    if rejects.absolute() == wish.file.absolute():
        raise CommandFailed("the rejects can't go into the file that is read", ExitCode.USAGE)
    console = Console(stderr=True, highlight=False)
    with console.status("reading …") as status:
        report = run(
            _import(settings, wish, rejects, lambda lines: status.update(f"{lines:,} lines"))
        )
    if not report.rejected:
        rejects.unlink(missing_ok=True)
    if as_json:
        typer.echo(orjson.dumps({**asdict(report), "reasons": dict(report.reasons)}).decode())
        return
    typer.echo(
        f"{report.read} lines ({report.encoding}, {report.delimiter!r} between fields): "
        f"{report.created} customers created, {report.completed} completed, "
        f"{report.unchanged} known already, {report.rejected} rejected"
    )
    for reason, count in report.reasons.most_common():
        typer.echo(f"  {count:7} × {reason}")
    for problem in report.rejected_lines[:LINES_SHOWN]:
        typer.echo(f"  line {problem.line}: rejected, {problem.reason}")
    for problem in report.doubts[:LINES_SHOWN]:
        typer.echo(f"  line {problem.line}: imported, but {problem.reason} (see its notes)")
    if report.rejected:
        typer.echo(f"The rejected lines stand in {rejects}: mend them there and import that file.")


async def _import(
    settings: Settings, wish: ImportWish, rejects: Path, progress: Callable[[int], None]
) -> ImportReport:
    async with open_store(settings) as database:
        try:
            return await customer_import.import_customers(
                database,
                wish.file,
                rejects=rejects,
                region=settings.numbers.region,
                actor=f"import by {getpass.getuser()}",
                encoding=wish.encoding,
                delimiter=wish.delimiter,
                columns=wish.columns,
                progress=progress,
            )
        except UnreadableImport as error:
            raise CommandFailed(f"{wish.file}: {error}") from None
        except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
            raise CommandFailed(f"{error.filename}: {error.strerror}") from None


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
        pbx = settings.pbx[0].model_copy(update={"mode": "external"})
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = Secrets(folder / "secrets.json")
        menus = phone_menus_config(
            settings.menus,
            pbx,
            records,
            settings.menus.port or EXTERNAL_PORT,
            settings.menus.key.get_secret_value() or kept.menus,
        )
        configuration = pbx_configuration(pbx, people, records, menus, settings.menus.called_as)
        return render(configuration, folder, kept, NEWEST_VERSION)
    except BadConfiguration as error:
        raise CommandFailed(str(error)) from None
    except OSError as error:
        raise CommandFailed(f"{folder}: {error.strerror}") from None
