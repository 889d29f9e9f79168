from __future__ import annotations

import pytest

from crm_store import audit
from crm_store.database import Database
from crm_store.shop import catalogue

pytestmark = pytest.mark.db


@pytest.fixture
async def shop(database: Database) -> Database:
    async with database.transaction() as transaction:
        await catalogue.save_place(transaction, "warehouse", {"en": "warehouse"}, 2)
        await catalogue.save_place(transaction, "floor", {"en": "third floor", "zh": "三层"}, 1)
        await catalogue.save(
            transaction, item="2002", names={"en": "Kettle", "zh": "电热水壶"},
            price_minor=24_950, currency="CNY", actor="sara",
        )  # fmt: skip
        await catalogue.set_stock(transaction, "2002", [("warehouse", 40), ("floor", 7)])
    return database


async def test_a_product_is_found_as_it_is_keyed_with_price_and_stock(shop: Database) -> None:
    for keyed in ("2002", " 20-02", "２００２", "۲۰۰۲"):
        found = await catalogue.product(shop, keyed)
        assert found is not None
        assert (found.item_number, found.price_minor, found.currency) == ("2002", 24_950, "CNY")
        assert found.stock == (("floor", 7), ("warehouse", 40))
        assert found.quantity == 47
        assert found.name("zh") == "电热水壶"
        assert found.name("fa") == "Kettle"
        assert found.place("floor", "zh") == "三层"
        assert found.place("warehouse", "zh") == "warehouse"
    for keyed in ("", "2003", "20", "x2002", "2" * 14, "2002; DROP TABLE products"):
        assert await catalogue.product(shop, keyed) is None


async def test_a_place_with_none_left_is_not_named(shop: Database) -> None:
    async with shop.transaction() as transaction:
        await catalogue.set_stock(transaction, "2002", [("floor", 0)])
    found = await catalogue.product(shop, "2002")
    assert found is not None
    assert found.stock == (("warehouse", 40),)
    async with shop.transaction() as transaction:
        await catalogue.set_stock(transaction, "2002", [("warehouse", 0)])
    found = await catalogue.product(shop, "2002")
    assert found is not None
    assert (found.stock, found.quantity) == ((), 0)


async def test_a_changed_product_is_told_and_one_not_sold_is_not(shop: Database) -> None:
    async def save(**values: object) -> None:
        kept = {"names": {"en": "Kettle", "zh": "电热水壶"}, "price_minor": 24_950} | values
        async with shop.transaction() as transaction:
            await catalogue.save(
                transaction,
                item="2002",
                currency="CNY",
                actor="wei",
                **kept,  # type: ignore[arg-type]
            )

    await save()
    await save(price_minor=19_999)
    found = await catalogue.product(shop, "2002")
    assert found is not None
    assert (found.price_minor, found.quantity) == (19_999, 47)
    assert [one.item_number for one in await catalogue.products(shop)] == ["2002"]
    await save(active=False)
    assert await catalogue.product(shop, "2002") is None
    assert await catalogue.products(shop) == []
    said = await audit.entries(shop, subject_kind="product", subject_id="2002")
    assert [(entry.actor, entry.fields) for entry in said[:2]] == [
        ("wei", ["price_minor", "active"]),
        ("wei", ["price_minor"]),
    ]
    assert len(said) == 3


async def test_what_cannot_be_is_refused(shop: Database) -> None:
    async with shop.transaction() as transaction:
        with pytest.raises(ValueError, match="digits"):
            await catalogue.save(
                transaction, item="AB1", names={}, price_minor=1, currency="CNY", actor="sara"
            )
        with pytest.raises(ValueError, match="price"):
            await catalogue.save(
                transaction, item="2002", names={}, price_minor=-1, currency="CNY", actor="sara"
            )
        with pytest.raises(LookupError, match="product"):
            await catalogue.set_stock(transaction, "9999", [("floor", 1)])
        with pytest.raises(LookupError, match="place"):
            await catalogue.set_stock(transaction, "2002", [("roof", 1)])
        with pytest.raises(ValueError, match="nothing"):
            await catalogue.set_stock(transaction, "2002", [("floor", -1)])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["1001", "2002"]),
        ("kett", ["2002"]),
        ("KETTLE wat", ["2002"]),
        ("kettle coat", []),
        ("热水", ["2002"]),
        ("20", ["2002"]),
        ("２００２", ["2002"]),
        ("%", ["1001"]),
        ("_", []),
        ("!", []),
        ("100%", ["1001"]),
        ("'; DROP TABLE products", []),
    ],
)
async def test_products_are_found_by_words_of_any_of_their_names(
    shop: Database, text: str, found: list[str]
) -> None:
    async with shop.transaction() as transaction:
        for item, names in (
            ("2002", {"en": "Water kettle", "zh": "电热水壶"}),
            ("1001", {"en": "Coat of 100% wool"}),
        ):
            await catalogue.save(
                transaction, item=item, names=names, price_minor=5, currency="CNY", actor="sara"
            )
    assert [one.item_number for one in await catalogue.search(shop, text)] == found
    assert await catalogue.search(shop, text, limit=1, skip=len(found)) == []
