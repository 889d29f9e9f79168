from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_store import audit, keyed_numbers, text_search
from crm_store.database import Database
from crm_store.models import FactRow, OrderState
from crm_store.people import customers
from crm_store.people.customers import NewCustomer
from crm_store.shop import orders
from crm_store.shop.orders import FOLLOWING, Line, NewOrder, WrongState
from crm_store.text_search import EntryKind

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 20, 9, 30, 15, 250_000, tzinfo=UTC)
COAT = Line("1001", {"en": "Winter coat", "zh": "冬季外套"}, 1, 129_900)
TEA = Line("4001", {"en": "Green tea"}, 3, 6_880)


async def _order(database: Database, key: str = "web-1", **values: object) -> str:
    new = NewOrder(lines=[COAT, TEA], currency="CNY", idempotency_key=key, **values)  # type: ignore[arg-type]
    async with database.transaction() as transaction:
        return await orders.place(transaction, new, actor="web")


async def _customer(database: Database) -> int:
    async with database.transaction() as transaction:
        return await customers.create(transaction, NewCustomer("王芳"), actor="lin")


async def _become(database: Database, number: str, state: OrderState, **values: object) -> bool:
    async with database.transaction() as transaction:
        return await orders.change_state(
            transaction,
            number,
            state,
            actor="warehouse",
            **values,  # type: ignore[arg-type]
        )


async def test_an_order_is_found_by_its_number_as_it_is_keyed(database: Database) -> None:
    wang = await _customer(database)
    number = await _order(database, customer_id=wang, placed_at=NOW, expected_on=date(2026, 11, 24))
    shipped = NOW + timedelta(days=1)
    await _become(database, number, OrderState.PACKED, at=NOW + timedelta(hours=2))
    await _become(database, number, OrderState.SHIPPED, at=shipped, expected_on=date(2026, 11, 23))
    found = await orders.order(database, f" {number[:5]}-{number[5:]}")
    assert found is not None
    assert (found.number, found.customer_id, found.currency) == (number, wang, "CNY")
    assert (found.state, found.state_since) == (OrderState.SHIPPED, shipped)
    assert (found.placed_at, found.expected_on) == (NOW, date(2026, 11, 23))
    assert found.total_minor == 129_900 + 3 * 6_880
    assert found.lines == (COAT, TEA)
    assert [line.name("zh") for line in found.lines] == ["冬季外套", "Green tea"]
    assert found.states == (
        (OrderState.PLACED, NOW),
        (OrderState.PACKED, NOW + timedelta(hours=2)),
        (OrderState.SHIPPED, shipped),
    )
    assert await orders.order(database, orders.shown_number(number)) == found
    for text in ("", "12", number[:-1], number[:-1] + str((int(number[-1]) + 1) % 10), "9" * 99):
        assert await orders.order(database, text) is None


async def test_the_newest_order_is_offered_first(database: Database) -> None:
    wang = await _customer(database)
    assert await orders.latest_of(database, wang) is None
    numbers = [
        await _order(database, f"o{day}", customer_id=wang, placed_at=NOW + timedelta(days=day))
        for day in (2, 3, 1)
    ]
    await _order(database, "nobody's", placed_at=NOW + timedelta(days=9))
    latest = await orders.latest_of(database, wang)
    assert latest is not None
    assert latest.number == numbers[1]
    found = await orders.of_customer(database, wang, limit=2)
    assert [one.number for one in found] == [numbers[1], numbers[0]]


async def test_the_same_key_is_one_order_and_leaves_word_once(database: Database) -> None:
    wang = await _customer(database)
    number = await _order(database, customer_id=wang)
    assert await _order(database, customer_id=wang) == number
    assert await _become(database, number, OrderState.SHIPPED)
    assert not await _become(database, number, OrderState.SHIPPED)
    async with database.reading() as session:
        rows = list(
            await session.scalars(FactRow.__table__.select().with_only_columns(FactRow.kind))
        )
    assert [kind for kind in rows if kind.startswith("Order")] == [
        "OrderPlaced",
        "OrderStateChanged",
    ]
    said = await audit.entries(database, subject_kind="order", subject_id=number)
    assert [(entry.action, entry.actor) for entry in said] == [
        ("changed", "warehouse"),
        ("created", "web"),
    ]
    [hit] = await text_search.search(database, number, kinds=[EntryKind.ORDER])
    assert hit.customer_id == wang


async def test_what_cannot_be_is_refused_and_leaves_nothing(database: Database) -> None:
    number = await _order(database)
    await _become(database, number, OrderState.SHIPPED)
    with pytest.raises(WrongState):
        await _become(database, number, OrderState.PACKED)
    with pytest.raises(LookupError):
        await _become(database, "1000000007", OrderState.PACKED)
    found = await orders.order(database, number)
    assert found is not None
    assert (found.state, len(found.states)) == (OrderState.SHIPPED, 2)
    async with database.transaction() as transaction:
        for lines, given in (([], ""), ([Line("1", {}, 0, 5)], ""), ([COAT], "1234567890")):
            with pytest.raises(ValueError, match="order"):
                await orders.place(
                    transaction,
                    NewOrder(lines=lines, currency="CNY", idempotency_key="x", number=given),
                    actor="web",
                )
        with pytest.raises(LookupError):
            await orders.place(
                transaction,
                NewOrder(lines=[COAT], currency="CNY", idempotency_key="x", customer_id=999),
                actor="web",
            )


def test_no_state_is_ever_taken_back() -> None:
    """Whatever way an order goes through its states, it never comes to one it has been in."""

    def ways(state: OrderState, been: frozenset[OrderState]) -> int:
        assert state not in been
        return 1 + sum(ways(after, been | {state}) for after in FOLLOWING[state])

    assert set(FOLLOWING) == set(OrderState)
    assert ways(OrderState.PLACED, frozenset()) > len(OrderState)


def test_money_is_written_as_each_language_writes_it() -> None:
    assert orders.shown_money(129_950, "EUR", "es").replace("\xa0", " ") == "1.299,50 €"
    assert orders.shown_money(129_950, "CNY", "zh") == "¥1,299.50"
    # Yen have no smaller part.
    assert orders.shown_money(1_299, "JPY", "en") == "¥1,299"


@given(st.integers(8, 12))
def test_a_drawn_number_is_read_again_and_one_wrong_digit_is_noticed(digits: int) -> None:
    number = keyed_numbers.draw(digits)
    assert len(number) == digits
    assert number[0] != "0"
    assert keyed_numbers.read(keyed_numbers.shown(number), digits) == number
    for place in range(digits):
        wrong = str((int(number[place]) + 3) % 10)
        assert keyed_numbers.read(number[:place] + wrong + number[place + 1 :], digits) is None
