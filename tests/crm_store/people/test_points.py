from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from crm_store.database import Database
from crm_store.people import cards, customers, points
from crm_store.people.customers import NewCustomer
from crm_store.people.points import NotEnoughPoints

pytestmark = pytest.mark.db


async def _card(database: Database, digits: str = "8800123") -> int:
    async with database.transaction() as transaction:
        customer_id = await customers.create(transaction, NewCustomer("Reza"), actor="lin")
        return await cards.open_card(transaction, customer_id, digits + cards.check_digit(digits))


async def _add(database: Database, card_id: int, hundredths: int, key: str) -> bool:
    async with database.transaction() as transaction:
        return await points.add(
            transaction, card_id, hundredths, reason="bought", idempotency_key=key, made_by="till"
        )


async def test_the_balance_is_the_sum_and_a_key_counts_once(database: Database) -> None:
    card_id = await _card(database)
    assert await points.balance(database, card_id) == 0
    assert await _add(database, card_id, 1_234_550, "receipt 1")
    assert not await _add(database, card_id, 1_234_550, "receipt 1")
    assert await _add(database, card_id, -1_234_550, "gift 1")
    assert await points.balance(database, card_id) == 0
    assert [entry.hundredths for entry in await points.entries(database, card_id)] == [
        -1_234_550,
        1_234_550,
    ]


async def test_what_is_refused_leaves_nothing(database: Database) -> None:
    card_id = await _card(database)
    await _add(database, card_id, 100, "receipt 1")
    with pytest.raises(NotEnoughPoints):
        await _add(database, card_id, -101, "gift 1")
    with pytest.raises(ValueError, match="another movement"):
        await _add(database, card_id, 200, "receipt 1")
    with pytest.raises(ValueError, match="no points"):
        await _add(database, card_id, 0, "receipt 2")
    with pytest.raises(LookupError):
        await _add(database, card_id + 1, 100, "receipt 3")
    assert await points.balance(database, card_id) == 100


async def test_points_cannot_be_spent_twice_at_once(database: Database) -> None:
    card_id = await _card(database)
    await _add(database, card_id, 100, "receipt")
    done = await asyncio.gather(
        *(_add(database, card_id, -100, f"gift {i}") for i in range(5)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in done) == ["NotEnoughPoints"] * 4 + ["bool"]
    assert await points.balance(database, card_id) == 0


@pytest.mark.parametrize(
    "change", ["UPDATE points_entries SET hundredths = 1", "DELETE FROM points_entries"]
)
async def test_the_ledger_cannot_be_changed(database: Database, change: str) -> None:
    card_id = await _card(database)
    await _add(database, card_id, 100, "receipt")
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.transaction() as transaction:
            await transaction.session.execute(text(change))
    assert await points.balance(database, card_id) == 100


RUNS = itertools.count()
MOVEMENTS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d", "e"]), st.integers(-500, 500)), max_size=12
)


@given(MOVEMENTS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_movements_balance(
    sqlite_database: Database, movements: list[tuple[str, int]]
) -> None:
    """A plain dictionary of keys is the ledger's model."""
    run = next(RUNS)
    card_id = await _card(sqlite_database, f"8800{run:08d}")
    written: dict[str, int] = {}
    for key, hundredths in movements:
        try:
            added = await _add(sqlite_database, card_id, hundredths, f"{run} {key}")
        except (ValueError, NotEnoughPoints):
            refused = (
                hundredths == 0
                or written.get(key, hundredths) != hundredths
                or sum(written.values()) + hundredths < 0
            )
            assert refused
        else:
            assert added == (key not in written)
            written[key] = hundredths
        assert await points.balance(sqlite_database, card_id) == sum(written.values()) >= 0
