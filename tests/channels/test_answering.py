from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from channels import answering
from channels.answering import CannotAnswer
from channels.attachments import AttachmentFiles
from channels.inbox import Inbox
from channels.incoming import Incoming
from crm_store.contacts import attachments, conversations, messages, outbox, threads
from crm_store.contacts.attachments import NewFile
from crm_store.contacts.conversations import NewConversation
from crm_store.database import Database
from crm_store.models import Channel, ContactKind, ConversationState, Mention, Purpose
from crm_store.people import customers, preferences
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.people.preferences import Trouble
from crm_store.staff import agents

pytestmark = pytest.mark.db

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@dataclass
class Desk:
    database: Database
    inbox: Inbox

    async def receive(self, number: int = 1, **values: object) -> int:
        told = {
            "channel": Channel.MAIL,
            "external_key": f"<{number}@example.com> wang@example.com",
            "sender": "wang@example.com",
            "our_address": "service@mall.example",
            "subject": "Where is it?",
            "text": "Where is my order?",
            "message_id": f"<{number}@example.com>",
            "received_at": NOW + timedelta(minutes=number),
        } | values
        received = await self.inbox.receive(Incoming(**told))  # type: ignore[arg-type]
        return received.conversation_id

    async def answer(self, conversation_id: int, text: str = "On its way.", **how: object) -> int:
        how = {"author": "lin"} | how
        async with self.database.transaction() as transaction:
            return await answering.answer(transaction, conversation_id, text=text, **how)  # type: ignore[arg-type]

    async def refused(self, conversation_id: int, text: str = "Hello", **how: object) -> str:
        with pytest.raises(CannotAnswer) as refused:
            await self.answer(conversation_id, text, **how)
        return refused.value.why

    async def upload(self, by: str = "lin") -> int:
        new = NewFile(name="bill.pdf", media_type="application/pdf", size=5, file="ab/" + "c" * 64)
        async with self.database.transaction() as transaction:
            (number,) = await attachments.add(transaction, None, [new], uploaded_by=by)
        return number


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> Desk:
    async with database.transaction() as transaction:
        for login in ("lin", "mai.li"):
            await agents.save(transaction, login=login, display_name=login)
    return Desk(database, Inbox(database, AttachmentFiles(tmp_path)))


async def test_an_answer_goes_where_the_customer_last_wrote_in_its_thread(desk: Desk) -> None:
    first = await desk.receive()
    await desk.receive(2, reply_to=["<1@example.com>"])
    number = await desk.upload()
    message_id = await desk.answer(first, attachment_ids=[number], due_at=NOW)
    (row,) = await outbox.waiting(desk.database)
    assert (row.recipient, row.our_address) == ("wang@example.com", "service@mall.example")
    assert (row.subject, row.text, row.due_at) == ("Re: Where is it?", "On its way.", NOW)
    assert row.headers == {
        "In-Reply-To": "<2@example.com>",
        "References": "<1@example.com> <2@example.com>",
    }
    assert (row.message_id, row.attachment_ids, row.purpose) == (
        message_id,
        [number],
        Purpose.ANSWER,
    )
    (kept, *_) = await messages.of_conversation(desk.database, first)
    assert (kept.id, kept.author, [file.name for file in kept.files]) == (
        message_id,
        "lin",
        ["bill.pdf"],
    )
    found = await conversations.find(desk.database, first)
    assert found is not None
    assert (found.state, found.waiting_since) == (ConversationState.WAITING, None)
    # Their reply to it is in the same conversation.
    assert await desk.receive(3, reply_to=[kept.message_id]) == first


async def test_the_same_answer_is_one_however_often_it_is_said(desk: Desk) -> None:
    conversation_id = await desk.receive()
    one = await desk.answer(conversation_id, idempotency_key="click")
    assert await desk.answer(conversation_id, idempotency_key="click") == one
    assert len(await outbox.waiting(desk.database)) == 1


async def test_only_what_this_party_has_seen_is_in_their_headers(desk: Desk) -> None:
    first, second = await desk.receive(), await desk.receive(2, sender="li@example.com")
    async with desk.database.transaction() as transaction:
        await threads.merge(transaction, first, second, actor="lin")
    await desk.answer(second)
    (row,) = await outbox.waiting(desk.database)
    assert row.recipient == "li@example.com"
    assert row.headers["References"] == "<2@example.com>"


