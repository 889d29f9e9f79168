"""The bench's two databases: a crowd of customers and a thousand agents, kept from run to run.

Owns, in the bench's folder, a SQLite file for each size of crowd and one PostgreSQL cluster. A run
writes calls of a PBX of its own name and takes them away again, so every run finds the same.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncpg
from sqlalchemy import text

from crm_store.database import Database
from crm_store.migrations import migrate
from crm_store.sample.crowd import fill_crowd
from crm_store.staff import agents, queues
from crm_store.staff.queues import QueueRecord
from tests.store_fixtures import postgresql_programs

QUEUE = "service"
WRAP_UP_SECONDS = 2
FIRST_EXTENSION = 2001


@dataclass(frozen=True, slots=True)
class Seat:
    """An agent at a desk: `token` is the session's cookie."""

    login: str
    extension: str
    token: str


@dataclass(frozen=True, slots=True)
class Written:
    """What a run left in the database."""

    calls: int
    calls_ended: int
    calls_with_customer: int
    interactions: int
    agent_states: int


def login_of(position: int) -> str:
    return f"agent{position:04d}"


def extension_of(position: int) -> str:
    return str(FIRST_EXTENSION + position)


@contextmanager
def sqlite_url(folder: Path, customers: int, real_time: bool = False) -> Iterator[str]:
    """The URL of the SQLite file for a crowd of that size; `real_time` is its readers' affair."""
    del real_time
    yield f"sqlite:///{(folder / f'crowd-{customers}.db').absolute()}"


@contextmanager
def postgresql_url(folder: Path, customers: int, real_time: bool = False) -> Iterator[str]:
    """The URL of a PostgreSQL cluster's database for that crowd, while the server runs.

    Its settings are PostgreSQL's own (so every commit waits for the disk), but for a larger cache.
    """
    folder = folder / "postgresql"
    programs = postgresql_programs()
    user = "postgres" if os.getuid() == 0 else None
    if not (folder / "data" / "PG_VERSION").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if user is not None:
            shutil.chown(folder, user)
        subprocess.run(
            [programs / "initdb", "--pgdata", "data", "--username=deskbell", "--auth=trust",
             "--encoding=UTF8", "--locale=C.UTF-8"],
            user=user, cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [programs / "postgres", "-D", "data", "-p", str(port), "-k", "", "-h", "127.0.0.1",
             "-c", "shared_buffers=512MB"],
            user=user, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    if real_time:
        os.sched_setscheduler(process.pid, os.SCHED_RR, os.sched_param(2))
    try:
        asyncio.run(_create_when_ready(port, f"crowd_{customers}"))
        yield f"postgresql://deskbell@127.0.0.1:{port}/crowd_{customers}"
    finally:
        process.send_signal(2)  # PostgreSQL's fast shutdown: it does not wait for its clients
        process.wait(timeout=60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _create_when_ready(port: int, name: str) -> None:
    url = f"postgresql://deskbell@127.0.0.1:{port}/postgres"
    async with asyncio.timeout(60):
        while True:
            try:
                connection = await asyncpg.connect(url)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.1)
            else:
                break
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()


async def prepare(url: str, customers: int, desks: int) -> list[Seat]:
    """Fill the database where it is empty; every agent signed in, with a session of one hour."""
    await migrate(url)
    async with _opened(url) as database:
        if await fill_crowd(database, customers) and not database.is_sqlite:
            async with database.transaction() as transaction:
                for table in ("customers", "contact_points", "cards", "points_entries"):
                    await transaction.session.execute(text(f"ANALYZE {table}"))
                await transaction.session.execute(text("ANALYZE interactions"))
        seats = []
        async with database.transaction() as transaction:
            queue = QueueRecord(
                name=QUEUE, number="600", titles={"en": "Service"}, wrap_up_seconds=WRAP_UP_SECONDS
            )
            await queues.save(transaction, queue)
            for position in range(desks):
                login, extension = login_of(position), extension_of(position)
                agent_id = await agents.save(
                    transaction,
                    login=login,
                    display_name=f"Agent {position}",
                    extension=extension,
                    queues=(QUEUE,),
                )
                token = await agents.open_session(transaction, agent_id, timedelta(hours=1))
                seats.append(Seat(login, extension, token))
        return seats


async def take_away(url: str, pbx: str) -> Written:
    """Count what the run wrote, and remove its calls, their interactions, and the sessions."""
    async with _opened(url) as database, database.transaction() as transaction:
        session = transaction.session

        async def count(query: str) -> int:
            return int(await session.scalar(text(query), {"pbx": pbx}) or 0)

        written = Written(
            calls=await count("SELECT count(*) FROM calls WHERE pbx = :pbx"),
            calls_ended=await count(
                "SELECT count(*) FROM calls WHERE pbx = :pbx AND state = 'ended'"
                " AND outcome = 'answered'"
            ),
            calls_with_customer=await count(
                "SELECT count(*) FROM calls WHERE pbx = :pbx AND customer_id IS NOT NULL"
            ),
            interactions=await count(
                "SELECT count(*) FROM interactions i JOIN calls c ON c.id = i.call_id"
                " WHERE c.pbx = :pbx AND i.customer_id IS NOT NULL"
            ),
            agent_states=await count("SELECT count(*) FROM agent_state_entries"),
        )
        for statement in (
            (
                "DELETE FROM wrap_ups WHERE interaction_id IN (SELECT i.id FROM interactions i"
                " JOIN calls c ON c.id = i.call_id WHERE c.pbx = :pbx)"
            ),
            "DELETE FROM interactions WHERE call_id IN (SELECT id FROM calls WHERE pbx = :pbx)",
            "DELETE FROM calls WHERE pbx = :pbx",
        ):
            await session.execute(text(statement), {"pbx": pbx})
        for statement in ("DELETE FROM agent_state_entries", "DELETE FROM desk_sessions"):
            await session.execute(text(statement))
    return written


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        await database.close()
