from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crm_store import text_search
from crm_store.contacts import continuing, conversations, interactions, messages, threads
from crm_store.contacts.conversations import Conflict, ConversationRecord, NewConversation
from crm_store.contacts.messages import NewMessage
from crm_store.database import Database
from crm_store.models import Channel, ContactKind, ConversationState
from crm_store.people import customers
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.signals import Direction
from crm_store.text_search import EntryKind

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
WANG, LEILA = "wang@mail.example", "leila@mail.example"
OURS = "service@mall.example"
PHONE = "+8613800138000"


async def _open(database: Database, address: str = WANG, **values: object) -> int:
    given: dict[str, object] = {"channel": Channel.MAIL, "address": address, "at": NOW}
    async with database.transaction() as transaction:
        return await conversations.open_conversation(
            transaction,
            NewConversation(**(given | values)),  # type: ignore[arg-type]
        )


async def _write(
    database: Database, conversation_id: int, minute: int = 0, *, by_us: bool = False,
    **values: object,
) -> int:  # fmt: skip
    given: dict[str, object] = {
        "conversation_id": conversation_id,
        "direction": Direction.OUTBOUND if by_us else Direction.INBOUND,
        "channel": Channel.MAIL,
        "sender": OURS if by_us else WANG,
        "recipients": [WANG if by_us else OURS],
        "text": f"minute {minute}",
        "author": "lin" if by_us else "",
        "at": NOW + timedelta(minutes=minute),
    }
    async with database.transaction() as transaction:
        written, _ = await messages.store(transaction, NewMessage(**(given | values)))  # type: ignore[arg-type]
    return written


async def _thread(
    database: Database, sender: str, *reply_to: str, channel: Channel = Channel.MAIL
) -> int | None:
    async with database.reading() as session:
        return await continuing.conversation_for(session, channel, sender, reply_to, now=NOW)


async def _state(database: Database, conversation_id: int) -> ConversationRecord:
    found = await conversations.find(database, conversation_id)
    assert found is not None
    return found


async def test_a_mail_goes_on_with_the_nearest_that_was_with_the_same_person(
    database: Database,
) -> None:
    first, second = await _open(database), await _open(database)
    await _write(database, first, message_id="<a@wang>")
    await _write(database, second, 1, message_id="<b@ours>", by_us=True)
    assert await _thread(database, WANG, "<a@wang>") == first
    assert await _thread(database, WANG, "<a@wang>", "<b@ours>") == second
    assert await _thread(database, WANG, "<b@ours>", "<unknown>", "") == second
    assert await _thread(database, WANG) is None
    assert await _thread(database, WANG, "", "<unknown>") is None
    assert await _thread(database, WANG, *["<unknown>"] * 10_000, "<a@wang>") == first


async def test_two_who_answer_one_newsletter_are_two(database: Database) -> None:
    sent = await _open(database, address=WANG)
    await _write(database, sent, message_id="<news@ours>", by_us=True)
    assert await _thread(database, WANG, "<news@ours>") == sent
    assert await _thread(database, LEILA, "<news@ours>") is None
    # Whoever knows a Message-ID of somebody else's does not get into their conversation by it.
    await _write(database, sent, 1, message_id="<private@wang>")
    assert await _thread(database, LEILA, "<private@wang>") is None


async def test_another_address_of_the_same_customer_goes_on(database: Database) -> None:
    ways = [ContactWay(ContactKind.MAIL, WANG), ContactWay(ContactKind.MAIL, "wf@work.example")]
    async with database.transaction() as transaction:
        wang = await customers.create(
            transaction, NewCustomer("Wang", contact_points=ways), actor="lin"
        )
    opened = await _open(database, customer_id=wang)
    await _write(database, opened, message_id="<a@wang>")
    assert await _thread(database, "wf@work.example", "<a@wang>") == opened
    assert await _thread(database, LEILA, "<a@wang>") is None


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.MESSENGER])
async def test_short_messages_go_on_with_the_newest_for_a_week(
    database: Database, channel: Channel
) -> None:
    assert await _thread(database, PHONE, channel=channel) is None
    old = await _open(database, PHONE, channel=channel, at=NOW - timedelta(days=20))
    newest = await _open(database, PHONE, channel=channel, at=NOW - timedelta(days=10))
    assert await _thread(database, PHONE, channel=channel) == newest
    other = Channel.SMS if channel is Channel.MESSENGER else Channel.MESSENGER
    assert await _thread(database, PHONE, channel=other) is None
    for days, expected in ((6, newest), (8, None)):
        async with database.transaction() as transaction:
            await conversations.close(
                transaction, newest, actor="lin", at=NOW - timedelta(days=days)
            )
        assert await _thread(database, PHONE, channel=channel) == expected
    assert (await _state(database, old)).state is ConversationState.OPEN
    assert await _thread(database, "", channel=channel) is None


