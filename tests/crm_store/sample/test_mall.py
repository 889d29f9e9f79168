from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from crm_store.contacts import conversation_lists, messages, outbox
from crm_store.contacts.conversation_lists import InboxView
from crm_store.database import Database
from crm_store.models import (
    Card,
    ContactPoint,
    ConversationState,
    Customer,
    Interaction,
    MessageState,
    OrderState,
    PointsEntry,
    Role,
    Segment,
)
from crm_store.people import cards, customers, points
from crm_store.people.cards import card_number
from crm_store.people.customers import NewCustomer
from crm_store.people.phone_numbers import to_e164
from crm_store.phone_menus import opening_hours
from crm_store.sample import catalogue as sample_catalogue
from crm_store.sample import mall as sample_mall
from crm_store.sample import shop as sample_shop
from crm_store.sample.crowd import crowd_card, crowd_number, fill_crowd
from crm_store.shop import catalogue, house, orders, promotions
from crm_store.staff import agents, queues

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def test_the_mall_is_whole_and_filling_it_again_changes_nothing(database: Database) -> None:
    assert await sample_mall.fill(database, now=NOW) == sample_mall.CUSTOMERS == 2_000
    async with database.transaction() as transaction:
        await agents.set_password_hash(transaction, "lin", "kept")
        await agents.save(transaction, login="maria", display_name="Somebody else")
    assert await sample_mall.fill(database) == 0
    assert await agents.password_hash(database, "lin") == "kept"
    maria = await agents.find(database, "maria")
    assert maria is not None
    assert maria.display_name == "Somebody else"

    async with database.reading() as session:
        people = list(await session.scalars(select(Customer)))
        phones = list(
            await session.execute(
                select(ContactPoint.value, func.count())
                .where(ContactPoint.kind == "phone")
                .group_by(ContactPoint.value)
            )
        )
        cards = list(await session.scalars(select(Card.number)))
        lowest = await session.scalar(
            select(
                func.min(
                    select(func.sum(PointsEntry.hundredths).label("held"))
                    .group_by(PointsEntry.card_id)
                    .subquery()
                    .c.held
                )
            )
        )
        channels = set(await session.scalars(select(Interaction.channel).distinct()))
        latest = await session.scalar(select(func.max(Interaction.opened_at)))
    assert len(people) == 2_000
    assert set(Counter(person.language for person in people)) == {"zh", "es", "fa", "en"}
    assert {number for number, _ in phones if to_e164(number, "ZZ") != number} == set()
    assert {number for number, owners in phones if owners > 1} == {sample_mall.SHARED_NUMBER}
    assert all(card_number(number) == number for number in cards)
    assert lowest is not None
    assert lowest >= 0
    assert len(channels) >= 4
    assert latest is not None
    assert latest <= NOW


async def test_the_customers_that_the_demo_speaks_of(sqlite_database: Database) -> None:
    await sample_mall.fill(sqlite_database)
    [vip] = await customers.find_by_phone(sqlite_database, "+8613800138000")
    assert (vip.name, vip.segment, vip.language) == ("王芳", Segment.VIP, "zh")
    assert len(vip.interactions) == 6
    assert vip.points_hundredths == sample_mall.WELL_KNOWN_POINTS == 1_234_550
    family = await customers.find_by_phone(sqlite_database, sample_mall.SHARED_NUMBER)
    assert len(family) == 3
    staff = await agents.all_agents(sqlite_database)
    assert {person.role for person in staff} == set(Role)
    assert {"lin", "maria"} <= {person.login for person in staff if person.role is Role.AGENT}
    assert [(queue.name, queue.number) for queue in await queues.all_queues(sqlite_database)] == [
        ("sales", "600"),
        ("service", "601"),
        ("vip", "602"),
        ("information", "603"),
        ("service_zh", "604"),
    ]
    leaves = {leaf.code for leaf in await queues.dispositions(sqlite_database)}
    assert {line.disposition for line in vip.interactions} <= leaves
    emma = await agents.find(sqlite_database, "emma")
    assert emma is not None
    # One level short of the best in the care of VIPs.
    assert emma.queues == {"sales": 0, "information": 1, "vip": 1}
    wei = await agents.find(sqlite_database, "wei")
    assert wei is not None
    assert wei.queues["service_zh"] == 0
    for choice in [
        *await queues.dispositions(sqlite_database),
        *await queues.pause_reasons(sqlite_database),
    ]:
        assert set(choice.titles) == {"en", "zh", "es", "fa"}


