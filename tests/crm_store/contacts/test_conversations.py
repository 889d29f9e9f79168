from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from crm_store import audit, text_search
from crm_store.contacts import conversations, interactions, messages
from crm_store.contacts.conversations import Conflict, NewConversation
from crm_store.contacts.messages import NewMessage
from crm_store.contacts.queue_places import priority
from crm_store.database import Database
from crm_store.facts import ConversationChanged, Fact, InteractionOpened
from crm_store.models import Channel, ConversationState, FactRow
from crm_store.people import customers
from crm_store.people.customers import NewCustomer
from crm_store.signals import Direction
from crm_store.text_search import EntryKind

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MAIL = "wang@mail.example"


async def _open(database: Database, **values: object) -> int:
    given = {"channel": Channel.MAIL, "address": MAIL, "subject": "地毯\r\nBcc: x", "at": NOW}
    async with database.transaction() as transaction:
        return await conversations.open_conversation(
            transaction,
            NewConversation(**(given | values)),  # type: ignore[arg-type]
        )


async def _customer(database: Database, name: str = "王芳") -> int:
    async with database.transaction() as transaction:
        return await customers.create(transaction, NewCustomer(name), actor="lin")


async def test_it_opens_with_an_interaction_at_its_place(database: Database) -> None:
    wang = await _customer(database)
    opened = await _open(database, customer_id=wang, queue="service", tags=["VIP", "vip", "Rugs"])
    one = await conversations.find(database, opened)
    assert one is not None
    assert (one.state, one.version, one.waiting_since) == (ConversationState.OPEN, 1, None)
    assert (one.subject, one.tags) == ("地毯 Bcc: x", ["VIP", "Rugs"])
    assert one.priority == priority(NOW.timestamp())
    contact = await interactions.find(database, one.interaction_id)
    assert contact is not None
    assert (contact.channel, contact.direction, contact.opened_at) == (
        Channel.MAIL, Direction.INBOUND, NOW,
    )  # fmt: skip
    assert (contact.customer_id, contact.queue, contact.closed_at) == (wang, "service", None)
    assert await conversations.of_interaction(database, one.interaction_id) == one
    assert await conversations.find(database, opened + 1) is None
    async with database.reading() as session:
        kinds = list(await session.scalars(select(FactRow.kind).order_by(FactRow.id)))
    assert kinds[-2:] == [InteractionOpened.__name__, ConversationChanged.__name__]


async def test_who_changes_what_another_has_changed_is_told_how_it_stands(
    database: Database,
) -> None:
    opened = await _open(database, queue="service")
    heard: list[Fact] = []
    stop = database.listen(heard.extend)
    async with database.transaction() as transaction:
        await conversations.assign(transaction, opened, "lin", actor="lin", expected_version=1)
        assert heard == []
    assert heard == [ConversationChanged(conversation_id=opened, what="assigned", version=2)]
    with pytest.raises(Conflict) as refused:
        async with database.transaction() as transaction:
            await conversations.assign(
                transaction, opened, "sara", actor="sara", expected_version=1
            )
    assert (refused.value.current.assigned_to, refused.value.current.version) == ("lin", 2)
    async with database.transaction() as transaction:
        await conversations.assign(transaction, opened, "lin", actor="lin")
    stop()
    async with database.transaction() as transaction:
        await conversations.set_queue(transaction, opened, "sales", actor="lin")
    assert len(heard) == 1
    one = await conversations.find(database, opened)
    assert one is not None
    assert (one.assigned_to, one.queue, one.version) == ("lin", "sales", 3)
    contact = await interactions.find(database, one.interaction_id)
    assert contact is not None
    assert (contact.agent, contact.queue) == ("lin", "sales")
    # The desk asks what is not wrapped up: a conversation is settled in the inbox.
    assert await interactions.open_of_agent(database, "lin") == []
    with pytest.raises(LookupError):
        async with database.transaction() as transaction:
            await conversations.assign(transaction, 999, "lin", actor="lin")