async def test_merged_they_are_one_and_undone_they_are_two(database: Database) -> None:
    mail, sms = await _open(database), await _open(database, PHONE, channel=Channel.SMS)
    await _write(database, mail, 0, message_id="<a@wang>")
    await _write(database, mail, 3, by_us=True)
    text = await _write(database, sms, 5, channel=Channel.SMS, sender=PHONE)
    with pytest.raises(Conflict):
        async with database.transaction() as transaction:
            await threads.merge(transaction, mail, sms, actor="lin", expected_version=1)
    async with database.transaction() as transaction:
        await threads.merge(transaction, mail, sms, actor="lin")
    kept, gone = await _state(database, sms), await _state(database, mail)
    assert (gone.merged_into, gone.state) == (sms, ConversationState.CLOSED)
    assert (kept.state, kept.waiting_since) == (
        ConversationState.OPEN, NOW + timedelta(minutes=5),
    )  # fmt: skip
    assert kept.first_answered_at == NOW + timedelta(minutes=3)
    assert (kept.channel, kept.address) == (Channel.SMS, PHONE)
    assert await _thread(database, WANG, "<a@wang>") == sms
    assert await messages.of_conversation(database, mail) == []
    # What was on its way to the merged one arrives at the other.
    late = await _write(database, mail, 6)
    assert [one.id for one in await messages.of_conversation(database, sms)][:2] == [late, text]
    for other, into in ((mail, sms), (sms, mail), (sms, sms), (sms, 999)):
        with pytest.raises((LookupError, ValueError)):
            async with database.transaction() as transaction:
                await threads.merge(transaction, other, into, actor="lin")
    with pytest.raises(LookupError):
        async with database.transaction() as transaction:
            await conversations.assign(transaction, mail, "lin", actor="lin")

    async with database.transaction() as transaction:
        await threads.undo_merge(transaction, mail, actor="sara")
    gone = await _state(database, mail)
    assert (gone.merged_into, gone.state) == (None, ConversationState.WAITING)
    assert (gone.channel, gone.address, gone.waiting_since) == (Channel.MAIL, WANG, None)
    contact = await interactions.find(database, gone.interaction_id)
    assert contact is not None
    assert contact.closed_at is None
    assert len(await messages.of_conversation(database, mail)) == 2
    assert [one.id for one in await messages.of_conversation(database, sms)] == [late, text]
    with pytest.raises(LookupError):
        async with database.transaction() as transaction:
            await threads.undo_merge(transaction, mail, actor="sara")


async def test_a_known_customers_conversation_makes_the_other_theirs_but_not_two_customers_one(
    database: Database,
) -> None:
    async with database.transaction() as transaction:
        wang, leila = [
            await customers.create(transaction, NewCustomer(name), actor="lin")
            for name in ("Wang", "Leila")
        ]
    known, unknown = await _open(database, customer_id=wang), await _open(database)
    leilas = await _open(database, customer_id=leila)
    await _write(database, known, text="carpet")
    await _write(database, unknown, text="carpet")
    async with database.transaction() as transaction:
        await threads.merge(transaction, known, unknown, actor="lin")
    assert (await _state(database, unknown)).customer_id == wang
    kinds = [EntryKind.MESSAGE]
    found = await text_search.search(database, "carpet", customer_ids=[wang], kinds=kinds)
    assert len(found) == 2
    with pytest.raises(ValueError, match="two customers"):
        async with database.transaction() as transaction:
            await threads.merge(transaction, unknown, leilas, actor="lin")


async def test_split_some_messages_are_a_conversation_of_their_own(database: Database) -> None:
    opened = await _open(database, queue="service", assigned_to="lin", tags=["late"])
    first = await _write(database, opened, 0, subject="order")
    await _write(database, opened, 1, by_us=True)
    other = await _write(database, opened, 2, subject="parking", text="where can I park?")
    async with database.transaction() as transaction:
        new = await threads.split(transaction, opened, [other], actor="lin")
    parking, order = await _state(database, new), await _state(database, opened)
    assert (parking.subject, parking.preview) == ("parking", "where can I park?")
    assert (parking.queue, parking.assigned_to, parking.tags) == ("service", "lin", ["late"])
    assert (parking.state, parking.waiting_since) == (
        ConversationState.OPEN, NOW + timedelta(minutes=2),
    )  # fmt: skip
    assert parking.interaction_id != order.interaction_id
    assert (order.state, order.waiting_since) == (ConversationState.WAITING, None)
    for ids in ([], [other], [first, first + 1]):
        with pytest.raises(ValueError, match="not all"):
            async with database.transaction() as transaction:
                await threads.split(transaction, opened, ids, actor="lin")
