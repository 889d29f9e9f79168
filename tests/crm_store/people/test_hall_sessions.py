"""Customers' sessions in the hall: they hold for their time, end at once, and follow a merge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crm_store.database import Database
from crm_store.people import customers, hall_sessions, merging
from crm_store.people.customers import NewCustomer

pytestmark = pytest.mark.db

DAY = timedelta(days=1)


async def person(database: Database, name: str) -> int:
    async with database.transaction() as transaction:
        return await customers.create(transaction, NewCustomer(name, "es"), actor="sara")


async def let_in(database: Database, customer_id: int, lasts: timedelta = DAY) -> str:
    async with database.transaction() as transaction:
        return await hall_sessions.open_session(transaction, customer_id, lasts)


async def test_a_session_holds_for_its_time(database: Database) -> None:
    customer_id = await person(database, "Ana")
    token = await let_in(database, customer_id)
    found = await hall_sessions.session_of(database, token)
    assert found is not None
    assert (found.customer_id, found.name, found.language) == (customer_id, "Ana", "es")
    assert token not in repr(found)
    later = datetime.now(UTC) + DAY + timedelta(seconds=1)
    assert await hall_sessions.session_of(database, token, now=later) is None
    assert await hall_sessions.session_of(database, token + "x") is None
    async with database.transaction() as transaction:
        await hall_sessions.forget_ended(transaction, now=later)
    assert await hall_sessions.session_of(database, token) is None


async def test_all_sessions_of_a_person_end_but_the_one_that_asks(database: Database) -> None:
    ana, eva = await person(database, "Ana"), await person(database, "Eva")
    tokens = [await let_in(database, ana) for _ in range(3)]
    other = await let_in(database, eva)
    kept = await hall_sessions.session_of(database, tokens[0])
    assert kept is not None
    assert await hall_sessions.count(database, [ana]) == 3
    async with database.transaction() as transaction:
        ended = await hall_sessions.close_all(transaction, [ana], besides=kept.session_id)
    assert ended == 2
    found = [await hall_sessions.session_of(database, token) for token in [*tokens, other]]
    assert [one is not None for one in found] == [True, False, False, True]
    async with database.transaction() as transaction:
        await hall_sessions.close_session(transaction, kept.session_id)
    assert await hall_sessions.count(database, [ana]) == 0


async def test_a_session_is_that_of_whom_its_customer_became(database: Database) -> None:
    ana, twin = await person(database, "Ana"), await person(database, "Ana Gómez")
    token = await let_in(database, twin)
    async with database.transaction() as transaction:
        await merging.merge(transaction, twin, ana, actor="sara")
    found = await hall_sessions.session_of(database, token)
    assert found is not None
    assert found.customer_id == ana


async def test_when_it_was_last_used_is_kept(database: Database) -> None:
    token = await let_in(database, await person(database, "Ana"))
    before = await hall_sessions.session_of(database, token)
    assert before is not None
    moment = datetime.now(UTC) + timedelta(hours=2)
    async with database.transaction() as transaction:
        await hall_sessions.seen(transaction, before.session_id, now=moment)
    after = await hall_sessions.session_of(database, token)
    assert after is not None
    assert after.seen_at == moment
