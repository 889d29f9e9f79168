"""Who left gets the answer once, by mail or SMS; and the transcript that they ask for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from channels.answering import answer
from channels.chat.leaving import LONGEST_SMS, Leaving
from channels.incoming import Incoming
from crm_store.contacts import chat_sessions, messages, outbox
from crm_store.contacts.chat_sessions import ChatSessionRecord
from crm_store.models import Channel, Purpose
from crm_store.signals import Direction
from tests.channels.chat.chat_stage import ChatStage

pytestmark = pytest.mark.db


async def chat_with(stage: ChatStage, **told: str) -> tuple[ChatSessionRecord, int]:
    session = await stage.begin(**told)
    await stage.hub.write(session.id, "k", "is it there?")
    return session, await stage.conversation_of(session)


async def reply(stage: ChatStage, conversation_id: int, text: str) -> int:
    async with stage.database.transaction() as transaction:
        return await answer(transaction, conversation_id, author="lin", text=text)


async def go(stage: ChatStage, session: ChatSessionRecord) -> None:
    """The visitor has been away for ten minutes."""
    async with stage.database.transaction() as transaction:
        long_ago = datetime.now(UTC) - timedelta(minutes=10)
        await chat_sessions.change(transaction, session.id, seen_at=long_ago, left_at=long_ago)


async def test_an_answer_follows_by_mail_once(stage: ChatStage) -> None:
    session, conversation_id = await chat_with(stage, mail="wang@example.org", name="Wang")
    await reply(stage, conversation_id, "Two of them.")
    await reply(stage, conversation_id, "Shall I keep one?")
    assert await stage.leaving.carry_due() == 0, "they are still here"
    await go(stage, session)
    assert await stage.leaving.carry_due() == 1
    assert await stage.leaving.carry_due() == 0
    (letter,) = await outbox.waiting(stage.database)
    assert (letter.channel, letter.recipient) == (Channel.MAIL, "wang@example.org")
    assert "Lin Xiaoyu: Two of them." in letter.text
    assert "Lin Xiaoyu: Shall I keep one?" in letter.text
    assert "is it there?" not in letter.text
    kept = await messages.of_conversation(stage.database, conversation_id)
    by_mail = [message for message in kept if message.channel is Channel.MAIL]
    assert [message.id for message in by_mail] == [letter.message_id]


async def test_two_processes_send_one_letter(stage: ChatStage) -> None:
    session, conversation_id = await chat_with(stage, mail="wang@example.org")
    await reply(stage, conversation_id, "Yes.")
    await go(stage, session)
    other = Leaving(stage.database, lambda key, language: key)
    await asyncio.gather(stage.leaving.carry_due(), other.carry_due())
    assert len(await outbox.waiting(stage.database)) == 1


async def test_their_reply_comes_back_into_the_conversation(stage: ChatStage) -> None:
    session, conversation_id = await chat_with(stage, mail="wang@example.org")
    await reply(stage, conversation_id, "Yes.")
    await go(stage, session)
    await stage.leaving.carry_due()
    kept = await messages.of_conversation(stage.database, conversation_id)
    letter = next(message for message in kept if message.channel is Channel.MAIL)
    received = await stage.inbox.receive(
        Incoming(
            channel=Channel.MAIL,
            external_key="<their@mail> wang@example.org",
            sender="wang@example.org",
            text="Please keep one.",
            received_at=datetime.now(UTC),
            message_id="<their@mail>",
            reply_to=[letter.message_id],
        )
    )
    assert received.conversation_id == conversation_id
    # From now on they are answered where they write.
    message_id = await reply(stage, conversation_id, "Done.")
    answered = await messages.find(stage.database, message_id)
    assert answered is not None
    assert (answered.channel, answered.recipients) == (Channel.MAIL, ["wang@example.org"])


async def test_with_a_number_alone_it_is_an_sms(stage: ChatStage) -> None:
    session, conversation_id = await chat_with(stage, phone="138 0013 8000", language="zh")
    await reply(stage, conversation_id, "有" * 3_000)
    await go(stage, session)
    await stage.leaving.carry_due()
    (letter,) = await outbox.waiting(stage.database)
    assert (letter.channel, letter.recipient) == (Channel.SMS, "+8613800138000")
    assert len(letter.text) == LONGEST_SMS
    assert letter.subject == ""


async def test_what_was_seen_and_what_nobody_can_be_sent_stays(stage: ChatStage) -> None:
    seen, conversation_id = await chat_with(stage, mail="wang@example.org")
    message_id = await reply(stage, conversation_id, "Yes.")
    async with stage.database.transaction() as transaction:
        await chat_sessions.has_seen(transaction, seen.id, message_id)
    await go(stage, seen)
    unknown, other = await chat_with(stage, name="Nobody")
    await reply(stage, other, "Yes.")
    await go(stage, unknown)
    assert await stage.leaving.carry_due() == 0
    assert await outbox.waiting(stage.database) == []


async def test_who_comes_back_sees_it_there_and_gets_only_what_is_new(stage: ChatStage) -> None:
    session, conversation_id = await chat_with(stage, mail="wang@example.org")
    await reply(stage, conversation_id, "First.")
    await go(stage, session)
    await stage.leaving.carry_due()
    visit, page = await stage.join(session)
    assert page.texts == ["is it there?", "First."]
    stage.hub.leave(visit)
    await stage.hub.has_left(session.id)
    await go(stage, session)
    assert await stage.leaving.carry_due() == 0
    await reply(stage, conversation_id, "Second.")
    assert await stage.leaving.carry_due() == 1
    _, second = await outbox.waiting(stage.database)
    assert "Second." in second.text
    assert "First." not in second.text


async def test_a_transcript_has_all_that_was_said_and_goes_to_one_address(stage: ChatStage) -> None:
    session, conversation_id = await chat_with(stage, name="Wang")
    await reply(stage, conversation_id, "Two of them.")
    assert await stage.leaving.transcript(session.id, "wang@example.org")
    assert await stage.leaving.transcript(session.id, "wang@example.org"), "again: the same mail"
    assert not await stage.leaving.transcript(session.id, "victim@example.org")
    (letter,) = await outbox.waiting(stage.database)
    assert (letter.purpose, letter.recipient) == (Purpose.TRANSCRIPT, "wang@example.org")
    first, second = letter.text.split("\n\n")
    assert first.endswith("Wang: is it there?")
    assert second.endswith("Lin Xiaoyu: Two of them.")
    kept = await messages.of_conversation(stage.database, conversation_id)
    assert {message.channel for message in kept} == {Channel.CHAT}
    assert [message.direction for message in kept] == [Direction.OUTBOUND, Direction.INBOUND]


async def test_there_is_no_transcript_of_nothing(stage: ChatStage) -> None:
    session = await stage.begin()
    assert not await stage.leaving.transcript(session.id, "wang@example.org")
