from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from crm_store import jobs
from crm_store.database import Database
from crm_store.facts import CustomerCreated, PointsMoved
from crm_store.job_worker import JobWorker
from crm_store.jobs import Job, Subscribers
from crm_store.models import AuditEntry, JobRow, JobState
from tests.store_fixtures import DatabaseOpener

pytestmark = pytest.mark.db

LEASE = timedelta(seconds=60)


class Diary:
    """A handler that remembers, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.done: list[Job] = []
        self.failures = failures
        self.news = asyncio.Event()

    async def __call__(self, job: Job) -> None:
        self.done.append(job)
        self.news.set()
        if len(self.done) <= self.failures:
            raise RuntimeError("王芳 could not be reached")


def _subscribers(handler: jobs.Handler, max_attempts: int = 3) -> Subscribers:
    subscribers = Subscribers()
    subscribers.add("greet", handler, CustomerCreated, max_attempts=max_attempts)
    subscribers.add("timer", handler, max_attempts=max_attempts)
    return subscribers


@asynccontextmanager
async def _working(database: Database, poll_s: float = 0.05) -> AsyncIterator[JobWorker]:
    worker = JobWorker(database, poll_s=poll_s)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - any condition, not an event
            await asyncio.sleep(0.01)


async def _emit(database: Database, *customer_ids: int) -> None:
    async with database.transaction() as transaction:
        await transaction.emit(*(CustomerCreated(customer_id=row_id) for row_id in customer_ids))


async def _rows(database: Database) -> list[JobRow]:
    async with database.reading() as session:
        return list(await session.scalars(select(JobRow).order_by(JobRow.id)))


async def _claim(database: Database, worker: str, limit: int = 10) -> list[Job]:
    async with database.transaction() as transaction:
        return await jobs.claim(transaction.session, worker, ["greet", "timer"], limit, LEASE)


async def _make_due(database: Database, *, lease: bool = False) -> None:
    """What waiting would bring: every job is due, and if wished every lease has run out."""
    past = datetime.now(UTC) - timedelta(days=1)
    async with database.transaction() as transaction:
        values = {"due_at": past} | ({"claimed_until": past} if lease else {})
        await transaction.session.execute(update(JobRow).values(**values))


async def test_a_fact_makes_one_job_per_subscriber_and_only_of_its_kind(
    open_database: DatabaseOpener,
) -> None:
    diary = Diary()
    subscribers = _subscribers(diary)
    subscribers.add("count", diary, CustomerCreated, PointsMoved)
    database = open_database(subscribers)
    async with database.transaction() as transaction:
        await transaction.emit(
            CustomerCreated(customer_id=7), PointsMoved(card_id=1, entry_id=2, hundredths=3)
        )
    assert [(row.handler, row.kind, row.data) for row in await _rows(database)] == [
        ("greet", "CustomerCreated", {"customer_id": 7}),
        ("count", "CustomerCreated", {"customer_id": 7}),
        ("count", "PointsMoved", {"card_id": 1, "entry_id": 2, "hundredths": 3}),
    ]
    with pytest.raises(ValueError, match="two handlers"):
        subscribers.add("greet", diary)


async def test_a_worker_does_what_is_due_and_is_woken_by_a_commit(
    open_database: DatabaseOpener,
) -> None:
    diary = Diary()
    database = open_database(_subscribers(diary))
    await _emit(database, 1, 2)
    async with _working(database, poll_s=600):
        await _until(lambda: len(diary.done) == 2)
        diary.news.clear()
        await _emit(database, 3)
        await asyncio.wait_for(diary.news.wait(), 30)
    assert [job.data["customer_id"] for job in diary.done] == [1, 2, 3]
    assert {row.state for row in await _rows(database)} == {JobState.DONE}


async def test_a_node_is_woken_by_another_nodes_commit(open_database: DatabaseOpener) -> None:
    diary = Diary()
    subscribers = _subscribers(diary)
    here, there = open_database(subscribers), open_database(subscribers)
    # On SQLite nobody tells the other process: it looks for itself.
    async with _working(here, poll_s=0.05 if here.is_sqlite else 600):
        await _emit(there, 1)
        await asyncio.wait_for(diary.news.wait(), 30)


async def test_a_failed_job_waits_longer_each_time_and_is_parked_with_its_error(
    open_database: DatabaseOpener, caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary(failures=3)
    database = open_database(_subscribers(diary))
    await _emit(database, 1)
    for attempt in (1, 2, 3):
        async with _working(database):
            await _until(lambda: len(diary.done) == attempt)  # noqa: B023 - awaited at once
        [row] = await _rows(database)
        if attempt < 3:
            assert row.state is JobState.WAITING
            assert row.due_at > datetime.now(UTC)
            await _make_due(database)
    assert row.state is JobState.PARKED
    assert row.error == "RuntimeError: 王芳 could not be reached"
    assert "王芳" not in caplog.text

    async with database.reading() as session:
        [parked] = await jobs.parked(session)
    async with database.transaction() as transaction:
        assert await jobs.retry(transaction.session, parked.id)
        assert not await jobs.retry(transaction.session, parked.id)
    async with _working(database):
        await _until(lambda: len(diary.done) == 4)
    assert len({job.idempotency_key for job in diary.done}) == 1
    assert [job.attempt for job in diary.done] == [1, 2, 3, 1]


async def test_a_job_that_takes_its_workers_down_is_parked(database: Database) -> None:
    async with database.transaction() as transaction:
        await jobs.schedule(transaction.session, "timer", "k", {}, max_attempts=2)
    for attempt in (1, 2):
        [job] = await _claim(database, "dying")
        assert job.attempt == attempt
        assert await _claim(database, "other") == []
        await _make_due(database, lease=True)
    assert await _claim(database, "other") == []
    assert [row.state for row in await _rows(database)] == [JobState.PARKED]


async def test_a_timer_is_due_at_its_time_and_its_key_counts_once(
    open_database: DatabaseOpener,
) -> None:
    diary = Diary()
    database = open_database(_subscribers(diary))
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    async with database.transaction() as transaction:
        assert await transaction.schedule("timer", "birthday 7", {"id": 7}, due_at=tomorrow)
        assert not await transaction.schedule("timer", "birthday 7", {"id": 7})
        with pytest.raises(LookupError):
            await transaction.schedule("unknown", "k", {})
    assert await _claim(database, "worker") == []
    async with database.reading() as session:
        assert await jobs.next_due(session, ["timer"]) == tomorrow
        assert await jobs.next_due(session, ["greet"]) is None
    await _make_due(database)
    async with _working(database):
        await _until(lambda: len(diary.done) == 1)


async def test_many_workers_never_have_the_same_job(database: Database) -> None:
    async with database.transaction() as transaction:
        for number in range(60):
            await jobs.schedule(transaction.session, "timer", f"k{number}", {})
    claimed = await asyncio.gather(*(_claim(database, f"w{i}", limit=7) for i in range(12)))
    ids = [job.id for some in claimed for job in some]
    assert len(ids) == len(set(ids))
    rest = await _claim(database, "last", limit=100)
    assert len(ids) + len(rest) == 60


async def test_who_lost_the_lease_has_no_say(database: Database) -> None:
    async with database.transaction() as transaction:
        await jobs.schedule(transaction.session, "timer", "k", {})
    [slow] = await _claim(database, "slow")
    await _make_due(database, lease=True)
    [quick] = await _claim(database, "quick")
    async with database.transaction() as transaction:
        session = transaction.session
        assert not await jobs.extend(session, slow, "slow", LEASE)
        assert not await jobs.fail(session, slow, "slow", "late")
        assert await jobs.extend(session, quick, "quick", LEASE)
        assert await jobs.finish(session, quick, "quick")
        assert not await jobs.finish(session, slow, "slow")
    [row] = await _rows(database)
    assert (row.state, row.error) == (JobState.DONE, "")


async def test_a_worker_that_is_stopped_gives_its_jobs_back(
    open_database: DatabaseOpener,
) -> None:
    begun = asyncio.Event()

    async def endless(job: Job) -> None:
        begun.set()
        await asyncio.Event().wait()

    database = open_database(_subscribers(endless))
    await _emit(database, 1)
    async with _working(database):
        await asyncio.wait_for(begun.wait(), 30)
    [row] = await _rows(database)
    assert (row.state, row.attempts) == (JobState.WAITING, 0)


@given(st.integers(1, 60))
def test_the_wait_grows_up_to_an_hour(attempt: int) -> None:
    wait_s = jobs.wait_before_retry(attempt).total_seconds()
    full = min(3600.0, 2.0 * 2 ** (attempt - 1))
    assert full / 2 <= wait_s <= full


STEPS = st.lists(st.sampled_from(["claim", "do", "finish", "fail", "die", "time"]), max_size=30)


@given(STEPS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_jobs_survive_a_worker_that_dies_anywhere(
    sqlite_database: Database, steps: list[str]
) -> None:
    """Whatever befalls a worker, no job is lost, and each can in the end be done."""
    database = sqlite_database
    async with database.transaction() as transaction:
        await transaction.session.execute(JobRow.__table__.delete())  # type: ignore[attr-defined]
        for number in range(4):
            await jobs.schedule(transaction.session, "timer", f"k{number}", {}, max_attempts=1_000)
    effects: set[str] = set()
    held: list[Job] = []
    lives = 0
    for step in steps:
        worker = f"worker {lives}"
        if step == "claim":
            held += await _claim(database, worker, limit=2)
        elif step == "do":
            effects |= {job.idempotency_key for job in held}
        elif step == "die":
            held, lives = [], lives + 1
        elif step == "time":
            await _make_due(database, lease=True)
        elif held:
            job = held.pop()
            async with database.transaction() as transaction:
                if step == "finish":
                    effects.add(job.idempotency_key)
                    await jobs.finish(transaction.session, job, worker)
                else:
                    await jobs.fail(transaction.session, job, worker, "x")
    done = [row for row in await _rows(database) if row.state is JobState.DONE]
    assert {row.idempotency_key for row in done} <= effects
    for _ in range(4):
        await _make_due(database, lease=True)
        for job in await _claim(database, "last"):
            effects.add(job.idempotency_key)
            async with database.transaction() as transaction:
                await jobs.finish(transaction.session, job, "last")
    assert effects == {f"k{number}" for number in range(4)}
    assert {row.state for row in await _rows(database)} == {JobState.DONE}


WORKER_PROGRAM = """
import asyncio, sys
from datetime import timedelta
from sqlalchemy import select
from crm_store import audit
from crm_store.database import Database
from crm_store.facts import CustomerCreated
from crm_store.job_worker import JobWorker
from crm_store.jobs import Subscribers
from crm_store.models import AuditEntry

