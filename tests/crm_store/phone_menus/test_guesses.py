from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from crm_store.database import Database
from crm_store.models import Guesses
from crm_store.phone_menus import guesses
from crm_store.phone_menus.guesses import LIMITS, WITHHELD_TIMES, GuessKind

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CARD = "8800100000000019"


async def _try(
    database: Database, kind: GuessKind = GuessKind.CARD, subject: str = CARD, *,
    right: bool = False, now: datetime = NOW,
) -> bool:  # fmt: skip
    """One attempt of a caller: whether it was let through."""
    if not await guesses.allowed(database, kind, subject, now=now):
        return False
    async with database.transaction() as transaction:
        if right:
            await guesses.succeeded(transaction, kind, subject)
        else:
            await guesses.failed(transaction, kind, subject, now=now)
    return True


async def test_a_card_may_be_tried_five_times_a_day(database: Database) -> None:
    assert [await _try(database) for _ in range(7)] == [True] * 5 + [False] * 2
    # Another store of the same database knows it as well: a restart forgets nothing.
    again = Database(database.url.render_as_string(hide_password=False))
    assert not await _try(again)
    await again.close()
    assert await _try(database, subject="8800100000000027")
    later = NOW + LIMITS[GuessKind.CARD].within
    assert not await _try(database, now=later - timedelta(seconds=1))
    assert [await _try(database, now=later) for _ in range(6)] == [True] * 5 + [False]


async def test_a_right_pin_lets_the_card_begin_anew(database: Database) -> None:
    for _ in range(4):
        await _try(database)
    assert await _try(database, right=True)
    assert [await _try(database) for _ in range(6)] == [True] * 5 + [False]


async def test_owning_a_card_gives_nobody_more_guesses_at_others(database: Database) -> None:
    let = 0
    for _ in range(40):
        await _try(database, GuessKind.CALLER_CARDS, "+8613800138000", right=True)
        let += await _try(database, GuessKind.CALLER_CARDS, "+8613800138000")
    assert let == LIMITS[GuessKind.CALLER_CARDS].attempts


async def test_a_hundred_calls_at_once_have_no_more_guesses_than_one(database: Database) -> None:
    async def call() -> bool:
        # Hangs up before it hears whether it was right.
        return await guesses.allowed(database, GuessKind.CARD, CARD, now=NOW)

    assert sum(await asyncio.gather(*(call() for _ in range(100)))) == 5


async def test_who_withholds_the_number_shares_a_larger_count(sqlite_database: Database) -> None:
    kind = GuessKind.CALLER_ORDERS
    most = LIMITS[kind].attempts * WITHHELD_TIMES
    let = [await _try(sqlite_database, kind, "") for _ in range(most + 3)]
    assert let == [True] * most + [False] * 3


async def test_how_many_are_left_is_told_and_nothing_is_kept_in_clear(database: Database) -> None:
    assert await guesses.allowed(database, GuessKind.CARD, CARD, now=NOW)
    async with database.transaction() as transaction:
        assert await guesses.failed(transaction, GuessKind.CARD, CARD, now=NOW) == 4
    async with database.reading() as session:
        [row] = await session.scalars(select(Guesses))
    assert CARD not in row.subject
    async with database.transaction() as transaction:
        await guesses.forget_old(transaction, now=NOW + timedelta(hours=23))
    async with database.reading() as session:
        assert len(list(await session.scalars(select(Guesses)))) == 1
    async with database.transaction() as transaction:
        await guesses.forget_old(transaction, now=NOW + timedelta(hours=24))
    async with database.reading() as session:
        assert list(await session.scalars(select(Guesses))) == []
