"""Chat sessions: tokens, what a visitor has seen, and who left before the answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_store.contacts import chat_sessions, chat_waits, conversations, messages
from crm_store.contacts.chat_sessions import NewChatSession, address_of, session_at
from crm_store.contacts.conversations import NewConversation
from crm_store.contacts.messages import NewMessage
from crm_store.database import Database
from crm_store.models import Channel
from crm_store.signals import Direction
from crm_store.staff import agents
from crm_store.staff.queues import QueueRecord, save

pytestmark = pytest.mark.db

NOW = datetime.now(UTC)


async def begin(database: Database, **told: Any) -> tuple[int, str]:
    async with database.transaction() as transaction:
        return await chat_sessions.begin(transaction, NewChatSession(language="en", **told))


async def open_chat(
    database: Database,
    session_id: int,
    *,
    queue: str | None = None,
    at: datetime = NOW,
    assigned_to: str | None = None,
) -> int:
    async with database.transaction() as transaction:
        conversation_id = await conversations.open_conversation(
            transaction,
            NewConversation(
                channel=Channel.CHAT,
                address=address_of(session_id),
                queue=queue,
                at=at,
                assigned_to=assigned_to,
            ),
        )
        await chat_sessions.change(transaction, session_id, conversation_id=conversation_id)
    return conversation_id


async def answer(database: Database, conversation_id: int, at: datetime | None = None) -> int:
    async with database.transaction() as transaction:
        message_id, _ = await messages.store(
            transaction,
            NewMessage(
                conversation_id=conversation_id,
                direction=Direction.OUTBOUND,
                channel=Channel.CHAT,
                text="yes",
                author="lin",
                at=at,
            ),
        )
    return message_id


async def age(database: Database, session_id: int, **ago: float) -> None:
    async with database.transaction() as transaction:
        await chat_sessions.change(
            transaction, session_id, seen_at=datetime.now(UTC) - timedelta(**ago)
        )


async def due(database: Database, since: datetime | None = None) -> list[int]:
    gone = datetime.now(UTC) - timedelta(minutes=3)
    return await chat_sessions.unseen_by_who_left(database, gone_since=gone, looked_since=since)


async def test_a_token_finds_its_visitor_and_only_them(database: Database) -> None:
    first, token = await begin(database, name="Wang", topic="sales")
    second, other = await begin(database)
    found = await chat_sessions.of_token(database, token)
    assert found is not None
    assert (found.id, found.name, found.topic, found.customer_id) == (first, "Wang", "sales", None)
    assert found.consent_at is not None
    assert second != first
    assert other != token
    for wrong in ("", "x", token[:-1], token.upper(), f"{token} "):
        assert await chat_sessions.of_token(database, wrong) is None


async def test_the_token_itself_is_not_kept(database: Database) -> None:
    _, token = await begin(database)
    rows = await database.fetch("SELECT token_hash FROM chat_sessions")
    assert token not in str(rows)


async def test_an_old_token_and_an_ended_chat_are_worth_nothing(database: Database) -> None:
    first, token = await begin(database)
    await age(database, first, days=31)
    assert await chat_sessions.of_token(database, token) is None
    second, other = await begin(database)
    async with database.transaction() as transaction:
        await chat_sessions.end(transaction, second)
    assert await chat_sessions.of_token(database, other) is None
    kept = await chat_sessions.find(database, second)
    assert kept is not None
    assert kept.left_at is not None


def test_an_address_is_a_visitors_or_nobodys() -> None:
    assert session_at(address_of(7)) == 7
    for other in (
        "visitor-",
        "visitor-x",
        "visitor-7x",
        "+8613800138000",
        "7",
        "visitor-" + "9" * 30,
    ):
        assert session_at(other) is None


async def test_what_was_seen_never_goes_back(database: Database) -> None:
    session_id, _ = await begin(database)
    for message_id in (5, 3, 9, 8):
        async with database.transaction() as transaction:
            await chat_sessions.has_seen(transaction, session_id, message_id)
    found = await chat_sessions.find(database, session_id)
    assert found is not None
    assert found.seen_message_id == 9


async def test_a_field_that_there_is_not_is_refused(database: Database) -> None:
    session_id, _ = await begin(database)
    with pytest.raises(ValueError, match="token_hash"):
        async with database.transaction() as transaction:
            await chat_sessions.change(transaction, session_id, token_hash="mine")


async def test_who_left_without_the_answer_is_due_once_they_are_gone(database: Database) -> None:
    session_id, _ = await begin(database, mail="wang@example.org")
    conversation_id = await open_chat(database, session_id)
    message_id = await answer(database, conversation_id)
    assert await due(database) == [], "they are still here"
    await age(database, session_id, minutes=10)
    assert await due(database) == [session_id]
    assert await due(database, datetime.now(UTC) - timedelta(hours=1)) == [session_id]
    async with database.transaction() as transaction:
        await chat_sessions.has_seen(transaction, session_id, message_id)
    assert await due(database) == []


async def test_who_left_no_address_is_never_due(database: Database) -> None:
    session_id, _ = await begin(database, name="Wang")
    await answer(database, await open_chat(database, session_id))
    await age(database, session_id, minutes=10)
    assert await due(database) == []


async def test_what_was_sent_after_them_is_not_due_again(database: Database) -> None:
    session_id, _ = await begin(database, phone="+8613800138000")
    conversation_id = await open_chat(database, session_id)
    message_id = await answer(database, conversation_id)
    await age(database, session_id, minutes=10)
    async with database.transaction() as transaction:
        await chat_sessions.change(transaction, session_id, carried_message_id=message_id)
    assert await due(database) == []
    await answer(database, conversation_id)
    assert await due(database) == [session_id]


async def test_long_quiet_chats_are_only_found_by_the_first_look(database: Database) -> None:
    session_id, _ = await begin(database, mail="wang@example.org")
    long_ago = datetime.now(UTC) - timedelta(days=2)
    conversation_id = await open_chat(database, session_id, at=long_ago)
    await answer(database, conversation_id, long_ago)
    await age(database, session_id, days=2)
    assert await due(database, datetime.now(UTC) - timedelta(hours=1)) == []
    assert await due(database) == [session_id]


async def test_who_is_ahead_are_the_chats_of_the_queue_that_nobody_has(database: Database) -> None:
    async with database.transaction() as transaction:
        for number, name in (("600", "sales"), ("601", "service")):
            await save(transaction, QueueRecord(name, number, {"en": name}))
        await agents.save(
            transaction, login="lin", display_name="Lin", extension=None, queues=("sales",)
        )
    chats = []
    for minute, queue, agent in (
        (5, "sales", None),
        (4, "service", None),
        (3, "sales", "lin"),
        (2, "sales", None),
        (1, "sales", None),
    ):
        session_id, _ = await begin(database)
        at = NOW - timedelta(minutes=minute)
        chats.append(await open_chat(database, session_id, queue=queue, at=at, assigned_to=agent))
    assert [await chat_waits.ahead_of(database, chat) for chat in chats] == [0, 0, 1, 1, 2]
    assert await chat_waits.ahead_of(database, 999_999) == 0


async def test_a_usual_wait_is_what_happened_lately_or_nothing(database: Database) -> None:
    async with database.transaction() as transaction:
        await save(transaction, QueueRecord("sales", "600", {"en": "Sales"}))
    for wait_s in (30, 600):
        session_id, _ = await begin(database)
        at = NOW - timedelta(hours=1)
        await answer(
            database,
            await open_chat(database, session_id, queue="sales", at=at),
            at + timedelta(seconds=wait_s),
        )
    assert await chat_waits.usual_waits_s(database) == {}, "two are not enough"
    session_id, _ = await begin(database)
    at = NOW - timedelta(hours=1)
    await answer(
        database,
        await open_chat(database, session_id, queue="sales", at=at),
        at + timedelta(seconds=90),
    )
    assert await chat_waits.usual_waits_s(database) == {"sales": 90.0}
    later = datetime.now(UTC) + timedelta(days=8)
    assert await chat_waits.usual_waits_s(database, now=later) == {}
