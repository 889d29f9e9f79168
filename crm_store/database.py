"""The database: one URL, SQLite or PostgreSQL, and the ways to write and to read.

Owns engines, transactions, waiting for a busy database, and the rule that facts and their jobs
are written in the transaction of what they speak of. Knows no table but through `jobs`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from crm_store import jobs
from crm_store.facts import Fact
from crm_store.fast_reader import FastReader, PostgresqlReader, SqliteReader
from crm_store.jobs import Subscribers

log = logging.getLogger(__name__)

# SQLite waits this long inside one attempt; `patience_s` bounds all attempts together.
BUSY_TIMEOUT_MS = 2_000
JOBS_CHANNEL = "deskbell_jobs"
_REPEATABLE = {"40001", "40P01"}  # serialization_failure, deadlock_detected

T = TypeVar("T")
Listener = Callable[[Sequence[Fact]], None]


class Transaction:
    """One transaction: all of it is written, or nothing."""

    def __init__(self, session: AsyncSession, subscribers: Subscribers) -> None:
        self.session = session
        self.wakes_a_worker = False
        self.emitted: list[Fact] = []
        self._subscribers = subscribers

    async def emit(self, *facts: Fact) -> None:
        """Write facts, and one job for each subscriber of each."""
        self.emitted += facts
        if facts and await jobs.write_facts(self.session, facts, self._subscribers):
            self.wakes_a_worker = True

    async def schedule(
        self,
        handler: str,
        idempotency_key: str,
        data: dict[str, Any],
        *,
        due_at: datetime | None = None,
    ) -> bool:
        """Write a job that no fact causes. False if its key is known already.

        Raises LookupError if no handler has that name.
        """
        subscriber = self._subscribers.named(handler)
        if subscriber is None:
            raise LookupError(f"no handler is named {handler!r}")
        written = await jobs.schedule(
            self.session,
            handler,
            idempotency_key,
            data,
            due_at=due_at,
            max_attempts=subscriber.max_attempts,
        )
        self.wakes_a_worker = self.wakes_a_worker or written
        return written


class Database:
    """The store's door. `url` is "sqlite:////path/file.db" or "postgresql://user@host/name".

    `patience_s` is how long a transaction waits to begin while the database is locked or away.
    """

    def __init__(
        self, url: str, subscribers: Subscribers | None = None, *, patience_s: float = 120.0
    ) -> None:
        self.url = async_url(url)
        self.subscribers = subscribers or Subscribers()
        self.patience_s = patience_s
        self.job_written = asyncio.Event()
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._listeners: list[Listener] = []
        self._writing = create_engine(self.url, pool_timeout_s=patience_s)
        self._reading = self._writing
        self._fast: FastReader
        if self.is_sqlite:
            self._reading = create_engine(self.url, readonly=True, pool_timeout_s=patience_s)
            self._fast = SqliteReader(Path(self.url.database or ""))
        else:
            self._fast = PostgresqlReader(
                self.url.set(drivername="postgresql").render_as_string(hide_password=False)
            )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Write. Begins at once and exclusively on SQLite, so it never fails half-way as busy.

        Raises sqlalchemy.exc.DBAPIError or OSError if the database stays away for `patience_s`.
        """
        async with await self._begun() as session:
            transaction = Transaction(session, self.subscribers)
            yield transaction
            if transaction.wakes_a_worker and not self.is_sqlite:
                await session.execute(
                    text("SELECT pg_notify(:channel, '')"), {"channel": JOBS_CHANNEL}
                )
            await session.commit()
        if transaction.wakes_a_worker:
            self.job_written.set()
        if transaction.emitted:
            self._tell(transaction.emitted)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` the facts of each transaction of this process, after it is committed;
        what is returned ends that. A hint for live pages: what must not be lost is a subscriber.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _tell(self, facts: Sequence[Fact]) -> None:
        for listener in list(self._listeners):
            try:
                listener(facts)
            except Exception:
                # The transaction is committed: whoever wrote it must not hear that it failed.
                log.exception("a listener of facts failed")

    async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Do `work` in a transaction; all of it again if PostgreSQL broke a deadlock with us."""
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                async with self.transaction() as transaction:
                    return await work(transaction)
            except DBAPIError as error:
                if (
                    getattr(error.orig, "sqlstate", None) not in _REPEATABLE
                    or time.monotonic() > deadline
                ):
                    raise
            await asyncio.sleep(_jittered(0.05))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Read, from one snapshot on SQLite. Never waits for a writer there."""
        async with AsyncSession(self._reading, expire_on_commit=False) as session:
            yield session

    async def fetch(self, statement: str, *parameters: Any) -> Sequence[Sequence[Any]]:
        """The rows of a SELECT by the shortest way; parameters are written $1, $2, ...

        Raises sqlite3.Error, asyncpg.PostgresError or OSError.
        """
        return await self._fast.fetch(statement, *parameters)

    async def close(self) -> None:
        await self._fast.close()
        await self._reading.dispose()
        await self._writing.dispose()

    async def _begun(self) -> AsyncSession:
        deadline = time.monotonic() + self.patience_s
        wait_s = 0.01
        said = False
        while True:
            session = AsyncSession(self._writing, expire_on_commit=False)
            try:
                await session.connection()
            except (DBAPIError, OSError) as error:
                await session.close()
                if not _may_pass(error) or time.monotonic() > deadline:
                    raise
                if not said:
                    log.warning("the database is busy or away, waiting: %s", type(error).__name__)
                    said = True
            except BaseException:
                await session.close()
                raise
            else:
                return session
            await asyncio.sleep(_jittered(wait_s))
            wait_s = min(1.0, wait_s * 2)


def async_url(url: str) -> URL:
    """The URL with its asyncio driver. Raises ValueError for a database that is not served."""
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ValueError("SQLite needs a file: sqlite:////path/deskbell.db")
        return parsed.set(drivername="sqlite+aiosqlite")
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+asyncpg")
    raise ValueError(f"no such database is served: {backend!r}; use sqlite or postgresql")


class ReleasingConnection(sqlite3.Connection):
    """Gives its lock back when it is closed.

    SQLite itself puts that off while a statement has rows left, and a task that was cancelled
    half-way leaves one: until it was collected, nobody else could write.
    """

    def close(self) -> None:
        # Closed already: to say so would leave aiosqlite's thread waiting for ever.
        with suppress(sqlite3.ProgrammingError):
            if self.in_transaction:
                self.rollback()
        super().close()


def create_engine(url: URL, *, readonly: bool = False, pool_timeout_s: float = 30.0) -> AsyncEngine:
    """An engine with the settings that all of the store relies upon."""
    if url.get_backend_name() != "sqlite":
        return create_async_engine(
            url,
            pool_size=5,
            max_overflow=10,
            pool_timeout=pool_timeout_s,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"server_settings": {"timezone": "UTC"}},
        )
    engine = create_async_engine(
        url,
        connect_args={"factory": ReleasingConnection},
        # One writer: our own transactions queue here in order, and not as busy errors in SQLite.
        pool_size=4 if readonly else 1,
        max_overflow=0,
        pool_timeout=pool_timeout_s,
        # What could not be written is somebody's data, and an error's text ends in a log.
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone()[0] != "wal":
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        if readonly:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

    return engine


def is_away(error: BaseException) -> bool:
    """Whether the error says that the database is locked or away, so that it may work later."""
    if isinstance(error, DBAPIError):
        return _may_pass(error)
    # A host with several addresses, none of which answers, is an OSError without a number.
    away = isinstance(error, ConnectionError) or (isinstance(error, OSError) and not error.errno)
    return away or isinstance(error, PoolTimeout)


def _may_pass(error: DBAPIError | OSError) -> bool:
    if isinstance(error, OSError):
        return True
    if error.connection_invalidated:
        return True
    said = str(error.orig).lower()
    return "locked" in said or "busy" in said or "starting up" in said or "shutting down" in said


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load only
