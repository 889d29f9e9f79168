from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from crm_store import audit, text_search
from crm_store.database import Database
from crm_store.models import Channel, ContactKind, Interaction, PointsEntry, Segment
from crm_store.people import cards, customers, name_index
from crm_store.people.customers import ContactWay, NewCustomer, contact_way
from crm_store.signals import Direction
from crm_store.text_search import EntryKind

pytestmark = pytest.mark.db

NUMBER = "+8613800138000"
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


async def _customer(database: Database, name: str, *ways: ContactWay) -> int:
    async with database.transaction() as transaction:
        return await customers.create(
            transaction, NewCustomer(name, contact_points=ways), actor="lin"
        )


async def _interaction(database: Database, customer_id: int, at: datetime, agent: str) -> None:
    async with database.transaction() as transaction:
        await transaction.session.execute(
            insert(Interaction).values(
                customer_id=customer_id,
                channel=Channel.PHONE,
                direction=Direction.INBOUND,
                opened_at=at,
                agent=agent or None,
                keyed=["1", "4071#"],
                summary="asked for the points",
            )
        )


async def test_a_card_holds_all_that_a_pop_shows(database: Database) -> None:
    phone = contact_way(ContactKind.PHONE, "138 0013 8000", "CN", "mobile")
    mail = contact_way(ContactKind.MAIL, " Wang.Fang@Example.COM ", "CN")
    async with database.transaction() as transaction:
        customer_id = await customers.create(
            transaction,
            NewCustomer(
                "王芳",
                language="zh",
                segment=Segment.VIP,
                preferred_channel=Channel.SMS,
                notes="likes tea",
                reference="C-1",
                contact_points=[phone, mail],
            ),
            actor="lin",
        )
        card_id = await cards.open_card(transaction, customer_id, "8800 0000 0000 0005")
        for hundredths in (1_000_050, 234_500):
            await transaction.session.execute(
                insert(PointsEntry).values(
                    card_id=card_id,
                    hundredths=hundredths,
                    reason="bought",
                    idempotency_key=str(hundredths),
                    made_by="till",
                    at=NOW,
                )
            )
    await _interaction(database, customer_id, NOW - timedelta(days=1), "maria")
    await _interaction(database, customer_id, NOW, "")

    [found] = await customers.find_by_phone(database, NUMBER)
    assert found == await customers.card(database, customer_id)
    assert found == await customers.find_by_card(database, found.cards[0].number)
    assert (found.name, found.language, found.segment) == ("王芳", "zh", Segment.VIP)
    assert (found.preferred_channel, found.notes, found.reference) == (
        Channel.SMS,
        "likes tea",
        "C-1",
    )
    assert found.contact_points == (phone, mail)
    assert found.contact_points[1].value == "wang.fang@example.com"
    assert found.points_hundredths == found.cards[0].points_hundredths == 1_234_550
    assert [line.opened_at for line in found.interactions] == [NOW, NOW - timedelta(days=1)]
    assert found.interactions[0].keyed == ("1", "4071#")
    assert found.last_agent == "maria"
    assert found.as_dict()["interactions"][0]["channel"] == "phone"


async def test_several_people_share_a_number_most_recent_first(database: Database) -> None:
    way = ContactWay(ContactKind.PHONE, NUMBER)
    ids = [await _customer(database, f"Person {i}", way) for i in range(7)]
    await _interaction(database, ids[3], NOW - timedelta(days=2), "lin")
    await _interaction(database, ids[5], NOW, "lin")
    found = await customers.find_by_phone(database, NUMBER)
    assert [card.id for card in found] == [ids[5], ids[3], ids[0], ids[1], ids[2]]


async def test_nobody_has_this_number(database: Database) -> None:
    assert await customers.find_by_phone(database, "+8613800138001") == []
    assert await customers.find_by_card(database, "88000000") is None
    assert await customers.find_by_card(database, "not a card") is None
    assert await customers.card(database, 4711) is None


async def test_changes_are_audited_by_field_and_never_by_value(database: Database) -> None:
    customer_id = await _customer(database, "Ana Pérez")
    async with database.transaction() as transaction:
        changed = await customers.update(
            transaction, customer_id, actor="maria", name="Ana María Pérez", notes="", language="es"
        )
        assert changed == ["name", "language"]
        way = ContactWay(ContactKind.PHONE, "+34612345678")
        assert await customers.add_contact_point(transaction, customer_id, way, actor="maria")
        assert not await customers.add_contact_point(transaction, customer_id, way, actor="maria")
    entries = await audit.entries(database, subject_kind="customer", subject_id=customer_id)
    assert [(entry.actor, entry.action, entry.fields) for entry in entries] == [
        ("maria", "changed", ["contact_points"]),
        ("maria", "changed", ["name", "language"]),
        ("lin", "created", []),
    ]
    [found] = await customers.search_by_name(database, "ana maria perez")
    assert found.name == "Ana María Pérez"


async def test_unknown_customers_and_empty_names_are_refused(database: Database) -> None:
    with pytest.raises(LookupError):
        async with database.transaction() as transaction:
            await customers.update(transaction, 4711, actor="lin", name="X")
    with pytest.raises(ValueError, match="name"):
        await _customer(database, " \u200b\r\n\x00")


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("wáng", ["Wang Fang"]),
        ("fang", ["Wang Fang"]),
        ("fang wa", ["Wang Fang"]),
        ("fan", ["Wang Fang"]),
        ("王", ["王芳"]),
        ("芳", ["王芳"]),
        ("MUNOZ", ["José Muñoz"]),
        ("علي", ["علی رضایی"]),
        ("100%", ["100% Silk Ltd", "100 Other"]),
        ("ilk", []),
        ("¶n", []),
    ],
)
async def test_names_are_found_in_any_script(
    database: Database, wanted: str, names: list[str]
) -> None:
    for stored in ("Wang Fang", "王芳", "José Muñoz", "علی رضایی", "100% Silk Ltd", "100 Other"):
        await _customer(database, stored)
    assert [found.name for found in await customers.search_by_name(database, wanted)] == names


async def test_a_changed_name_is_found_and_the_former_is_not(database: Database) -> None:
    lin = await _customer(database, "Lin Wei")
    async with database.transaction() as transaction:
        await customers.update(transaction, lin, actor="test", name="Sara Wei")
    assert [found.id for found in await customers.search_by_name(database, "wei")] == [lin]
    assert await customers.search_by_name(database, "lin") == []
    async with database.transaction() as transaction:
        await text_search.forget(transaction, EntryKind.PERSON, lin)
    assert await customers.search_by_name(database, "wei") == []
    assert await name_index.index_missing_names(database) == 1
    assert await name_index.index_missing_names(database) == 0
    assert [found.id for found in await customers.search_by_name(database, "wei")] == [lin]
