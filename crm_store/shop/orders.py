"""Orders: what was ordered, under a number that can be said and keyed, and how far it is.

Owns the order's number (ten digits, the last a check digit), its lines with names and prices as
they were, its states and when each began, and which state may follow which. What makes an order go
on, and whom it is told, is not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
from babel.numbers import format_currency, get_currency_precision
from sqlalchemy import insert, select, update

from crm_store import audit, keyed_numbers, text_search
from crm_store.database import Database, Transaction
from crm_store.facts import OrderPlaced, OrderStateChanged
from crm_store.models import Customer, OrderLine, OrderState, OrderStateEntry
from crm_store.models import Order as OrderRow
from crm_store.staff.queues import title
from crm_store.text_search import EntryKind

DIGITS = 10

_ON_THE_WAY = (OrderState.RESERVED, OrderState.PACKED, OrderState.SHIPPED, OrderState.READY)
FOLLOWING: Mapping[OrderState, frozenset[OrderState]] = {
    OrderState.PLACED: frozenset({*_ON_THE_WAY, OrderState.DELIVERED, OrderState.CANCELLED}),
    OrderState.RESERVED: frozenset({*_ON_THE_WAY[1:], OrderState.DELIVERED, OrderState.CANCELLED}),
    OrderState.PACKED: frozenset({*_ON_THE_WAY[2:], OrderState.DELIVERED, OrderState.CANCELLED}),
    OrderState.SHIPPED: frozenset({OrderState.READY, OrderState.DELIVERED, OrderState.RETURNED}),
    OrderState.READY: frozenset({OrderState.DELIVERED, OrderState.CANCELLED, OrderState.RETURNED}),
    OrderState.DELIVERED: frozenset({OrderState.RETURNED}),
    OrderState.CANCELLED: frozenset(),
    OrderState.RETURNED: frozenset(),
}
"""Which states may follow each. Steps may be left out, since news of them may be: none is taken
back."""


class WrongState(Exception):
    """An order does not go from the one state to the other; nothing was changed."""

    def __init__(self, before: OrderState, wanted: OrderState) -> None:
        super().__init__(f"{before} to {wanted}")
        self.before = before
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class Line:
    """So many of a product; `price_minor` is for one."""

    item_number: str
    names: Mapping[str, str]
    quantity: int
    price_minor: int

    def name(self, language: str) -> str:
        return title(self.names, language, self.item_number)


@dataclass(frozen=True, slots=True)
class Order:
    """An order. `states` are all it has been in, with their beginnings, oldest first."""

    id: int
    number: str
    customer_id: int | None
    state: OrderState
    state_since: datetime
    placed_at: datetime
    expected_on: date | None
    currency: str
    total_minor: int
    lines: tuple[Line, ...]
    states: tuple[tuple[OrderState, datetime], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """`total_minor` is what is to be paid; the lines' sum if it is None. `idempotency_key` is the
    shop's own name of the order: the same twice is one order. `number` is drawn if it is ""."""

    lines: Sequence[Line]
    currency: str
    idempotency_key: str
    number: str = ""
    customer_id: int | None = None
    interaction_id: int | None = None
    total_minor: int | None = None
    expected_on: date | None = None
    placed_at: datetime | None = None


def order_number(text: str) -> str | None:
    """The number in plain digits, from what was said, written or keyed; None if it is none."""
    return keyed_numbers.read(text, DIGITS)


def shown_number(number: str) -> str:
    """The number as people read it aloud."""
    return keyed_numbers.shown(number, 5)


def shown_money(minor: int, currency: str, language: str) -> str:
    """An amount in a currency's smallest unit as that language writes it."""
    digits = get_currency_precision(currency)
    return format_currency(Decimal(minor).scaleb(-digits), currency, locale=language)


async def order(database: Database, number: str) -> Order | None:
    """The order of that number, as it was keyed; None if there is none."""
    plain = order_number(number)
    if plain is None:
        return None
    rows = await database.fetch(_BY_NUMBER[database.is_sqlite], plain)
    return _order(rows[0]) if rows else None


async def latest_of(database: Database, customer_id: int) -> Order | None:
    """The customer's newest order."""
    return next(iter(await of_customer(database, customer_id, limit=1)), None)


async def of_customer(database: Database, customer_id: int, *, limit: int = 20) -> list[Order]:
    """The customer's orders, the newest first."""
    rows = await database.fetch(_BY_CUSTOMER[database.is_sqlite], customer_id, limit)
    return [_order(row) for row in rows]


