"""The worker: takes due jobs from the table and runs their handlers.

Owns the loop, the leases and the waking. The table is the truth: an Event or PostgreSQL's NOTIFY
only shortens the wait, and a worker that is killed loses nothing, since its lease runs out and
another takes the job. Handlers must therefore bear to be run twice.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from crm_store import jobs
from crm_store.database import JOBS_CHANNEL, Database
from crm_store.jobs import Job

log = logging.getLogger(__name__)

LONGEST_ERROR = 4_000
LONGEST_STOP_S = 10.0


class JobWorker:
    """Runs the handlers of `database.subscribers`, up to `at_once` at a time.

    `lease` is how long a job of a killed worker stays untouched; a living worker extends it.
    `poll_s` is the longest wait between looks at the table.
    """

    def __init__(
        self,
        database: Database,
        *,
        at_once: int = 8,
        lease: timedelta = timedelta(seconds=60),
        poll_s: float = 5.0,
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._database = database
        self._at_once = at_once
        self._lease = lease
        self._poll_s = poll_s
        self._running: set[asyncio.Task[None]] = set()
        self._handling: set[asyncio.Task[None]] = set()
        self._wake = database.job_written

    async def run(self) -> None:
        """Work until cancelled; jobs in hand are then given back. Never raises of itself."""
        listening = asyncio.create_task(self._listen())
        try:
            while True:
                self._wake.clear()
                try:
                    wait_s = await self._take_due_jobs()
                except (OSError, SQLAlchemyError) as error:
                    log.warning("jobs cannot be read yet: %s", type(error).__name__)
                    wait_s = self._poll_s
                except Exception:
                    log.exception("jobs cannot be read, trying again")
                    wait_s = self._poll_s
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._wake.wait()
        finally:
            # Handlers are broken off; what became of a job is still written, if that is quick.
            for task in (listening, *self._handling):
                task.cancel()
            _, stuck = await asyncio.wait([listening, *self._running], timeout=LONGEST_STOP_S)
            for task in stuck:
                task.cancel()

    async def _take_due_jobs(self) -> float:
        """Claim what is due and start it; seconds to wait before looking again."""
        names = self._database.subscribers.names
        free = self._at_once - len(self._running)
        if not names or free <= 0:
            return self._poll_s
        async with self._database.reading() as session:
            due = await jobs.next_due(session, names)
        if due is None:
            return self._poll_s
        wait_s = (due - datetime.now(UTC)).total_seconds()
        if wait_s > 0:
            return min(wait_s, self._poll_s)
        async with self._database.transaction() as transaction:
            claimed = await jobs.claim(transaction.session, self.name, names, free, self._lease)
        for job in claimed:
            task = asyncio.create_task(self._do(job))
            self._running.add(task)
            task.add_done_callback(self._done)
        # A full hand: the end of a job wakes us. Otherwise there may be more at once.
        return 0.0 if claimed else min(1.0, self._poll_s)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()

    async def _do(self, job: Job) -> None:
        subscriber = self._database.subscribers.named(job.handler)
        assert subscriber is not None
        handling = asyncio.ensure_future(subscriber.handler(job))
        extending = asyncio.create_task(self._extend(job))
        self._handling.add(handling)
        try:
            await asyncio.wait([handling])
        finally:
            extending.cancel()
            self._handling.discard(handling)
        if handling.cancelled():
            await self._write(jobs.give_back, job)
        elif (failure := handling.exception()) is not None:
            # The text stays in the table: it may name a person, the log must not.
            log.warning("job %d (%s) failed: %s", job.id, job.handler, type(failure).__name__)
            error = f"{type(failure).__name__}: {failure}"[:LONGEST_ERROR]
            await self._write(jobs.fail, job, error)
        else:
            await self._write(jobs.finish, job)

    async def _write(self, statement: Any, job: Job, *more: Any) -> None:
        try:
            async with self._database.transaction() as transaction:
                await statement(transaction.session, job, self.name, *more)
        except (OSError, SQLAlchemyError) as error:
            # Its lease runs out and it is done again, as below.
            log.warning("job %d is done again: %s", job.id, type(error).__name__)
        except Exception:
            # Its lease runs out and it is done again; handlers bear that.
            log.exception("the outcome of job %d cannot be written", job.id)

    async def _extend(self, job: Job) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            await self._write(jobs.extend, job, self._lease)

    async def _listen(self) -> None:
        """On PostgreSQL, wake when any node has written a job."""
        if self._database.is_sqlite:
            return
        dsn = self._database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        while True:
            try:
                await self._listen_once(dsn)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                log.warning("cannot listen for jobs, polling meanwhile")
            await asyncio.sleep(self._poll_s)

    async def _listen_once(self, dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        try:
            gone = asyncio.Event()
            connection.add_termination_listener(lambda _: gone.set())
            await connection.add_listener(JOBS_CHANNEL, lambda *_: self._wake.set())
            # What was written before we listened.
            self._wake.set()
            await gone.wait()
        finally:
            await connection.close(timeout=5)