async def test_closed_it_is_wrapped_up_and_can_be_opened_again(database: Database) -> None:
    opened = await _open(database)
    async with database.transaction() as transaction:
        await conversations.close(
            transaction, opened, actor="lin", disposition="solved", note="sent", at=NOW
        )
    one = await conversations.find(database, opened)
    assert one is not None
    assert (one.state, one.closed_at) == (ConversationState.CLOSED, NOW)
    contact = await interactions.find(database, one.interaction_id)
    assert contact is not None
    assert (contact.closed_at, contact.disposition, contact.note, contact.agent) == (
        NOW, "solved", "sent", "lin",
    )  # fmt: skip
    async with database.transaction() as transaction:
        await conversations.reopen(transaction, opened, actor="sara")
    one = await conversations.find(database, opened)
    assert one is not None
    assert (one.state, one.closed_at) == (ConversationState.OPEN, None)
    contact = await interactions.find(database, one.interaction_id)
    assert contact is not None
    assert contact.closed_at is None
    async with database.transaction() as transaction:
        await conversations.mark_spam(transaction, opened, actor="lin")
    one = await conversations.find(database, opened)
    assert one is not None
    assert one.state is ConversationState.SPAM
    entries = await audit.entries(database, subject_kind="conversation", subject_id=opened)
    assert [(entry.actor, entry.action) for entry in reversed(entries)] == [
        ("lin", "changed"), ("sara", "changed"), ("lin", "changed"),
    ]  # fmt: skip


async def test_snoozed_it_comes_back_when_due(database: Database) -> None:
    first, second = await _open(database), await _open(database)
    for conversation_id, hours in ((first, 1), (second, 3)):
        async with database.transaction() as transaction:
            await conversations.snooze(
                transaction, conversation_id, NOW + timedelta(hours=hours), actor="lin"
            )
    async with database.transaction() as transaction:
        assert await conversations.wake_due(transaction, now=NOW) == []
        woken = await conversations.wake_due(transaction, now=NOW + timedelta(hours=2))
    assert woken == [first]
    states = [await conversations.find(database, one) for one in (first, second)]
    assert [one and (one.state, one.snoozed_until) for one in states] == [
        (ConversationState.OPEN, None),
        (ConversationState.SNOOZED, NOW + timedelta(hours=3)),
    ]
    with pytest.raises(ValueError, match="snooze"):
        async with database.transaction() as transaction:
            await conversations.set_state(
                transaction, first, ConversationState.SNOOZED, actor="lin"
            )


async def test_tags_are_each_once_and_not_without_end(database: Database) -> None:
    opened = await _open(database)
    async with database.transaction() as transaction:
        tags = await conversations.add_tags(
            transaction, opened, ["  Late ", "late", "Größe"], actor="lin"
        )
        assert tags == ["Late", "Größe"]
        assert await conversations.remove_tags(
            transaction, opened, ["LATE", "none"], actor="lin"
        ) == ["Größe"]
    for wrong in ([""], ["\u200b\n"], [str(number) for number in range(21)]):
        with pytest.raises(ValueError, match="tag"):
            async with database.transaction() as transaction:
                await conversations.add_tags(transaction, opened, wrong, actor="lin")
    one = await conversations.find(database, opened)
    assert one is not None
    assert (one.tags, one.version) == (["Größe"], 3)


async def test_given_to_a_customer_its_words_are_theirs(database: Database) -> None:
    wang = await _customer(database)
    opened = await _open(database)
    async with database.transaction() as transaction:
        await messages.store(
            transaction,
            NewMessage(
                conversation_id=opened,
                direction=Direction.INBOUND,
                channel=Channel.MAIL,
                text="the carpet is late",
                sender=MAIL,
                at=NOW,
            ),
        )
    kinds = [EntryKind.MESSAGE]
    [found] = await text_search.search(database, "carpet", kinds=kinds)
    assert found.customer_id is None
    async with database.transaction() as transaction:
        await conversations.give_to_customer(transaction, opened, wang, actor="lin")
    [found] = await text_search.search(database, "carpet", kinds=kinds, customer_ids=[wang])
    assert found.customer_id == wang
    one = await conversations.find(database, opened)
    assert one is not None
    contact = await interactions.find(database, one.interaction_id)
    assert contact is not None
    assert (one.customer_id, contact.customer_id) == (wang, wang)
    with pytest.raises(LookupError):
        async with database.transaction() as transaction:
            await conversations.give_to_customer(transaction, opened, 999, actor="lin")
