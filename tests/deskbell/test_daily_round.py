"""The daily round is one job a day, for all nodes together, and makes the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from crm_store.database import Database
from crm_store.job_worker import JobWorker
from crm_store.jobs import Subscribers
from crm_store.models import JobRow, JobState
from deskbell.daily_round import AT, HANDLER, DailyRound
from tests.store_fixtures import (
    DatabaseOpener,
    database_url,
    open_database,
    postgresql_server,
    sqlite_template,
)

__all__ = ["database_url", "open_database", "postgresql_server", "sqlite_template"]

pytestmark = pytest.mark.db


async def _jobs(database: Database, state: JobState) -> list[JobRow]:
    async with database.reading() as session:
        return list(await session.scalars(select(JobRow).where(JobRow.state == state)))


async def _keep(files: Iterable[str]) -> None:
    assert not list(files)


async def test_two_nodes_make_one_round_and_the_next_is_at_night(
    open_database: DatabaseOpener,
) -> None:
    workers = []
    databases = []
    for _ in range(2):
        subscribers = Subscribers()
        daily = DailyRound()
        daily.add_to(subscribers)
        database = open_database(subscribers)
        databases.append(database)
        await daily.begin(database, _keep)
        workers.append(asyncio.create_task(JobWorker(database, poll_s=0.05).run()))
    try:
        async with asyncio.timeout(60):
            while not await _jobs(databases[0], JobState.DONE):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    (waiting,) = await _jobs(databases[0], JobState.WAITING)
    assert waiting.handler == HANDLER
    assert waiting.due_at.time() == AT
    assert timedelta(0) < waiting.due_at - datetime.now(UTC) < timedelta(hours=48)
    async with databases[0].reading() as session:
        assert await session.scalar(select(func.count()).select_from(JobRow)) == 2


async def test_a_start_on_the_same_day_makes_no_second_round(
    open_database: DatabaseOpener,
) -> None:
    subscribers = Subscribers()
    daily = DailyRound()
    daily.add_to(subscribers)
    database = open_database(subscribers)
    morning = datetime(2026, 11, 21, 7, tzinfo=UTC)
    await daily.begin(database, _keep, morning)
    await daily.begin(database, _keep, morning + timedelta(hours=9))
    assert [job.data["day"] for job in await _jobs(database, JobState.WAITING)] == ["2026-11-21"]
    await daily.begin(database, _keep, morning + timedelta(hours=24))
    assert len(await _jobs(database, JobState.WAITING)) == 2
