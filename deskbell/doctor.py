"""Doctor: is everything that Deskbell needs there, and if not, how to mend it.

Owns the findings, how they are told, and the checks of configuration, database, service, clock and
disk; those of a PBX are in doctor_pbx.py, of phones in browsers in doctor_phones.py, of
speech in doctor_speech.py. Changes nothing, and works while the service is down.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import aiohttp
import orjson
import typer
from rich.console import Console
from sqlalchemy import make_url, text
from sqlalchemy.exc import SQLAlchemyError

from crm_store import migrations
from crm_store.contacts import recordings
from crm_store.database import Database
from crm_store.staff import agents, queues
from crm_store.staff.agents import AgentRecord
from crm_store.staff.queues import QueueRecord
from cti.pbx.embedded import default_cache
from deskbell import doctor_channels, doctor_menus, doctor_pbx, doctor_phones, doctor_speech
from deskbell.config import ConfigError, load_settings, masked_url
from deskbell.event_loop import run
from deskbell.failure import ExitCode
from deskbell.finding import Finding, State, drift, fail, ok, warn
from deskbell.running_demo import Demo
from deskbell.settings import PbxSettings, Settings

DATABASE_SECONDS = 10.0
HTTP_SECONDS = 5.0
LOW_DISK_BYTES = 1 << 30
NO_DISK_BYTES = 200 << 20
MARKS = {State.OK: "[green]✓[/]", State.WARN: "[yellow]![/]", State.FAIL: "[bold red]✗[/]"}


def doctor(file: Path | None, *, demo: Demo | None = None, as_json: bool = False) -> ExitCode:
    """Examine what `file` configures and print the findings; FAILED if one of them is a failure."""
    findings = run(_examined(file, demo, Console(highlight=False, soft_wrap=True), quiet=as_json))
    if as_json:
        typer.echo(orjson.dumps([asdict(finding) for finding in findings]).decode())
    else:
        states = [finding.state for finding in findings]
        failed, warned = states.count(State.FAIL), states.count(State.WARN)
        typer.echo(f"\n{len(states)} checks: {failed} failed, {warned} warnings.")
    bad = any(finding.state is State.FAIL for finding in findings)
    return ExitCode.FAILED if bad else ExitCode.DONE


async def _examined(
    file: Path | None, demo: Demo | None, console: Console, *, quiet: bool
) -> list[Finding]:
    found = []
    async for finding in examine(file, demo):
        found.append(finding)
        if not quiet:
            console.print(f"{MARKS[finding.state]} {finding.topic}:", end=" ")
            console.print(finding.message, markup=False)
            if finding.remedy:
                console.print(f"    → {finding.remedy}", markup=False)
    return found


async def examine(file: Path | None, demo: Demo | None = None) -> AsyncIterator[Finding]:
    """Every finding, in the order in which one would mend things."""
    try:
        settings = load_settings(file)
    except ConfigError as error:
        for problem in error.problems:
            yield fail("configuration", str(problem), "correct it; docs/configuration.md tells all")
        return
    yield ok("configuration", str(file) if file else "built-in defaults and environment")
    for finding in _clock():
        yield finding
    for finding in _disk(settings):
        yield finding
    store = _Store()
    async for finding in _database(settings, store):
        yield finding
    yield await _service(settings, demo)
    async for finding in doctor_phones.examine(settings):
        yield finding
    async for finding in doctor_menus.reached(settings):
        yield finding
    async for finding in doctor_speech.examine():
        yield finding
    async for finding in doctor_channels.reached(settings):
        yield finding
    for pbx in settings.pbx:
        async for finding in doctor_pbx.examine(pbx, store.queues, store.agents):
            yield finding


class _Store:
    """What the database told, for the checks after it; None if it could not."""

    queues: list[QueueRecord] | None = None
    agents: list[AgentRecord] | None = None


def _clock() -> Iterator[Finding]:
    now = time.time()
    if now < Path(__file__).stat().st_mtime - 86_400:
        yield fail(
            "clock",
            f"this machine's clock says {datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M} UTC, "
            "which is before this program was installed",
            "set the clock, best by a time service (systemd-timesyncd, chrony)",
        )
        return
    zone = os.environ.get("TZ", "").lstrip(":")
    if zone and not zone.startswith("/"):
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            yield warn(
                "clock",
                f"the time zone TZ={zone} is unknown here, so local times are UTC",
                "name one like Asia/Shanghai, and install tzdata",
            )
            return
    yield ok("clock", f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z (UTC%z)}")


def _disk(settings: Settings) -> Iterator[Finding]:
    folders = [pbx.folder for pbx in settings.pbx if pbx.mode == "embedded"]
    folders += [pbx.cache or default_cache() for pbx in settings.pbx if pbx.mode == "embedded"]
    folders += [
        pbx.sound_folder for pbx in settings.pbx if pbx.mode == "embedded" and pbx.sound_folder
    ]
    url = make_url(settings.store.url.get_secret_value())
    if url.get_backend_name() == "sqlite" and url.database:
        folders.append(Path(url.database).parent)
    seen: set[int] = set()
    for folder in folders:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if there.stat().st_dev in seen:
            continue
        seen.add(there.stat().st_dev)
        free = shutil.disk_usage(there).free
        said = f"{free / (1 << 30):.1f} GiB free for {folder}"
        if not os.access(there, os.W_OK):
            yield fail("disk", f"{there} may not be written", f"let this user write to {there}")
        elif free < NO_DISK_BYTES:
            yield fail("disk", said, "make room at once: calls can't be written down")
        elif free < LOW_DISK_BYTES:
            yield warn("disk", said, "make room; recordings and the database grow")
        else:
            yield ok("disk", said)


async def _recordings(database: Database, pbx: PbxSettings) -> AsyncIterator[Finding]:
    """Sound of which no row tells whose it is: nobody can hear it, and nobody will delete it."""
    if pbx.sound_folder is None or not pbx.sound_folder.is_dir():
        return
    known = await recordings.known_files(database, pbx.name)
    names = sorted(path.name for path in pbx.sound_folder.glob("*.wav"))
    lost = [name for name in names if name not in known]
    if lost:
        yield warn(
            "recordings",
            f"PBX {pbx.name}: {len(lost)} files belong to no call, such as {lost[0]}",
            f"listen to them and delete them: they are in {pbx.sound_folder}",
        )


async def _database(settings: Settings, store: _Store) -> AsyncIterator[Finding]:
    url = settings.store.url.get_secret_value()
    shown = masked_url(url)
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            found = await migrations.revision(url)
    except TimeoutError:
        yield fail(
            "database",
            f"{shown} does not answer within {DATABASE_SECONDS:g} s",
            "see that it runs and that nothing between here and there drops the connection",
        )
        return
    except (OSError, SQLAlchemyError) as error:
        yield fail(
            "database",
            f"{shown} can't be reached: {_cause(error)}",
            "see that it runs, and that [store] url has its right host, name, user and password",
        )
        return
    newest = migrations.newest_revision()
    if found != newest:
        missing = "has no tables yet" if found is None else f"is at schema {found}, not {newest}"
        yield fail("database", f"{shown} {missing}", "run: deskbell migrate")
        return
    yield ok("database", f"{shown}, schema {found}")
    database = Database(url, patience_s=DATABASE_SECONDS)
    try:
        async for finding in _contents(database, store):
            yield finding
        for pbx in settings.pbx:
            async for finding in _recordings(database, pbx):
                yield finding
        async for finding in doctor_menus.published(database):
            yield finding
        async for finding in doctor_channels.waiting(database):
            yield finding
    except (OSError, SQLAlchemyError) as error:
        yield fail("database", f"reading failed: {_cause(error)}", "look at the database's own log")
    finally:
        await database.close()


async def _contents(database: Database, store: _Store) -> AsyncIterator[Finding]:
    store.queues = await queues.all_queues(database)
    store.agents = await agents.all_agents(database)
    if not store.agents:
        yield warn("agents", "nobody may sign in yet", "add people: deskbell agent add --help")
    else:
        without = [
            a.login for a in store.agents if not await agents.password_hash(database, a.login)
        ]
        if without:
            yield warn(
                "agents",
                f"no password: {', '.join(without)}",
                "give one: deskbell agent password LOGIN",
            )
        else:
            yield ok("agents", f"{len(store.agents)}, each with a password")
    if not database.is_sqlite:
        before = time.time()
        async with database.reading() as session:
            theirs = await session.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
        yield drift("database clock", float(theirs or 0) - (before + time.time()) / 2)


async def _service(settings: Settings, demo: Demo | None) -> Finding:
    desk = settings.desk
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(desk.host, desk.host)  # noqa: S104
    scheme = "https" if desk.tls_certificate else "http"
    url = demo.url if demo else f"{scheme}://{host}:{desk.port}"
    start = "start it: deskbell serve (its own output says why if it does not come up)"
    try:
        timeout = aiohttp.ClientTimeout(total=HTTP_SECONDS)
        # Only whether it is there is asked; its certificate is for its public name.
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(f"{url}/health", ssl=False) as answer,
        ):
            told = orjson.loads(await answer.read())
            down = [name for name, up in told.items() if not up]
    except (aiohttp.ClientConnectorError, OSError):
        return warn("service", f"nothing answers at {url}: the service is down", start)
    except (aiohttp.ClientError, TimeoutError, ValueError, AttributeError):
        return fail(
            "service",
            f"what answers at {url} is not a healthy Deskbell",
            f"see what listens there (ss -ltnp sport = :{desk.port}), or set [desk] port",
        )
    if down:
        names = ", ".join(name.replace("_", " ") for name in down)
        return fail("service", f"{url} is up, but says: no {names}", "the findings here tell why")
    return ok("service", f"{url} is up and healthy")


def _cause(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return next(iter(str(cause).splitlines()), "") or type(cause).__name__