async def test_another_channel_is_where_they_wrote_from_or_are_known_at(desk: Desk) -> None:
    async with desk.database.transaction() as transaction:
        await customers.create(
            transaction,
            NewCustomer(
                "Wang",
                contact_points=(
                    ContactWay(ContactKind.MAIL, "wang@example.com"),
                    ContactWay(ContactKind.PHONE, "+8613800138000"),
                ),
            ),
            actor="lin",
        )
    conversation_id = await desk.receive()
    await desk.answer(conversation_id, channel=Channel.SMS)
    (row,) = await outbox.waiting(desk.database, channel=Channel.SMS)
    assert (row.recipient, row.our_address, row.subject) == ("+8613800138000", "", "")
    assert row.headers == {}
    assert await desk.refused(conversation_id, channel=Channel.FAX) == "no_address"


async def test_a_chat_needs_no_outbox(desk: Desk) -> None:
    conversation_id = await desk.receive(
        channel=Channel.CHAT, sender="session 5", external_key="c1", message_id=""
    )
    await desk.answer(conversation_id)
    assert await outbox.waiting(desk.database) == []
    (kept, *_) = await messages.of_conversation(desk.database, conversation_id)
    assert (kept.text, kept.delivery) == ("On its way.", None)


async def test_what_cannot_be_sent_leaves_nothing_behind(desk: Desk) -> None:
    by_mail = await desk.receive()
    assert await desk.refused(4711) == "no_conversation"
    assert await desk.refused(by_mail, " \n") == "no_text"
    assert await desk.refused(by_mail, channel=Channel.PHONE) == "no_channel"
    assert await desk.refused(by_mail, "x" * 200_001) == "too_long"
    assert await desk.refused(by_mail, attachment_ids=[await desk.upload("mai.li")]) == "no_file"
    strange = await desk.receive(2, sender="not an address")
    assert await desk.refused(strange) == "bad_address"
    assert len(await messages.of_conversation(desk.database, by_mail)) == 1
    assert await outbox.waiting(desk.database) == []


async def test_an_address_that_bounced_is_written_to_no_more_an_opt_out_keeps_no_answer_back(
    desk: Desk,
) -> None:
    async with desk.database.transaction() as transaction:
        await customers.create(
            transaction,
            NewCustomer("Wang", contact_points=(ContactWay(ContactKind.MAIL, "wang@example.com"),)),
            actor="lin",
        )
        await preferences.opt_out(transaction, Channel.MAIL, "wang@example.com", by="customer")
    conversation_id = await desk.receive()
    await desk.answer(conversation_id)
    async with desk.database.transaction() as transaction:
        await preferences.mark_trouble(
            transaction, ContactKind.MAIL, "wang@example.com", Trouble.BOUNCED
        )
    assert await desk.refused(conversation_id) == "address_in_trouble"


async def test_an_answer_may_settle_it(desk: Desk) -> None:
    conversation_id = await desk.receive()
    await desk.answer(conversation_id, close=True)
    found = await conversations.find(desk.database, conversation_id)
    assert found is not None
    assert found.state is ConversationState.CLOSED


async def test_an_agent_may_write_first(desk: Desk) -> None:
    async with desk.database.transaction() as transaction:
        conversation_id = await conversations.open_conversation(
            transaction,
            NewConversation(
                channel=Channel.MAIL, address="li@example.com", subject="Your order", queue=None
            ),
        )
    await desk.answer(conversation_id)
    (row,) = await outbox.waiting(desk.database)
    assert (row.recipient, row.headers) == ("li@example.com", {})


async def test_a_note_is_for_agents_and_tells_whom_it_names(desk: Desk) -> None:
    conversation_id = await desk.receive()
    async with desk.database.transaction() as transaction:
        note_id = await answering.note(
            transaction,
            conversation_id,
            author="lin",
            text="@Mai.Li, can you look? Not @lin, nor @nobody or lin@mai.li.",
        )
    async with desk.database.reading() as session:
        named = list(
            await session.scalars(select(Mention.agent).where(Mention.message_id == note_id))
        )
    assert named == ["mai.li"]
    assert await outbox.waiting(desk.database) == []
    found = await conversations.find(desk.database, conversation_id)
    assert found is not None
    assert found.waiting_since is not None
