from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crm_store import everything_search
from crm_store.contacts import conversations, interactions, messages, tasks
from crm_store.contacts.conversation_lists import SeenBy
from crm_store.contacts.conversations import NewConversation
from crm_store.contacts.messages import NewMessage
from crm_store.contacts.tasks import NewTask
from crm_store.database import Database
from crm_store.everything_search import FoundThings, Wanted
from crm_store.models import Channel, ContactKind, TaskKind
from crm_store.people import cards, complaints, customers
from crm_store.people.cards import check_digit
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.shop import orders
from crm_store.shop.orders import Line, NewOrder
from crm_store.signals import Direction
from crm_store.staff import agents
from crm_store.text_search import EntryKind

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PHONE = "+8613800138000"
CARD = "86001000000000" + check_digit("86001000000000")


async def find(database: Database, question: str, **more: object) -> FoundThings:
    return await everything_search.search(
        database,
        question,
        region="CN",
        **more,  # type: ignore[arg-type]
    )


async def person(database: Database, name: str = "王芳") -> int:
    async with database.transaction() as transaction:
        customer_id = await customers.create(
            transaction,
            NewCustomer(name, contact_points=[ContactWay(ContactKind.PHONE, PHONE)]),
            actor="test",
        )
        await cards.open_card(transaction, customer_id, CARD)
        return customer_id


async def conversation(database: Database, **given: object) -> int:
    values: dict[str, object] = {"channel": Channel.MAIL, "address": "a@b.example", "at": NOW}
    async with database.transaction() as transaction:
        return await conversations.open_conversation(
            transaction,
            NewConversation(**(values | given)),  # type: ignore[arg-type]
        )


async def write(
    database: Database, conversation_id: int, text: str, minute: int = 0, **given: object
) -> int:
    values: dict[str, object] = {
        "conversation_id": conversation_id,
        "direction": Direction.OUTBOUND if given.get("author") else Direction.INBOUND,
        "channel": Channel.MAIL,
        "sender": "a@b.example",
        "text": text,
        "at": NOW + timedelta(minutes=minute),
    }
    async with database.transaction() as transaction:
        written, _ = await messages.store(transaction, NewMessage(**(values | given)))  # type: ignore[arg-type]
        return written


async def call(database: Database, note: str, customer_id: int | None, agent: str = "lin") -> int:
    async with database.transaction() as transaction:
        contact = await interactions.open_interaction(
            transaction,
            channel=Channel.PHONE,
            direction=Direction.INBOUND,
            customer_id=customer_id,
            agent=agent,
        )
        await interactions.close(transaction, contact, disposition=None, agent=agent, note=note)
        return contact


async def test_people_are_found_by_name_number_and_card(database: Database) -> None:
    wang = await person(database)
    await person_named(database, "Wang Fang")
    for question, detail in (
        ("王", ""),
        ("芳", ""),
        ("13800138000", PHONE),
        ("+86 138 0013 8000", PHONE),
        (CARD, CARD),
    ):
        (found,) = (await find(database, question)).people
        assert (found.id, found.detail) == (wang, detail), question
    assert (await find(database, "fang wan")).people[0].name == "Wang Fang"
    assert (await find(database, "nobody")).people == []


async def person_named(database: Database, name: str) -> int:
    async with database.transaction() as transaction:
        return await customers.create(transaction, NewCustomer(name), actor="test")


async def test_messages_and_notes_are_found_with_their_words_marked(database: Database) -> None:
    wang = await person(database)
    at = await conversation(database, customer_id=wang)
    asked = await write(database, at, "请问我的订单什么时候送货？", sender_name="王芳")
    answered = await write(database, at, "Your order leaves tomorrow", 1, author="lin")
    noted = await call(database, "asks where the order is", wang)
    hits = (await find(database, "order")).hits
    assert [(hit.kind, hit.id) for hit in hits] == [
        (EntryKind.INTERACTION, noted),
        (EntryKind.MESSAGE, answered),
    ]
    assert [hit.customer_name for hit in hits] == ["王芳", "王芳"]
    assert (hits[1].conversation_id, hits[1].who, hits[1].channel) == (at, "lin", Channel.MAIL)
    assert ("order", True) in hits[1].pieces
    (hit,) = (await find(database, "订单 送货")).hits
    assert (hit.id, hit.who) == (asked, "王芳")
    assert [piece for piece, is_found in hit.pieces if is_found] == ["订单", "送货"]
    assert (await find(database, '"order your"')).hits == []


