from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError, StatementError

from crm_store.database import Database, ReleasingConnection, Transaction, async_url
from crm_store.facts import CustomerCreated, Fact
from crm_store.jobs import Subscribers
from crm_store.models import AgentStateEntry, ContactKind, FactRow, JobRow
from crm_store.people import customers
from crm_store.people.customers import ContactWay, NewCustomer
from tests.store_fixtures import DatabaseOpener

pytestmark = pytest.mark.db

NUMBER = "+8613800138000"


async def _write_customer(database: Database, name: str) -> int:
    async with database.transaction() as transaction:
        return await customers.create(
            transaction,
            NewCustomer(name, contact_points=[ContactWay(ContactKind.PHONE, NUMBER)]),
            actor="lin",
        )


async def test_a_locked_sqlite_still_answers_who_calls_and_writes_when_it_is_free(
    sqlite_database: Database,
) -> None:
    await _write_customer(sqlite_database, "Wang Fang")
    other = sqlite3.connect(str(sqlite_database.url.database), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    writing = asyncio.create_task(_write_customer(sqlite_database, "Chen Wei"))
    done, _ = await asyncio.wait([writing], timeout=2.5)
    assert not done
    [found] = await customers.find_by_phone(sqlite_database, NUMBER)
    assert found.name == "Wang Fang"
    assert await customers.search_by_name(sqlite_database, "chen") == []
    other.execute("COMMIT")
    other.close()
    await writing
    assert len(await customers.find_by_phone(sqlite_database, NUMBER)) == 2


async def test_patience_has_an_end(sqlite_url: str) -> None:
    database = Database(sqlite_url, patience_s=0.1)
    other = sqlite3.connect(str(database.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DBAPIError, match="locked"):
        await _write_customer(database, "Wang Fang")
    other.close()
    await _write_customer(database, "Wang Fang")
    await database.close()


async def test_transactions_of_many_tasks_wait_for_each_other(database: Database) -> None:
    ids = await asyncio.gather(*(_write_customer(database, f"Person {i}") for i in range(50)))
    assert len(set(ids)) == 50


async def test_a_transaction_is_all_or_nothing(open_database: DatabaseOpener) -> None:
    subscribers = Subscribers()
    subscribers.add("greet", _nothing, CustomerCreated)
    database = open_database(subscribers)

    async def work(transaction: Transaction) -> None:
        await customers.create(transaction, NewCustomer("Wang Fang"), actor="lin")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.run(work)
    async with database.reading() as session:
        assert list(await session.scalars(select(FactRow))) == []
        assert list(await session.scalars(select(JobRow))) == []
    assert not database.job_written.is_set()
    await _write_customer(database, "Wang Fang")
    async with database.reading() as session:
        [job] = await session.scalars(select(JobRow))
    assert (job.handler, job.kind) == ("greet", "CustomerCreated")
    assert job.idempotency_key.startswith("greet:")
    assert database.job_written.is_set()


async def _nothing(job: object) -> None:
    """A handler with nothing to do."""


async def test_a_deadlock_is_tried_again(database: Database) -> None:
    first, second = [await _write_customer(database, name) for name in ("One", "Two")]
    both_hold_one = asyncio.Barrier(2) if not database.is_sqlite else asyncio.Barrier(1)
    tries = []

    async def swap(mine: int, other: int) -> None:
        async def work(transaction: Transaction) -> None:
            tries.append(mine)
            await customers.update(transaction, mine, actor="lin", notes=f"by {mine}")
            if len(tries) <= 2:
                await both_hold_one.wait()
            await customers.update(transaction, other, actor="lin", notes=f"by {mine}")

        await database.run(work)

    await asyncio.gather(swap(first, second), swap(second, first))
    assert len(tries) == (2 if database.is_sqlite else 3)
    cards = [await customers.card(database, row_id) for row_id in (first, second)]
    assert cards[0] is not None
    assert cards[1] is not None
    assert cards[0].notes == cards[1].notes


async def test_readers_cannot_write(database: Database) -> None:
    if database.is_sqlite:
        async with database.reading() as session:
            with pytest.raises(DBAPIError, match="readonly"):
                await session.execute(text("DELETE FROM customers"))
    with pytest.raises((sqlite3.OperationalError, asyncpg.ReadOnlySQLTransactionError)):
        await database.fetch("DELETE FROM customers")
    assert await database.fetch("SELECT 1 WHERE $1 = 2", 1) == []


async def test_moments_come_back_aware_and_in_utc(database: Database) -> None:
    moment = datetime(2026, 11, 21, 20, 30, 0, 123456, tzinfo=timezone(timedelta(hours=3.5)))
    async with database.transaction() as transaction:
        await transaction.session.execute(
            insert(AgentStateEntry).values(agent="lin", state="paused", at=moment)
        )
        found = await transaction.session.scalar(select(AgentStateEntry.at))
    assert found == moment
    assert found is not None
    assert found.tzinfo is UTC
    with pytest.raises(StatementError, match="time zone"):
        async with database.transaction() as transaction:
            await transaction.session.execute(
                insert(AgentStateEntry).values(
                    agent="lin", state="paused", at=moment.replace(tzinfo=None)
                )
            )


async def test_an_unfinished_read_hurts_nobody(database: Database) -> None:
    reads = [asyncio.create_task(database.fetch("SELECT 1")) for _ in range(20)]
    await asyncio.sleep(0)
    for read in reads[::2]:
        read.cancel()
    done = await asyncio.gather(*reads, return_exceptions=True)
    assert [
        list(map(tuple, rows)) for rows in done[1::2] if not isinstance(rows, BaseException)
    ] == [[(1,)]] * 10
    assert len(await database.fetch("SELECT 1")) == 1


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/x"])
def test_databases_that_are_not_served_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"SQLite needs a file|no such database"):
        async_url(url)


async def test_a_write_that_is_broken_off_half_way_keeps_nobody_waiting(sqlite_url: str) -> None:
    first, second = Database(sqlite_url), Database(sqlite_url, patience_s=5.0)
    kept: list[object] = []
    begun = asyncio.Event()

    async def write() -> None:
        async with first.transaction() as transaction:
            connection = await transaction.session.connection()
            raw = await connection.get_raw_connection()
            assert raw.driver_connection is not None
            # As a statement whose rows were not read when its task was cancelled; its traceback
            # keeps the cursor.
            kept.append(
                await raw.driver_connection.execute(
                    "INSERT INTO facts (kind, data, at) VALUES ('a', '{}', ''), ('b', '{}', '')"
                    " RETURNING id"
                )
            )
            begun.set()
            await connection.invalidate()
            raise asyncio.CancelledError

    task = asyncio.create_task(write())
    await begun.wait()
    await asyncio.gather(task, return_exceptions=True)
    async with second.transaction() as transaction:
        count = await transaction.session.scalar(text("SELECT count(*) FROM facts"))
    assert (count, len(kept)) == (0, 1)
    await first.close()
    await second.close()


def test_a_connection_that_is_closed_twice_says_nothing(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "closed.db", factory=ReleasingConnection)
    connection.close()
    connection.close()


async def test_facts_are_heard_after_the_commit_and_a_deaf_listener_harms_nobody(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Fact] = []

    def deaf(_facts: Sequence[Fact]) -> None:
        raise RuntimeError("deaf")

    stop_deaf = database.listen(deaf)
    stop = database.listen(heard.extend)

    async def fail(transaction: Transaction) -> None:
        await transaction.emit(CustomerCreated(customer_id=1))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.run(fail)
    assert heard == []
    async with database.transaction() as transaction:
        await transaction.emit(CustomerCreated(customer_id=2))
        assert heard == []
    assert heard == [CustomerCreated(customer_id=2)]
    assert "a listener of facts failed" in caplog.text
    stop()
    stop_deaf()
    async with database.transaction() as transaction:
        await transaction.emit(CustomerCreated(customer_id=3))
    assert len(heard) == 1