async def test_a_caller_can_try_the_shop(sqlite_database: Database) -> None:
    await sample_mall.fill(sqlite_database, now=NOW)
    facts = await house.read(sqlite_database)
    wang = await cards.account(sqlite_database, sample_mall.card_of(1))
    assert wang is not None
    assert (wang.customer_name, wang.points_hundredths) == ("王芳", 1_234_550)
    assert sample_mall.WELL_KNOWN_NUMBER in wang.phones
    assert await cards.verify_pin(sqlite_database, wang.card_id, sample_mall.WELL_KNOWN_PIN)
    today = NOW.astimezone(facts.zone).date()
    soon = await points.expiring(
        sqlite_database, wang.card_id, facts.points_valid_months,
        today + timedelta(days=facts.points_expiry_notice_days), zone=facts.zone,
    )  # fmt: skip
    assert soon == [(today + timedelta(days=20), 50_000)]
    order = await orders.latest_of(sqlite_database, wang.customer_id)
    assert order is not None
    assert (order.number, order.state) == (sample_shop.SHIPPED_YESTERDAY.number, OrderState.SHIPPED)
    assert order.state_since.astimezone(facts.zone).date() == today - timedelta(days=1)
    kept = [await orders.order(sqlite_database, one.number) for one in sample_shop.ORDERS]
    assert {one.state for one in kept if one} == set(OrderState)
    assert all(one and one.placed_at <= one.state_since <= NOW for one in kept)
    assert {one.code for one in await promotions.on(sqlite_database, today)} == {
        "double_points", "tea",
    }  # fmt: skip
    calendars = await opening_hours.read_all(sqlite_database)
    assert set(calendars) == {"house", "supermarket", "restaurants", "agents", "leasing"}
    sunday_morning = datetime(2026, 11, 22, 3, tzinfo=UTC)
    open_then = {code for code, calendar in calendars.items() if calendar.is_open(sunday_morning)}
    assert open_then == {"house", "supermarket", "restaurants", "agents"}


def test_the_goods_have_names_prices_and_places() -> None:
    goods = list(sample_catalogue.goods())
    assert len({product.item_number for product in goods}) == len(goods) >= 40
    assert any(product.price_minor % 100 for product in goods)
    assert any(sum(quantity for _, quantity in product.stock) == 0 for product in goods)
    for product in goods:
        assert catalogue.item_number(product.item_number) == product.item_number
        assert set(product.names) == {"en", "zh", "es", "fa"}
        assert {place for place, _ in product.stock} <= set(sample_catalogue.PLACES)


async def test_the_mall_is_the_same_each_time(sqlite_database: Database) -> None:
    await sample_mall.fill(sqlite_database, now=NOW)
    found = await customers.card(sqlite_database, 1_234)
    assert found is not None
    assert found.reference == "MALL-01234"
    assert (found.name, found.language) == ("林志强", "zh")


async def test_a_crowd_is_made_by_the_database(database: Database) -> None:
    async with database.transaction() as transaction:
        await customers.create(transaction, NewCustomer("Before"), actor="lin")
    assert await fill_crowd(database, 1_001) == 1_001
    assert await fill_crowd(database, 1_001) == 0
    async with database.transaction() as transaction:
        await customers.create(transaction, NewCustomer("After"), actor="lin")
    for position in (0, 1, 998, 1_000):
        assert to_e164(crowd_number(position), "ZZ") == crowd_number(position)
        [found] = await customers.find_by_phone(database, crowd_number(position))
        assert found.reference == f"CROWD-{position}"
        assert len(found.interactions) == 3
        if position % 2 == 0:
            assert found == await customers.find_by_card(database, crowd_card(position))
            assert found.points_hundredths > 0
    with pytest.raises(ValueError, match="crowd"):
        await fill_crowd(database, 0)


async def test_conversations_wait_in_four_languages_and_nothing_goes_out(
    database: Database,
) -> None:
    await sample_mall.fill(database, now=NOW)
    lines = await conversation_lists.listed(database, InboxView())
    states = Counter(line.conversation.state for line in lines)
    assert states == {
        ConversationState.OPEN: 2, ConversationState.SNOOZED: 1, ConversationState.CLOSED: 1,
    }  # fmt: skip
    assert {line.conversation.language for line in lines} == {"zh", "es", "fa", "en"}
    assert all(line.customer_name for line in lines)
    thread = next(line.conversation for line in lines if line.conversation.language == "es")
    written = await messages.of_conversation(database, thread.id)
    assert [one.direction for one in written] == ["inbound", "outbound", "inbound"]
    assert written[0].quoted
    assert written[1].delivery is not None
    assert written[1].delivery.state is MessageState.DELIVERED
    assert await outbox.waiting(database) == []