async def test_an_order_s_and_a_complaint_s_number_lead_to_it(database: Database) -> None:
    wang = await person(database)
    async with database.transaction() as transaction:
        order = await orders.place(
            transaction,
            NewOrder(
                lines=[Line("T1", {"en": "Green tea", "zh": "绿茶"}, 2, 900)],
                currency="CNY",
                idempotency_key="one",
                customer_id=wang,
            ),
            actor="test",
        )
        complaint = await complaints.file(
            transaction, "It was cold", subject="Cold tea", customer_id=wang, actor="lin"
        )
    at = await conversation(database)
    await write(database, at, f"What of order {order[:5]}-{order[5:]}?")
    found = await find(database, f"{order[:4]} {order[4:]}")
    assert [(hit.kind, hit.number) for hit in found.exact] == [(EntryKind.ORDER, order)]
    assert {hit.kind for hit in found.hits} == {EntryKind.ORDER, EntryKind.MESSAGE}
    (exact,) = (await find(database, complaint)).exact
    assert (exact.kind, exact.number, exact.customer_id) == (EntryKind.COMPLAINT, complaint, wang)
    assert {hit.kind for hit in (await find(database, "tea")).hits} == {
        EntryKind.ORDER,
        EntryKind.COMPLAINT,
    }
    (hit,) = (await find(database, "绿茶")).hits
    assert hit.number == order


async def test_filters_choose_by_kind_channel_agent_and_day(database: Database) -> None:
    mail = await conversation(database)
    sms = await conversation(database, channel=Channel.SMS, address=PHONE)
    first = await write(database, mail, "tea one")
    second = await write(database, sms, "tea two", 60, channel=Channel.SMS)
    third = await write(database, sms, "tea three", 120, channel=Channel.SMS, author="li.n-1")
    noted = await call(database, "tea by phone", None)

    async def ids(**wanted: object) -> list[int]:
        found = await find(database, "tea", wanted=Wanted(**wanted))  # type: ignore[arg-type]
        assert found.people == []
        return [hit.id for hit in found.hits]

    assert await ids(kinds=[EntryKind.MESSAGE]) == [third, second, first]
    assert await ids(kinds=[EntryKind.INTERACTION]) == [noted]
    assert await ids(channel=Channel.SMS) == [third, second]
    assert await ids(channel=Channel.PHONE) == [noted]
    assert await ids(agent="li.n-1") == [third]
    assert await ids(agent="lin") == [noted]
    assert await ids(agent="li") == []
    hour = NOW + timedelta(minutes=60)
    assert await ids(until=hour) == [first]
    assert await ids(since=hour, until=hour + timedelta(minutes=1)) == [second]


async def test_an_agent_finds_what_is_theirs_to_see(database: Database) -> None:
    ours = await conversation(database, queue="service")
    theirs = await conversation(database, queue="sales")
    given = await conversation(database, queue="sales")
    named = await conversation(database, queue="sales")
    async with database.transaction() as transaction:
        await conversations.assign(transaction, given, "lin", actor="sara")
    seen = [
        await write(database, ours, "secret one"),
        await write(database, given, "secret three", 2),
        await write(database, named, "secret four", 3, author="sara", mentions=["lin"]),
    ]
    hidden = [await write(database, theirs, f"secret {n}", 10 + n) for n in range(60)]
    async with database.transaction() as transaction:
        due = NOW + timedelta(days=400)
        for login in ("lin", "maria"):
            await agents.save(transaction, login=login, display_name=login)
        own = await tasks.create(
            transaction,
            NewTask(kind=TaskKind.TASK, title="secret task", due_at=due, assigned_to="lin"),
            actor="root",
        )
        others = await tasks.create(
            transaction,
            NewTask(kind=TaskKind.TASK, title="secret of maria", due_at=due, assigned_to="maria"),
            actor="root",
        )
    lin = Wanted(seen_by=SeenBy("lin", ["service"]))
    found = await find(database, "secret", wanted=lin, limit=10)
    assert [hit.id for hit in found.hits] == [own, *reversed(seen)]
    assert found.older is None
    all_of_it = await find(database, "secret", limit=100)
    assert {hit.id for hit in all_of_it.hits if hit.kind is EntryKind.MESSAGE} == {*seen, *hidden}
    assert {hit.id for hit in all_of_it.hits if hit.kind is EntryKind.TASK} == {own, others}


async def test_pages_follow_each_other_without_a_gap(database: Database) -> None:
    at = await conversation(database)
    written = [await write(database, at, f"tea {n}", n) for n in range(25)]
    found = await find(database, "tea", limit=10)
    seen = [hit.id for hit in found.hits]
    while found.older:
        found = await find(database, "tea", before=found.older, limit=10)
        assert (found.people, found.exact) == ([], [])
        seen += [hit.id for hit in found.hits]
    assert seen == written[::-1]
    for cursor in ("x", "-1", "1 OR 1", "9" * 30):
        with pytest.raises(ValueError, match="cursor"):
            await find(database, "tea", before=cursor)


@pytest.mark.parametrize(
    "question", ["", "   ", "!?", '"', '" OR 1', "¶message", "¶customer1", "*"]
)
async def test_a_question_without_words_finds_nothing(database: Database, question: str) -> None:
    at = await conversation(database)
    await write(database, at, "tea")
    found = await find(database, question)
    assert (found.people, found.exact, found.hits, found.older) == ([], [], [], None)