async def main():
    subscribers = Subscribers()
    database = Database(sys.argv[1], subscribers)

    async def greet(job):
        key = job.idempotency_key
        async with database.transaction() as transaction:
            known = await transaction.session.scalar(
                select(AuditEntry.id).where(AuditEntry.subject_id == key)
            )
            if known is None:
                await audit.record(transaction, actor="job", action="greeted",
                                   subject_kind="job", subject_id=key)
        print(key, flush=True)

    subscribers.add("greet", greet, CustomerCreated, max_attempts=1000)
    await JobWorker(database, at_once=3, lease=timedelta(seconds=0.6), poll_s=0.05).run()

asyncio.run(main())
"""


async def _all_done(database: Database) -> bool:
    return {row.state for row in await _rows(database)} == {JobState.DONE}


async def test_each_job_is_done_once_though_its_workers_are_killed(
    open_database: DatabaseOpener, database_url: str
) -> None:
    """Real processes, killed with -9 after every few jobs, over a handler that bears it."""
    database = open_database(_subscribers(Diary()))
    await _emit(database, *range(24))
    lives = 0
    while not await _all_done(database):
        lives += 1
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER_PROGRAM, database_url,
            stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert worker.stdout is not None
        try:
            async with asyncio.timeout(60):
                wanted = 3 * lives
                while wanted and not await _all_done(database):
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.5):
                            wanted -= bool(await worker.stdout.readline())
        finally:
            worker.send_signal(signal.SIGKILL)
            await worker.wait()
    async with database.reading() as session:
        greeted = list(
            await session.execute(
                select(AuditEntry.subject_id, func.count()).group_by(AuditEntry.subject_id)
            )
        )
    assert len(greeted) == 24
    assert {count for _, count in greeted} == {1}
    assert lives >= 3
