from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from crm_store.daily import Round, make_round
from crm_store.database import Database
from crm_store.people import cards, customers, points
from crm_store.people.customers import NewCustomer
from crm_store.phone_menus import guesses
from crm_store.phone_menus.guesses import LIMITS, GuessKind
from crm_store.shop import house
from crm_store.shop.house import House

pytestmark = pytest.mark.db

SHANGHAI = ZoneInfo("Asia/Shanghai")


async def _card(database: Database, place: int, *given: tuple[datetime, int]) -> int:
    digits = f"8800{place:05d}"
    async with database.transaction() as transaction:
        customer_id = await customers.create(transaction, NewCustomer("Reza"), actor="lin")
        card_id = await cards.open_card(
            transaction, customer_id, digits + cards.check_digit(digits)
        )
        for number, (at, hundredths) in enumerate(given):
            await points.add(
                transaction, card_id, hundredths, reason="bought", made_by="till", at=at,
                idempotency_key=f"{place}:{number}",
            )  # fmt: skip
    return card_id


async def test_points_expire_as_the_houses_day_begins(database: Database) -> None:
    async with database.transaction() as transaction:
        facts = House(time_zone="Asia/Shanghai", points_valid_months=24)
        await house.write(transaction, facts, actor="sara")
    given = datetime(2024, 11, 30, 22, tzinfo=SHANGHAI)
    old = await _card(database, 1, (given, 500), (given + timedelta(days=40), 70))
    young = await _card(database, 2, (given + timedelta(days=1), 900))
    midnight = datetime(2026, 11, 30, tzinfo=SHANGHAI)
    assert await make_round(database, midnight - timedelta(seconds=1)) == Round(0, 0)
    assert await make_round(database, midnight) == Round(1, 500)
    assert await make_round(database, midnight) == Round(0, 0)
    assert await points.balance(database, old) == 70
    assert await points.balance(database, young) == 900


async def test_where_points_last_for_ever_nothing_is_taken(database: Database) -> None:
    card_id = await _card(database, 1, (datetime(1999, 1, 1, tzinfo=UTC), 500))
    assert await make_round(database) == Round(0, 0)
    assert await points.balance(database, card_id) == 500


async def test_old_attempts_are_forgotten(database: Database) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    for _ in range(6):
        await guesses.allowed(database, GuessKind.CARD, "1", now=now)
    within = LIMITS[GuessKind.CARD].within
    await make_round(database, now + within - timedelta(seconds=1))
    assert not await guesses.allowed(database, GuessKind.CARD, "1", now=now)
    await make_round(database, now + within)
    assert await guesses.allowed(database, GuessKind.CARD, "1", now=now)
