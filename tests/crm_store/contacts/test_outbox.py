from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from crm_store.contacts import conversations, messages, outbox, sending
from crm_store.contacts.conversations import NewConversation
from crm_store.contacts.messages import NewMessage
from crm_store.contacts.outbox import OutboxRecord
from crm_store.contacts.sending import AcceptedMessage
from crm_store.database import Database
from crm_store.facts import DeliveryChanged, Fact
from crm_store.models import Channel, FactRow, MessageState, Purpose
from crm_store.signals import Direction

pytestmark = pytest.mark.db

NUMBER = "+8613800138000"


async def _write(database: Database, text: str = "您的投诉编号 1234 5674", **values: object) -> int:
    async with database.transaction() as transaction:
        return await outbox.write(
            transaction,
            **({"channel": Channel.SMS, "to": NUMBER, "text": text} | values),  # type: ignore[arg-type]
        )


async def test_a_message_waits_and_says_so_once(database: Database) -> None:
    first = await _write(database, idempotency_key="complaint:12345674")
    assert await _write(database, idempotency_key="complaint:12345674") == first
    second = await _write(database, "another")
    third = await _write(database, "another")
    waiting = await outbox.waiting(database)
    assert [message.id for message in waiting] == [first, second, third]
    assert (waiting[0].recipient, waiting[0].channel, waiting[0].text) == (
        NUMBER, Channel.SMS, "您的投诉编号 1234 5674",
    )  # fmt: skip
    async with database.reading() as session:
        kinds = await session.scalars(FactRow.__table__.select().with_only_columns(FactRow.kind))
    assert list(kinds) == ["MessageWanted"] * 3


async def test_what_cannot_be_sent_is_refused(database: Database) -> None:
    for text in ("", "  ", "x" * 2_001):
        with pytest.raises(ValueError, match="characters"):
            await _write(database, text)
    for number in ("", "13800138000", "+86138\n0013", "a@b.example"):
        with pytest.raises(ValueError, match=r"E\.164"):
            await _write(database, to=number)
    assert await outbox.waiting(database) == []


async def test_a_mail_may_not_write_its_own_headers(database: Database) -> None:
    mail = {"channel": Channel.MAIL, "to": "wang@mail.example"}
    for wrong in (
        {"to": "wang@mail.example\r\nBcc: all@mail.example"},
        {"to": "Wang@Mail.example"},
        {"headers": {"In-Reply-To": "<1@x>\r\nBcc: all@mail.example"}},
        {"headers": {"X\nY": "1"}},
    ):
        with pytest.raises(ValueError, match=r"address|line"):
            await _write(database, **(mail | wrong))
    written = await _write(database, **mail, subject="one\r\nBcc: two")
    found = await outbox.find(database, written)
    assert found is not None
    assert found.subject == "one Bcc: two"


async def _claim(
    database: Database, worker: str = "one", limit: int = 10, **values: object
) -> list[OutboxRecord]:
    async with database.transaction() as transaction:
        return await sending.claim(
            transaction, Channel.SMS, worker, limit=limit, lease_s=60, **values  # type: ignore[arg-type]
        )  # fmt: skip


async def _state(database: Database, outbox_id: int) -> OutboxRecord:
    found = await outbox.find(database, outbox_id)
    assert found is not None
    return found


async def test_each_is_claimed_by_one_worker_codes_first_and_promotions_last(
    database: Database,
) -> None:
    promotion = await _write(database, "sale", purpose=Purpose.PROMOTION)
    answer = await _write(database, "yes", purpose=Purpose.ANSWER)
    code = await _write(database, "123456", purpose=Purpose.CODE)
    later = await _write(database, "later", due_at=datetime.now(UTC) + timedelta(hours=1))
    await _write(database, "mail", channel=Channel.MAIL, to="wang@mail.example")
    first = await _claim(database, limit=2)
    assert [row.id for row in first] == [code, answer]
    assert [(row.state, row.attempts) for row in first] == [(MessageState.SENDING, 1)] * 2
    taken = await asyncio.gather(*(_claim(database, str(worker)) for worker in range(4)))
    assert [row.id for rows in taken for row in rows] == [promotion]
    assert await sending.next_due(database, Channel.FAX) is None
    due = await sending.next_due(database, Channel.SMS)
    assert due is not None
    in_an_hour = datetime.now(UTC) + timedelta(hours=2)
    assert [row.id for row in await _claim(database, now=in_an_hour)] == [later]


