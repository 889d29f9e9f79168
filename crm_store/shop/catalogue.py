"""The catalogue: products by their item number, what they cost, and where how many are.

Owns item numbers (digits, as they are keyed), prices in a currency's smallest unit, and stock by
place. What is not sold any more is found no more. Knows no till and no warehouse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.models import Product as ProductRow
from crm_store.models import Stock, StockPlace
from crm_store.search_terms import fold_letters
from crm_store.staff.queues import title

SHORTEST = 3
LONGEST = 13
"""How many digits an item number has: a shop's own up to a bar code's."""

MOST_WORDS = 6
"""Words beyond these are not looked for."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product. `stock` is (place's code, quantity) in the places' order, with `places` giving
    their titles by code; a place that has none of it is not named."""

    item_number: str
    names: Mapping[str, str]
    price_minor: int
    currency: str
    stock: tuple[tuple[str, int], ...] = ()
    places: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def quantity(self) -> int:
        """How many there are in all."""
        return sum(quantity for _, quantity in self.stock)

    def name(self, language: str) -> str:
        return title(self.names, language, self.item_number)

    def place(self, code: str, language: str) -> str:
        return title(self.places.get(code, {}), language, code)


def item_number(text: str) -> str | None:
    """The number in plain digits, from what was said, written or keyed; None if it is none."""
    digits = "".join(letter for letter in fold_letters(text) if letter not in " -.")
    plain = digits.isascii() and digits.isdigit() and SHORTEST <= len(digits) <= LONGEST
    return digits if plain else None


async def product(database: Database, number: str) -> Product | None:
    """The product of that item number, as it is sold now."""
    plain = item_number(number)
    rows = await database.fetch(_ONE[database.is_sqlite], plain) if plain else ()
    if not rows:
        return None
    item, names, price_minor, currency, places = rows[0]
    kept = orjson.loads(places) if places else []
    return Product(
        item_number=item,
        names=orjson.loads(names),
        price_minor=price_minor,
        currency=currency,
        stock=tuple((code, quantity) for code, _, quantity in kept),
        places={code: titles for code, titles, _ in kept},
    )


async def products(database: Database, *, limit: int = 100, skip: int = 0) -> list[Product]:
    """What is sold, by item number, without its stock."""
    query = select(ProductRow).where(ProductRow.active).order_by(ProductRow.item_number)
    async with database.reading() as session:
        return [
            Product(row.item_number, row.names, row.price_minor, row.currency)
            for row in await session.scalars(query.limit(limit).offset(skip))
        ]


async def search(
    database: Database, text: str, *, limit: int = 100, skip: int = 0
) -> list[Product]:
    """What is sold and has all these words in its names, or begins with that item number; without
    its stock, by item number. Capital letters are small ones (on SQLite, those of English)."""
    words = text.lower().split()[:MOST_WORDS]
    digits = fold_letters(text).strip()
    number = digits if digits.isascii() and digits.isdigit() else ""
    each = _NAMES[database.is_sqlite]
    has = [
        f"EXISTS (SELECT 1 FROM {each} n WHERE lower(n.value) LIKE ${place} ESCAPE '!')"  # noqa: S608 - our own words
        for place in range(4, 4 + len(words))
    ]
    rows = await database.fetch(
        "SELECT p.item_number, p.names, p.price_minor, p.currency FROM products p"  # noqa: S608
        f" WHERE p.active AND (($1 <> '' AND p.item_number LIKE $1 || '%')"
        f" OR ({' AND '.join(has) or 'TRUE'})) ORDER BY p.item_number LIMIT $2 OFFSET $3",
        number,
        limit,
        skip,
        *(f"%{_plain_like(word)}%" for word in words),
    )
    return [Product(item, orjson.loads(names), price, kept) for item, names, price, kept in rows]


async def save(
    transaction: Transaction,
    *,
    item: str,
    names: Mapping[str, str],
    price_minor: int,
    currency: str,
    actor: str,
    active: bool = True,
) -> int:
    """Add the product, or change the one of that item number; its row's id.

    Raises ValueError for a number that cannot be keyed or a price below nothing.
    """
    number = item_number(item)
    if number is None:
        raise ValueError(f"an item number has {SHORTEST} to {LONGEST} digits")
    if price_minor < 0:
        raise ValueError("a price is not below nothing")
    session = transaction.session
    values: dict[str, Any] = {
        "names": dict(names),
        "price_minor": price_minor,
        "currency": currency,
        "active": active,
    }
    before = await session.scalar(
        select(ProductRow).where(ProductRow.item_number == number).with_for_update()
    )
    changed = [name for name, value in values.items() if getattr(before, name, None) != value]
    if before is not None and not changed:
        return before.id
    values |= {"changed_by": actor, "changed_at": datetime.now(UTC)}
    if before is None:
        product_id: int | None = await session.scalar(
            insert(ProductRow).values(item_number=number, **values).returning(ProductRow.id)
        )
    else:
        product_id = await session.scalar(
            update(ProductRow)
            .where(ProductRow.id == before.id)
            .values(**values)
            .returning(ProductRow.id)
        )
    assert product_id is not None
    await audit.record(
        transaction,
        actor=actor,
        action="created" if before is None else "changed",
        subject_kind="product",
        subject_id=number,
        fields=changed,
    )
    return product_id


async def save_place(
    transaction: Transaction, code: str, titles: Mapping[str, str], position: int = 0
) -> None:
    """Add a place for goods, or change the one with that code."""
    values = {"titles": dict(titles), "position": position}
    known = await transaction.session.scalar(
        update(StockPlace).where(StockPlace.code == code).values(**values).returning(StockPlace.id)
    )
    if known is None:
        await transaction.session.execute(insert(StockPlace).values(code=code, **values))


async def set_stock(
    transaction: Transaction, item: str, quantities: Sequence[tuple[str, int]]
) -> None:
    """So many are at these places (codes); other places stay as they are.

    Raises LookupError for an unknown product or place, ValueError for less than nothing.
    """
    session = transaction.session
    number = item_number(item) or ""
    product_id = await session.scalar(select(ProductRow.id).where(ProductRow.item_number == number))
    if product_id is None:
        raise LookupError(f"there is no product {item!r}")
    places = {
        row.code: row.id for row in await session.execute(select(StockPlace.code, StockPlace.id))
    }
    make = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    for code, quantity in quantities:
        if code not in places:
            raise LookupError(f"there is no place {code!r}")
        if quantity < 0:
            raise ValueError("there is not less than nothing")
        written = make(Stock).values(
            product_id=product_id, place_id=places[code], quantity=quantity
        )
        await session.execute(
            written.on_conflict_do_update(
                index_elements=["product_id", "place_id"], set_={"quantity": quantity}
            )
        )


def _plain_like(word: str) -> str:
    return word.replace("!", "!!").replace("%", "!%").replace("_", "!_")


_NAMES = {True: "json_each(p.names)", False: "json_each_text(p.names)"}

_PRODUCT = """
SELECT p.item_number, p.names, p.price_minor, p.currency,
  (SELECT {rows}({row}(s.code, {titles}, s.quantity)) FROM
    (SELECT l.code, l.titles, k.quantity
     FROM stock k JOIN stock_places l ON l.id = k.place_id
     WHERE k.product_id = p.id AND k.quantity > 0 ORDER BY l.position, l.code) s)
FROM products p WHERE p.item_number = $1 AND p.active
"""
_ONE = {
    True: _PRODUCT.format(rows="json_group_array", row="json_array", titles="json(s.titles)"),
    False: _PRODUCT.format(rows="json_agg", row="json_build_array", titles="s.titles"),
}
