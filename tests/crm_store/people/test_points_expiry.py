from __future__ import annotations

from collections import deque
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_store.database import Database
from crm_store.people import cards, customers, points
from crm_store.people.customers import NewCustomer

pytestmark = pytest.mark.db

SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(day: str, hour: int = 12) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).replace(hour=hour)


async def _card(database: Database, *moves: tuple[str, int]) -> int:
    """A card with these movements of points, each on its day at noon UTC."""
    async with database.transaction() as transaction:
        customer_id = await customers.create(transaction, NewCustomer("Reza"), actor="lin")
        card_id = await cards.open_card(
            transaction, customer_id, "8800123" + cards.check_digit("8800123")
        )
        for number, (day, hundredths) in enumerate(moves):
            await points.add(
                transaction, card_id, hundredths, reason="bought", idempotency_key=f"m{number}",
                made_by="till", at=at(day),
            )  # fmt: skip
    return card_id


async def test_the_oldest_points_are_spent_first_and_the_rest_of_them_expires(
    database: Database,
) -> None:
    card_id = await _card(
        database,
        ("2024-12-05", 150_000), ("2025-06-01", 800_000), ("2026-01-10", -100_000),
        ("2026-02-01", 384_550),
    )  # fmt: skip
    soon = await points.expiring(database, card_id, 24, date(2026, 12, 20))
    assert soon == [(date(2026, 12, 5), 50_000)]
    whole = await points.expiring(database, card_id, 24, date(2030, 1, 1))
    assert whole == [
        (date(2026, 12, 5), 50_000),
        (date(2027, 6, 1), 800_000),
        (date(2028, 2, 1), 384_550),
    ]
    assert sum(left for _, left in whole) == await points.balance(database, card_id) == 1_234_550
    # The day itself is not before it.
    assert await points.expiring(database, card_id, 24, date(2026, 12, 5)) == []
    assert await points.expiring(database, card_id, 0, date(2030, 1, 1)) == []
    assert await points.expiring(database, 999, 24, date(2030, 1, 1)) == []


async def test_a_day_is_the_houses_day(database: Database) -> None:
    async with database.transaction() as transaction:
        customer_id = await customers.create(transaction, NewCustomer("Reza"), actor="lin")
        card_id = await cards.open_card(
            transaction, customer_id, "8800123" + cards.check_digit("8800123")
        )
        await points.add(
            transaction, card_id, 100, reason="bought", idempotency_key="m", made_by="till",
            at=at("2026-01-31", 20),
        )  # fmt: skip
    until = date(2027, 1, 1)
    [(here, _)] = await points.expiring(database, card_id, 1, until)
    [(there, _)] = await points.expiring(database, card_id, 1, until, zone=SHANGHAI)
    # The 31st has no like in February; in Shanghai it was the 1st of February already.
    assert (here, there) == (date(2026, 2, 28), date(2026, 3, 1))


async def test_what_has_expired_is_taken_once_and_later_points_are_left(
    database: Database,
) -> None:
    card_id = await _card(database, ("2024-12-05", 1_000), ("2024-12-06", 500), ("2026-02-01", 70))

    async def expire(day: str) -> int:
        async with database.transaction() as transaction:
            return await points.expire(transaction, card_id, 24, date.fromisoformat(day))

    assert await expire("2026-12-04") == 0
    assert await expire("2026-12-06") == 1_500
    assert await expire("2026-12-06") == 0
    assert await points.balance(database, card_id) == 70
    reasons = [entry.reason for entry in await points.entries(database, card_id)]
    assert reasons == ["expired", "expired", "bought", "bought", "bought"]
    # A receipt that comes late for such an old day is lost too, by an entry of its own.
    async with database.transaction() as transaction:
        await points.add(
            transaction, card_id, 30, reason="late", idempotency_key="late", made_by="till",
            at=at("2024-12-05"),
        )  # fmt: skip
    assert await expire("2026-12-06") == 30
    assert await points.balance(database, card_id) == 70


async def test_only_cards_with_old_points_are_looked_at(database: Database) -> None:
    card_id = await _card(database, ("2024-12-05", 1_000))
    old = at("2024-12-05")
    assert await points.cards_with_points_before(database, old + timedelta(days=1)) == [card_id]
    assert await points.cards_with_points_before(database, old) == []
    async with database.transaction() as transaction:
        await points.add(
            transaction, card_id, -1_000, reason="gift", idempotency_key="g", made_by="till"
        )
    assert await points.cards_with_points_before(database, old + timedelta(days=1)) == []


MOVES = st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=30)


@given(MOVES)
def test_left_is_what_a_heap_of_single_points_would_leave(moves: list[tuple[bool, int]]) -> None:
    """Against the plainest model: a heap of points with their days, spent from the bottom."""
    heap: deque[datetime] = deque()
    ledger = []
    moment = at("2026-01-01")
    for gives, amount in moves:
        moment += timedelta(days=1)
        if gives:
            heap.extend([moment] * amount)
            ledger.append((moment, amount))
        elif amount <= len(heap):
            for _ in range(amount):
                heap.popleft()
            ledger.append((moment, -amount))
    left = points.left_of(reversed(ledger))
    assert [day for day, amount in left for _ in range(amount)] == list(heap)
    assert sum(amount for _, amount in left) == sum(amount for _, amount in ledger)


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(-600, 600))
def test_months_later_is_the_same_day_or_the_months_last(day: date, months: int) -> None:
    later = points.months_later(day, months)
    assert (later.year - day.year) * 12 + later.month - day.month == months
    assert later.day == day.day or (later.day < day.day and (later + timedelta(days=1)).day == 1)
