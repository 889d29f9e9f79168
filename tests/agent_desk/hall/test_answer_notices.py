"""Who does not look is told that they were answered: once, where they may be written to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent_desk.hall import answer_notices
from agent_desk.hall.answer_notices import AnswerNotices
from channels import answering
from crm_store import jobs
from crm_store.contacts import outbox
from crm_store.contacts.conversations import NewConversation, open_conversation
from crm_store.contacts.outbox import OutboxRecord
from crm_store.database import Database
from crm_store.models import Channel, ContactKind
from crm_store.people import customers, hall_sessions, preferences
from crm_store.people.customers import ContactWay, NewCustomer

pytestmark = pytest.mark.db

BOTH = (Channel.MAIL, Channel.SMS)


@pytest.fixture
def told(sqlite_database: Database) -> Database:
    notices = AnswerNotices(sqlite_database, base_url=lambda: "https://mall.example/", carried=BOTH)
    notices.subscribe(sqlite_database.subscribers)
    return sqlite_database


async def letter(database: Database, preferred: Channel | None = None) -> tuple[int, int]:
    """A customer, and their conversation in the hall."""
    async with database.transaction() as transaction:
        customer_id = await customers.create(
            transaction,
            NewCustomer(
                "Ana",
                "es",
                preferred_channel=preferred,
                contact_points=[
                    ContactWay(ContactKind.PHONE, "+34600000001"),
                    ContactWay(ContactKind.MAIL, "ana@example.org"),
                ],
            ),
            actor="hall",
        )
        conversation_id = await open_conversation(
            transaction,
            NewConversation(
                channel=Channel.WEB, address=f"customer:{customer_id}", customer_id=customer_id
            ),
        )
    return customer_id, conversation_id


async def answered(database: Database, conversation_id: int, text: str = "In blue.") -> None:
    async with database.transaction() as transaction:
        await answering.answer(transaction, conversation_id, author="lin", text=text)


async def notices_of(database: Database) -> list[OutboxRecord]:
    """What waits to be sent when all jobs that are due were done."""
    names = database.subscribers.names
    while True:
        async with database.transaction() as transaction:
            due = await jobs.claim(transaction.session, "test", names, 50, timedelta(minutes=1))
        if not due:
            break
        for job in due:
            subscriber = database.subscribers.named(job.handler)
            assert subscriber is not None
            await subscriber.handler(job)
            async with database.transaction() as transaction:
                await jobs.finish(transaction.session, job, "test")
    return await outbox.waiting(database)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_notices, "AFTER", timedelta(0))


async def test_one_notice_for_several_answers_without_their_words(told: Database) -> None:
    _, conversation_id = await letter(told)
    for text in ("In blue.", "And in green."):
        await answered(told, conversation_id, text)
    [notice] = await notices_of(told)
    assert (notice.channel, notice.recipient) == (Channel.MAIL, "ana@example.org")
    assert f"https://mall.example/hall/messages/{conversation_id}" in notice.text
    assert "blue" not in notice.text


async def test_it_goes_where_the_customer_wishes_and_may_be_written_to(told: Database) -> None:
    _, conversation_id = await letter(told, Channel.SMS)
    await answered(told, conversation_id)
    [notice] = await notices_of(told)
    assert (notice.channel, notice.recipient) == (Channel.SMS, "+34600000001")
    _, another = await letter(told, Channel.SMS)
    async with told.transaction() as transaction:
        await preferences.opt_out(transaction, Channel.SMS, "+34600000001", by="customer")
    await answered(told, another)
    assert [one.recipient for one in await notices_of(told)][1:] == ["ana@example.org"]


async def test_who_has_looked_is_not_told(told: Database) -> None:
    customer_id, conversation_id = await letter(told)
    await answered(told, conversation_id)
    async with told.transaction() as transaction:
        token = await hall_sessions.open_session(transaction, customer_id, timedelta(days=1))
    session = await hall_sessions.session_of(told, token)
    assert session is not None
    async with told.transaction() as transaction:
        moment = datetime.now(UTC) + timedelta(minutes=1)
        await hall_sessions.seen(transaction, session.session_id, now=moment)
    assert await notices_of(told) == []


async def test_a_note_and_an_answer_by_mail_are_none_of_its_business(told: Database) -> None:
    _, conversation_id = await letter(told)
    async with told.transaction() as transaction:
        await answering.note(transaction, conversation_id, author="lin", text="Difficult.")
        await answering.answer(
            transaction, conversation_id, author="lin", text="By mail.", channel=Channel.MAIL
        )
    assert [one.text for one in await notices_of(told)] == ["By mail."]