async def place(transaction: Transaction, new: NewOrder, *, actor: str) -> str:
    """Write a new order; its number. The same key again changes nothing.

    Raises ValueError for an order of nothing or a number that none can have, LookupError for an
    unknown customer, sqlalchemy.exc.IntegrityError for a number that is another order's.
    """
    if not new.lines or any(line.quantity < 1 or line.price_minor < 0 for line in new.lines):
        raise ValueError("an order is of something")
    if new.number and order_number(new.number) != new.number:
        raise ValueError("that is no order's number: its digits do not agree")
    session = transaction.session
    known: str | None = await session.scalar(
        select(OrderRow.number).where(OrderRow.idempotency_key == new.idempotency_key)
    )
    if known is not None:
        return known
    if new.customer_id is not None and await session.get(Customer, new.customer_id) is None:
        raise LookupError(f"there is no customer {new.customer_id}")
    at = new.placed_at or datetime.now(UTC)
    total = sum(line.quantity * line.price_minor for line in new.lines)
    number = new.number or await _free_number(transaction)
    order_id: int | None = await session.scalar(
        insert(OrderRow)
        .values(
            number=number,
            customer_id=new.customer_id,
            interaction_id=new.interaction_id,
            state=OrderState.PLACED,
            state_since=at,
            placed_at=at,
            expected_on=new.expected_on,
            currency=new.currency,
            total_minor=total if new.total_minor is None else new.total_minor,
            idempotency_key=new.idempotency_key,
            placed_by=actor,
        )
        .returning(OrderRow.id)
    )
    assert order_id is not None
    await session.execute(
        insert(OrderLine),
        [
            {
                "order_id": order_id,
                "position": position,
                "item_number": line.item_number,
                "names": dict(line.names),
                "quantity": line.quantity,
                "price_minor": line.price_minor,
            }
            for position, line in enumerate(new.lines)
        ],
    )
    await _enter(transaction, order_id, OrderState.PLACED, at, actor)
    names = [name for line in new.lines for name in line.names.values()]
    await text_search.index(
        transaction,
        EntryKind.ORDER,
        order_id,
        customer_id=new.customer_id,
        at=at,
        texts=dict.fromkeys([number, *(line.item_number for line in new.lines), *names]),
    )
    await audit.record(
        transaction, actor=actor, action="created", subject_kind="order", subject_id=number
    )
    await transaction.emit(OrderPlaced(order_id=order_id, customer_id=new.customer_id))
    return number


async def change_state(
    transaction: Transaction,
    number: str,
    state: OrderState,
    *,
    actor: str,
    at: datetime | None = None,
    expected_on: date | None = None,
) -> bool:
    """The order is in that state now; False if it was before. `expected_on`, if given, is new.

    Raises LookupError for an unknown number, WrongState if the state cannot follow.
    """
    session = transaction.session
    row = await session.scalar(
        select(OrderRow)
        .where(OrderRow.number == number)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise LookupError("there is no such order")
    if expected_on is not None:
        row.expected_on = expected_on
    if row.state is state:
        await session.flush()
        return False
    if state not in FOLLOWING[row.state]:
        raise WrongState(row.state, state)
    moment = at or datetime.now(UTC)
    before = row.state
    await session.execute(
        update(OrderRow).where(OrderRow.id == row.id).values(state=state, state_since=moment)
    )
    await session.flush()
    await _enter(transaction, row.id, state, moment, actor)
    await audit.record(
        transaction,
        actor=actor,
        action="changed",
        subject_kind="order",
        subject_id=number,
        fields=["state"],
    )
    await transaction.emit(
        OrderStateChanged(order_id=row.id, before=before.value, state=state.value)
    )
    return True


async def _enter(
    transaction: Transaction, order_id: int, state: OrderState, at: datetime, actor: str
) -> None:
    await transaction.session.execute(
        insert(OrderStateEntry).values(order_id=order_id, state=state, at=at, made_by=actor)
    )


async def _free_number(transaction: Transaction) -> str:
    while True:
        number = keyed_numbers.draw(DIGITS)
        taken = await transaction.session.scalar(
            select(OrderRow.id).where(OrderRow.number == number)
        )
        if taken is None:
            return number


_ORDER = """
SELECT o.id, o.number, o.customer_id, o.state, o.state_since, o.placed_at, o.expected_on,
  o.currency, o.total_minor,
  (SELECT {rows}({row}(l.item_number, {names}, l.quantity, l.price_minor)) FROM
    (SELECT item_number, names, quantity, price_minor FROM order_lines
     WHERE order_id = o.id ORDER BY position) l),
  (SELECT {rows}({row}(s.state, s.at)) FROM
    (SELECT state, at FROM order_states WHERE order_id = o.id ORDER BY id) s)
FROM orders o
"""


def _statements(rest: str) -> dict[bool, str]:
    """The statement for SQLite (True) and for PostgreSQL (False)."""
    return {
        True: _ORDER.format(rows="json_group_array", row="json_array", names="json(l.names)")
        + rest,
        False: _ORDER.format(rows="json_agg", row="json_build_array", names="l.names") + rest,
    }


_BY_NUMBER = _statements("WHERE o.number = $1")
_BY_CUSTOMER = _statements("WHERE o.customer_id = $1 ORDER BY o.placed_at DESC, o.id DESC LIMIT $2")


def _order(row: Sequence[Any]) -> Order:
    order_id, number, customer_id, state, since, placed_at, expected_on = row[:7]
    currency, total_minor, lines, states = row[7:]
    return Order(
        id=order_id,
        number=number,
        customer_id=customer_id,
        state=OrderState(state),
        state_since=_moment(since),
        placed_at=_moment(placed_at),
        expected_on=date.fromisoformat(expected_on)
        if isinstance(expected_on, str)
        else expected_on,
        currency=currency,
        total_minor=total_minor,
        lines=tuple(Line(*line) for line in orjson.loads(lines)),
        states=tuple((OrderState(one), _moment(at)) for one, at in orjson.loads(states)),
    )


def _moment(value: str | datetime) -> datetime:
    # SQLite has text and keeps UTC without saying so.
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
