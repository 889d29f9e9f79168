"""The shop: facts about the house, its catalogue with stock, orders with lines, and promotions.

Owns the tables' form; the rules are in the module named for each noun.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Date, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from crm_store.models.columns import OrderState, RowId, Table


class HouseFacts(Table):
    """What is true of the house, in one row (1). `texts` are by topic and language; `survey` are
    questions {"code", "texts"} in order. 100 points are worth `points_worth_minor`."""

    __tablename__ = "house_facts"

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    names: Mapped[dict[str, str]]
    currency: Mapped[str] = mapped_column(String(3))
    time_zone: Mapped[str] = mapped_column(String(60))
    holiday_country: Mapped[str] = mapped_column(String(10), default="")
    holiday_subdivision: Mapped[str] = mapped_column(String(20), default="")
    points_worth_minor: Mapped[int] = mapped_column(default=0)
    points_valid_months: Mapped[int] = mapped_column(default=0)
    points_expiry_notice_days: Mapped[int] = mapped_column(default=0)
    card_proof: Mapped[str] = mapped_column(String(20))
    texts: Mapped[dict[str, dict[str, str]]]
    survey: Mapped[list[dict[str, Any]]]
    sms_sender: Mapped[str] = mapped_column(String(40), default="")
    changed_by: Mapped[str] = mapped_column(String(100))
    changed_at: Mapped[datetime]


class StockPlace(Table):
    """Where goods are kept: a floor, a counter, a warehouse."""

    __tablename__ = "stock_places"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(100), unique=True)
    titles: Mapped[dict[str, str]]
    position: Mapped[int] = mapped_column(default=0)


class Product(Table):
    """Something that is sold. `price_minor` is in the currency's smallest unit (cents, fen)."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    item_number: Mapped[str] = mapped_column(String(20), unique=True)
    names: Mapped[dict[str, str]]
    price_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    active: Mapped[bool] = mapped_column(default=True)
    changed_by: Mapped[str] = mapped_column(String(100))
    changed_at: Mapped[datetime]


class Stock(Table):
    """How many of a product are at a place."""

    __tablename__ = "stock"

    product_id: Mapped[int] = mapped_column(RowId, ForeignKey("products.id"), primary_key=True)
    place_id: Mapped[int] = mapped_column(RowId, ForeignKey("stock_places.id"), primary_key=True)
    quantity: Mapped[int]


class Order(Table):
    """What a customer has ordered. `number` is what people say of it; `state_since` is when its
    state began, and `expected_on` the day on which it should arrive or be ready."""

    __tablename__ = "orders"
    __table_args__ = (Index(None, "customer_id", "placed_at"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    customer_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("customers.id"))
    interaction_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("interactions.id"))
    state: Mapped[OrderState]
    state_since: Mapped[datetime]
    placed_at: Mapped[datetime]
    expected_on: Mapped[date | None] = mapped_column(Date())
    currency: Mapped[str] = mapped_column(String(3))
    total_minor: Mapped[int] = mapped_column(BigInteger)
    idempotency_key: Mapped[str] = mapped_column(String(200), unique=True)
    placed_by: Mapped[str] = mapped_column(String(100))


class OrderLine(Table):
    """So many of a product, with its names and its price for one as they were when ordered."""

    __tablename__ = "order_lines"

    order_id: Mapped[int] = mapped_column(RowId, ForeignKey("orders.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    item_number: Mapped[str] = mapped_column(String(20))
    names: Mapped[dict[str, str]]
    quantity: Mapped[int]
    price_minor: Mapped[int] = mapped_column(BigInteger)


class OrderStateEntry(Table):
    """When a state of an order began. Only ever added."""

    __tablename__ = "order_states"
    __table_args__ = (Index(None, "order_id", "at"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    order_id: Mapped[int] = mapped_column(RowId, ForeignKey("orders.id"))
    state: Mapped[OrderState]
    at: Mapped[datetime]
    made_by: Mapped[str] = mapped_column(String(100))


class Promotion(Table):
    """What is offered from its first to its last day, both included."""

    __tablename__ = "promotions"
    __table_args__ = (Index(None, "last_day", "first_day"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    code: Mapped[str] = mapped_column(String(100), unique=True)
    titles: Mapped[dict[str, str]]
    texts: Mapped[dict[str, str]]
    first_day: Mapped[date] = mapped_column(Date())
    last_day: Mapped[date] = mapped_column(Date())
    active: Mapped[bool] = mapped_column(default=True)
    position: Mapped[int] = mapped_column(default=0)
