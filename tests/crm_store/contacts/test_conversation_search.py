"""Conversations found by words and people, drafts, and answers that are taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crm_store.contacts import (
    answer_drafts,
    conversation_search,
    conversations,
    messages,
    outbox,
    threads,
)
from crm_store.contacts.answer_drafts import Draft
from crm_store.contacts.conversation_lists import SeenBy
from crm_store.contacts.conversations import NewConversation
from crm_store.contacts.messages import NewMessage
from crm_store.database import Database
from crm_store.models import Channel, ConversationState, MessageState
from crm_store.people import customers
from crm_store.people.customers import NewCustomer
from crm_store.signals import Direction

pytestmark = pytest.mark.db

BEGIN = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


async def written(
    database: Database, text: str, *, minute: int = 0, customer_id: int | None = None,
    queue: str = "sales", address: str = "a@example.org",
) -> int:  # fmt: skip
    at = BEGIN + timedelta(minutes=minute)
    async with database.transaction() as transaction:
        new = NewConversation(
            channel=Channel.MAIL,
            address=address,
            customer_id=customer_id,
            queue=queue,
            at=at,
            tags=["one", f"tag {minute}"],
        )
        conversation = await conversations.open_conversation(transaction, new)
        message = NewMessage(
            conversation_id=conversation,
            direction=Direction.INBOUND,
            channel=Channel.MAIL,
            sender=address,
            text=text,
            at=at,
        )
        await messages.store(transaction, message)
    return conversation


async def found(database: Database, question: str, **how: object) -> list[int]:
    lines, _ = await conversation_search.found(database, question, **how)  # type: ignore[arg-type]
    return [line.conversation.id for line in lines]


async def test_words_find_each_conversation_once_newest_first_page_by_page(
    database: Database,
) -> None:
    ids = [await written(database, f"the blue chair {n}", minute=n) for n in range(5)]
    again = NewMessage(
        conversation_id=ids[4],
        direction=Direction.INBOUND,
        channel=Channel.MAIL,
        text="that blue chair again",
        at=BEGIN + timedelta(minutes=30),
    )
    async with database.transaction() as transaction:
        await messages.store(transaction, again)
    assert await found(database, "blue chair") == ids[::-1]
    seen: list[int] = []
    cursor = None
    while True:
        lines, cursor = await conversation_search.found(
            database, "blue chair", before=cursor, limit=2
        )
        seen += [line.conversation.id for line in lines]
        if cursor is None:
            break
    assert list(dict.fromkeys(seen)) == ids[::-1]
    with pytest.raises(ValueError, match="cursor"):
        await conversation_search.found(database, "blue", before="nonsense")


async def test_words_in_what_others_serve_find_nothing(database: Database) -> None:
    mine = await written(database, "a red sofa", minute=1)
    for minute in range(2, 8):
        await written(database, "a red sofa", minute=minute, queue="service")
    view = SeenBy("lin", ["sales"])
    assert await found(database, "sofa", seen_by=view, limit=2) == [mine]


async def test_people_of_that_name_come_first_and_beside_are_the_same_persons(
    database: Database,
) -> None:
    async with database.transaction() as transaction:
        wang = await customers.create(transaction, NewCustomer("王芳", "zh"), actor="t")
    first = await written(database, "hello", customer_id=wang)
    second = await written(database, "and more", minute=1, customer_id=wang, address="b@x.org")
    third = await written(database, "by 王芳", minute=2, address="c@x.org")
    assert await found(database, "王芳") == [second, first, third]
    record = await conversations.find(database, first)
    assert record is not None
    lines = await conversation_search.beside(database, record)
    assert [line.conversation.id for line in lines] == [second]
    tags = await conversation_search.tags_in_use(database)
    assert tags[0] == "one"
    assert set(tags) == {"one", "tag 0", "tag 1", "tag 2"}


async def test_a_draft_is_its_writers_and_an_empty_one_is_forgotten(database: Database) -> None:
    one = await written(database, "hello")
    draft = Draft(answer="Half a", note="ask", channel="mail", attachment_ids=(7,))
    async with database.transaction() as transaction:
        await answer_drafts.save(transaction, one, "lin", Draft(answer="H"))
        await answer_drafts.save(transaction, one, "lin", draft)
    assert await answer_drafts.read(database, one, "lin") == draft
    assert (await answer_drafts.read(database, one, "maria")).is_empty
    async with database.transaction() as transaction:
        await answer_drafts.save(transaction, one, "lin", Draft(answer="  "))
    assert (await answer_drafts.read(database, one, "lin")).is_empty


async def test_what_is_taken_back_was_never_written(database: Database) -> None:
    one = await written(database, "hello")
    async with database.transaction() as transaction:
        answer = NewMessage(
            conversation_id=one,
            direction=Direction.OUTBOUND,
            channel=Channel.MAIL,
            author="lin",
            text="unheard words",
        )
        message_id, _ = await messages.store(transaction, answer)
        outbox_id = await outbox.write(
            transaction,
            channel=Channel.MAIL,
            to="a@example.org",
            text="unheard words",
            message_id=message_id,
        )
    with pytest.raises(LookupError):
        async with database.transaction() as transaction:
            await threads.take_back(transaction, message_id, actor="maria")
    async with database.transaction() as transaction:
        taken = await threads.take_back(transaction, message_id, actor="lin")
    assert taken == ("unheard words", [])
    assert await messages.find(database, message_id) is None
    assert await found(database, "unheard") == []
    row = await outbox.find(database, outbox_id)
    assert row is not None
    assert row.state is MessageState.CANCELLED
    record = await conversations.find(database, one)
    assert record is not None
    assert (record.state, record.first_answered_at) == (ConversationState.OPEN, None)
    assert record.waiting_since == BEGIN