async def test_accepted_it_is_sent_and_a_secret_is_wiped(database: Database) -> None:
    secret = await _write(database, "your code is 123456", is_secret=True, purpose=Purpose.CODE)
    plain = await _write(database, "hello")
    await _claim(database)
    async with database.transaction() as transaction:
        await sending.accepted(
            transaction,
            [
                AcceptedMessage(id=secret, provider_id="SM1", segments=1),
                AcceptedMessage(
                    id=plain, provider_id="SM2", segments=2, cost_micros=7_500, cost_currency="USD"
                ),
            ],
        )
    first, second = await _state(database, secret), await _state(database, plain)
    assert (first.state, first.text, first.provider_id) == (MessageState.SENT, "", "SM1")
    assert (second.text, second.segments, second.cost_micros) == ("hello", 2, 7_500)
    assert second.sent_at is not None
    assert first.cost_micros is None
    async with database.transaction() as transaction:
        assert not await outbox.send_again(transaction, secret, actor="sara")
        assert not await outbox.cancel(transaction, plain, actor="sara")


async def test_news_of_delivery_may_overtake_the_answer(database: Database) -> None:
    written = await _write(database)
    await _claim(database)
    async with database.transaction() as transaction:
        assert await sending.delivery(
            transaction, state=MessageState.DELIVERED, provider_id="SM1", outbox_id=written
        )
    async with database.transaction() as transaction:
        await sending.accepted(transaction, [AcceptedMessage(id=written, provider_id="SM1")])
    async with database.transaction() as transaction:
        for late in (MessageState.SENT, MessageState.FAILED):
            assert await sending.delivery(transaction, state=late, provider_id="SM1", error="30003")
        assert not await sending.delivery(transaction, state=late, provider_id="SM9")
        assert not await sending.delivery(transaction, state=late)
    row = await _state(database, written)
    assert (row.state, row.error) == (MessageState.DELIVERED, "")
    assert row.delivered_at is not None


async def test_what_was_certainly_not_taken_waits_or_has_failed(database: Database) -> None:
    again, never = await _write(database, "a"), await _write(database, "b")
    await _claim(database)
    now = datetime.now(UTC)
    async with database.transaction() as transaction:
        await sending.not_now(transaction, again, wait_s=600, error="429", now=now)
        await sending.refused(transaction, never, error="no such number")
    assert await _claim(database) == []
    first, second = await _state(database, again), await _state(database, never)
    assert (first.state, first.due_at, first.repeats) == (
        MessageState.WAITING, now + timedelta(seconds=600), 0,
    )  # fmt: skip
    assert (second.state, second.error) == (MessageState.FAILED, "no such number")
    assert [row.id for row in await outbox.undecided(database)] == [never]
    async with database.transaction() as transaction:
        assert await outbox.send_again(transaction, never, actor="sara")
        assert await outbox.cancel(transaction, again, actor="sara")
    assert [row.id for row in await _claim(database)] == [never]
    assert (await _state(database, again)).state is MessageState.CANCELLED


@pytest.mark.parametrize("recognises", [True, False])
async def test_who_was_killed_half_way_is_repeated_at_most_once_where_nobody_can_tell(
    database: Database, recognises: bool
) -> None:
    written = await _write(database)
    now = datetime.now(UTC)
    states = []
    for _ in range(3):
        await _claim(database, now=now)
        async with database.transaction() as transaction:
            early = await sending.take_back(
                transaction, Channel.SMS, recognises_repeats=recognises, now=now
            )
        assert early == []
        now += timedelta(seconds=61)
        async with database.transaction() as transaction:
            states += await sending.take_back(
                transaction, Channel.SMS, recognises_repeats=recognises, now=now
            )
        now += timedelta(seconds=1)
    waiting, uncertain = (written, MessageState.WAITING), (written, MessageState.UNCERTAIN)
    assert states == ([waiting] * 3 if recognises else [waiting, uncertain])
    row = await _state(database, written)
    assert row.repeats == (3 if recognises else 1)
    if not recognises:
        async with database.transaction() as transaction:
            assert await outbox.send_again(transaction, written, actor="sara")
        assert (await _state(database, written)).repeats == 2


async def test_what_becomes_of_a_conversations_message_is_told(database: Database) -> None:
    async with database.transaction() as transaction:
        conversation = await conversations.open_conversation(
            transaction, NewConversation(channel=Channel.SMS, address=NUMBER)
        )
        message, _ = await messages.store(
            transaction,
            NewMessage(
                conversation_id=conversation,
                direction=Direction.OUTBOUND,
                channel=Channel.SMS,
                text="hello",
            ),
        )
    written = await _write(database, message_id=message)
    await _write(database, "of nobody's conversation")
    heard: list[Fact] = []
    database.listen(heard.extend)
    claimed = await _claim(database)
    async with database.transaction() as transaction:
        await sending.accepted(transaction, [AcceptedMessage(id=row.id) for row in claimed])
    assert heard == [
        DeliveryChanged(
            outbox_id=written, message_id=message, conversation_id=conversation, state="sent"
        )
    ]
