from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from crm_store import audit
from crm_store.database import Database
from crm_store.models import Card, ContactKind, Segment
from crm_store.people import cards, customers, merging, points
from crm_store.people.customers import ContactWay, NewCustomer

pytestmark = pytest.mark.db

NUMBER = "8800123" + cards.check_digit("8800123")


@pytest.fixture
async def card_id(database: Database) -> int:
    async with database.transaction() as transaction:
        customer_id = await customers.create(
            transaction,
            NewCustomer(
                "王芳",
                language="zh",
                segment=Segment.VIP,
                contact_points=[
                    ContactWay(ContactKind.PHONE, "+8613800138000"),
                    ContactWay(ContactKind.PHONE, "+862155501234"),
                    ContactWay(ContactKind.MAIL, "wang@mail.example"),
                ],
            ),
            actor="lin",
        )
        card_id = await cards.open_card(transaction, customer_id, NUMBER)
        await points.add(
            transaction, card_id, 1_234_550, reason="bought", idempotency_key="1", made_by="till"
        )
    return card_id


async def test_a_card_is_found_as_it_is_keyed_with_all_that_is_told_of_it(
    database: Database, card_id: int
) -> None:
    found = await cards.account(database, f"{NUMBER[:4]} {NUMBER[4:]}")
    assert found is not None
    assert (found.card_id, found.number, found.customer_name) == (card_id, NUMBER, "王芳")
    assert (found.language, found.segment, found.has_pin) == ("zh", Segment.VIP, False)
    assert found.points_hundredths == 1_234_550
    assert found.phones == {"+8613800138000", "+862155501234"}


async def test_no_card_is_found_for_what_is_none_or_is_closed(
    database: Database, card_id: int
) -> None:
    mistaken = NUMBER[:-1] + str((int(NUMBER[-1]) + 1) % 10)
    unknown = "8800124" + cards.check_digit("8800124")
    for text in (mistaken, unknown, "", "abc", "1" * 40):
        assert await cards.account(database, text) is None
    async with database.transaction() as transaction:
        await transaction.session.execute(
            update(Card).where(Card.id == card_id).values(closed_at=datetime.now(UTC))
        )
    assert await cards.account(database, NUMBER) is None


async def test_a_card_of_a_merged_customer_is_the_other_ones(
    database: Database, card_id: int
) -> None:
    async with database.transaction() as transaction:
        kept = await customers.create(transaction, NewCustomer("Fang Wang"), actor="lin")
        before = await cards.account(database, NUMBER)
        assert before is not None
        await merging.merge(transaction, before.customer_id, kept, actor="lin")
    found = await cards.account(database, NUMBER)
    assert found is not None
    assert (found.card_id, found.customer_name) == (card_id, "Fang Wang")


async def test_a_pin_is_kept_as_a_hash_only_and_verified(database: Database, card_id: int) -> None:
    assert not await cards.verify_pin(database, card_id, "2580")
    async with database.transaction() as transaction:
        await cards.set_pin(transaction, card_id, "2580", actor="sara")
    assert await cards.verify_pin(database, card_id, "2580")
    assert await cards.verify_pin(database, card_id, "٢٥٨٠")
    for wrong in ("2581", "", "25800", "0852", "x", "2" * 500):
        assert not await cards.verify_pin(database, card_id, wrong)
    assert not await cards.verify_pin(database, 999, "2580")
    found = await cards.account(database, NUMBER)
    assert found is not None
    assert found.has_pin
    async with database.reading() as session:
        kept = await session.scalar(select(Card.pin_hash))
    assert kept is not None
    assert kept.startswith("$argon2id$")
    [entry] = await audit.entries(database, subject_kind="card", subject_id=card_id)
    assert (entry.actor, entry.fields) == ("sara", ["pin"])
    async with database.transaction() as transaction:
        await cards.set_pin(transaction, card_id, None, actor="sara")
    assert not await cards.verify_pin(database, card_id, "2580")


@pytest.mark.parametrize(
    "pin", ["", "123", "258", "123456789", "12a4", "0000", "1234", "87654321", "77777"]
)
async def test_a_pin_that_is_none_or_is_guessed_first_is_refused(
    sqlite_database: Database, pin: str
) -> None:
    with pytest.raises(ValueError, match="PIN"):
        async with sqlite_database.transaction() as transaction:
            await cards.set_pin(transaction, 1, pin, actor="sara")


async def test_no_card_has_no_pin_set(sqlite_database: Database) -> None:
    with pytest.raises(LookupError):
        async with sqlite_database.transaction() as transaction:
            await cards.set_pin(transaction, 1, "2580", actor="sara")


async def test_a_new_card_has_a_number_of_its_own(database: Database) -> None:
    async with database.transaction() as transaction:
        customer_id = await customers.create(transaction, NewCustomer("Neda"), actor="sara")
        numbers = {await cards.open_new_card(transaction, customer_id) for _ in range(20)}
    assert len(numbers) == 20
    for number in numbers:
        assert cards.card_number(number) == number
        assert len(number) == 16
        assert number[0] != "0"
