"""The shortest way to read a row, for the path of a screen pop.

Owns connections that only read, past SQLAlchemy: for SQLite one in a thread of its own, for
PostgreSQL a small asyncpg pool. Never waits for a writer of ours. Knows no table.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol

import asyncpg

POSTGRESQL_CONNECTIONS = 4
SQLITE_CACHE_KIB = 65_536
SQLITE_MAPPED_BYTES = 1 << 30


class FastReader(Protocol):
    async def fetch(self, statement: str, *parameters: Any) -> Sequence[Sequence[Any]]:
        """The rows of a SELECT whose parameters are written $1, $2, ... on both databases."""

    async def close(self) -> None: ...


_Request = tuple[asyncio.AbstractEventLoop, "asyncio.Future[list[Any]]", str, tuple[Any, ...]]


class SqliteReader:
    """One connection in one thread. Starts with the first read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._requests: SimpleQueue[_Request | None] = SimpleQueue()
        self._thread: Thread | None = None

    async def fetch(self, statement: str, *parameters: Any) -> Sequence[Sequence[Any]]:
        if self._thread is None:
            self._thread = Thread(target=self._serve, name="fast-reader", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Any]] = loop.create_future()
        self._requests.put((loop, answer, statement, parameters))
        return await answer

    async def close(self) -> None:
        if self._thread is not None:
            self._requests.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _serve(self) -> None:
        connection: sqlite3.Connection | None = None
        while (request := self._requests.get()) is not None:
            loop, answer, statement, parameters = request
            if answer.cancelled():
                continue
            rows: list[Any] | None = None
            error: Exception | None = None
            try:
                if connection is None:
                    connection = self._connect()
                # "$1" names a parameter here, so it is bound by name.
                named = {str(index): value for index, value in enumerate(parameters, 1)}
                rows = connection.execute(statement, named).fetchall()
            except Exception as failure:
                error = failure
            try:
                loop.call_soon_threadsafe(_answer, answer, rows, error)
            except RuntimeError:
                # The asking loop has ended: nobody waits for this answer.
                continue
        if connection is not None:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None
        )
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KIB}")
        connection.execute(f"PRAGMA mmap_size = {SQLITE_MAPPED_BYTES}")
        return connection


def _answer(
    answer: asyncio.Future[list[Any]], rows: list[Any] | None, error: Exception | None
) -> None:
    if answer.cancelled():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(rows or [])


class PostgresqlReader:
    """A pool of its own: a burst of writes does not take its connections away."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    async def fetch(self, statement: str, *parameters: Any) -> Sequence[Sequence[Any]]:
        if self._pool is None:
            await self._open()
        assert self._pool is not None
        rows: Sequence[Sequence[Any]] = await self._pool.fetch(statement, *parameters)
        return rows

    async def _open(self) -> None:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    min_size=1,
                    max_size=POSTGRESQL_CONNECTIONS,
                    reset=_nothing_to_reset,
                    server_settings={
                        "jit": "off",
                        "timezone": "UTC",
                        "default_transaction_read_only": "on",
                    },
                )

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None


async def _nothing_to_reset(connection: Any) -> None:
    """Single reads leave nothing behind: the pool's own reset would cost a round trip each."""
