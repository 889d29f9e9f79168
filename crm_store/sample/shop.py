"""The sample mall's shop: its facts, goods, promotions, and orders of its customers in all states.

Owns sample data only, and leaves alone what is there already. Orders have numbers that are known,
so that somebody can key one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from crm_store.database import Transaction
from crm_store.models import (
    Customer,
    HouseFacts,
    OpeningCalendar,
    OrderState,
    Product,
    StockPlace,
)
from crm_store.models import Order as OrderRow
from crm_store.models import Promotion as PromotionRow
from crm_store.people.cards import check_digit
from crm_store.phone_menus import opening_hours
from crm_store.sample import house as sample_house
from crm_store.sample.catalogue import CURRENCY, PLACES, four, goods
from crm_store.shop import catalogue, house, orders, promotions
from crm_store.shop.orders import Line, NewOrder

WRITTEN_BY = "chief"
_WAY = {
    OrderState.PLACED: (),
    OrderState.RESERVED: (OrderState.RESERVED,),
    OrderState.PACKED: (OrderState.RESERVED, OrderState.PACKED),
    OrderState.SHIPPED: (OrderState.RESERVED, OrderState.PACKED, OrderState.SHIPPED),
    OrderState.READY: (OrderState.RESERVED, OrderState.PACKED, OrderState.READY),
    OrderState.DELIVERED: (OrderState.PACKED, OrderState.SHIPPED, OrderState.DELIVERED),
    OrderState.CANCELLED: (OrderState.CANCELLED,),
    OrderState.RETURNED: (OrderState.SHIPPED, OrderState.DELIVERED, OrderState.RETURNED),
}


@dataclass(frozen=True, slots=True)
class SampleOrder:
    """The order of the customer with that place in the mall, in its state since `days_ago`;
    `items` are item numbers with quantities."""

    place: int
    owner: int
    state: OrderState
    days_ago: int
    items: tuple[tuple[str, int], ...]
    expected_in_days: int | None = None

    @property
    def number(self) -> str:
        digits = f"2026110{self.place:02d}"
        return digits + check_digit(digits)


SHIPPED_YESTERDAY = SampleOrder(2, 1, OrderState.SHIPPED, 1, (("1001", 1), ("4001", 2)), 1)
"""The newest order of 王芳."""

ORDERS = (
    SampleOrder(1, 1, OrderState.DELIVERED, 40, (("3008", 6),)),
    SHIPPED_YESTERDAY,
    SampleOrder(3, 2, OrderState.PLACED, 0, (("2001", 1),), 3),
    SampleOrder(4, 3, OrderState.RESERVED, 1, (("2006", 1),), 4),
    SampleOrder(5, 4, OrderState.PACKED, 0, (("5004", 2), ("5006", 1)), 2),
    SampleOrder(6, 5, OrderState.READY, 2, (("4005", 1),), 0),
    SampleOrder(7, 6, OrderState.DELIVERED, 5, (("1004", 1), ("1009", 2))),
    SampleOrder(8, 7, OrderState.CANCELLED, 9, (("3002", 1),)),
    SampleOrder(9, 8, OrderState.RETURNED, 3, (("2002", 1),)),
    SampleOrder(10, 9, OrderState.SHIPPED, 2, (("3001", 1),), 6),
    SampleOrder(11, 10, OrderState.DELIVERED, 20, (("2007", 1), ("2008", 2))),
    SampleOrder(12, 11, OrderState.PLACED, 0, (("1007", 1),), 2),
    SampleOrder(13, 12, OrderState.READY, 1, (("5001", 1), ("5002", 1))),
    SampleOrder(14, 13, OrderState.SHIPPED, 1, (("2010", 1),), 1),
)


async def fill_shop(transaction: Transaction, now: datetime) -> None:
    """Write the house, hours, goods and promotions that are not there."""
    session = transaction.session
    if await session.scalar(select(HouseFacts.id)) is None:
        await house.write(transaction, sample_house.HOUSE, actor=WRITTEN_BY)
    known = set(await session.scalars(select(OpeningCalendar.code)))
    for code, calendar in sample_house.CALENDARS.items():
        if code not in known:
            await opening_hours.write(transaction, code, calendar, actor=WRITTEN_BY)
    known = set(await session.scalars(select(StockPlace.code)))
    for position, (code, titles) in enumerate(PLACES.items()):
        if code not in known:
            await catalogue.save_place(transaction, code, four(*titles), position)
    known = set(await session.scalars(select(Product.item_number)))
    for product in goods():
        if product.item_number not in known:
            await catalogue.save(
                transaction,
                item=product.item_number,
                names=product.names,
                price_minor=product.price_minor,
                currency=CURRENCY,
                actor=WRITTEN_BY,
            )
            await catalogue.set_stock(transaction, product.item_number, product.stock)
    known = set(await session.scalars(select(PromotionRow.code)))
    for promotion in sample_house.promotions(now.astimezone(sample_house.HOUSE.zone).date()):
        if promotion.code not in known:
            await promotions.save(transaction, promotion, actor=WRITTEN_BY)


async def fill_orders(transaction: Transaction, now: datetime) -> None:
    """Write the orders that are not there, of customers that are."""
    session = transaction.session
    known = set(await session.scalars(select(OrderRow.number)))
    products = {product.item_number: product for product in goods()}
    owners = {
        row.reference: row.id
        for row in await session.execute(
            select(Customer.reference, Customer.id).where(
                Customer.reference.in_([_reference(order.owner) for order in ORDERS])
            )
        )
    }
    today = now.astimezone(sample_house.HOUSE.zone).date()
    for order in ORDERS:
        customer_id = owners.get(_reference(order.owner))
        if order.number in known or customer_id is None:
            continue
        way = _WAY[order.state]
        last = now - timedelta(days=order.days_ago)
        lines = [
            Line(item, products[item].names, quantity, products[item].price_minor)
            for item, quantity in order.items
        ]
        days = order.expected_in_days
        await orders.place(
            transaction,
            NewOrder(
                lines=lines,
                currency=CURRENCY,
                idempotency_key=f"mall:order:{order.place}",
                number=order.number,
                customer_id=customer_id,
                expected_on=None if days is None else today + timedelta(days=days),
                placed_at=last - timedelta(days=len(way)),
            ),
            actor="web",
        )
        for position, state in enumerate(way, start=1):
            at = last - timedelta(days=len(way) - position)
            await orders.change_state(transaction, order.number, state, actor="warehouse", at=at)


def _reference(place: int) -> str:
    return f"MALL-{place:05d}"
