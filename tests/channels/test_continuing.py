"""One conversation with one person, whatever they write on, and never with two."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from channels import answering
from channels.attachments import AttachmentFiles
from channels.inbox import Inbox
from channels.incoming import Incoming
from crm_store.contacts import conversations, outbox, threads
from crm_store.contacts.conversations import ConversationRecord
from crm_store.database import Database
from crm_store.models import Channel, ContactKind, ContactPoint, ConversationState, Message
from crm_store.people import customers
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.staff import agents, queues
from crm_store.staff.queues import QueueRecord

pytestmark = pytest.mark.db

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MAIL, PHONE, WECHAT = "wang@example.com", "+8613800138000", "wechat:wang"
_numbers = itertools.count(1)


@dataclass
class House:
    database: Database
    inbox: Inbox
    at: datetime = NOON

    async def customer(self, *ways: tuple[ContactKind, str]) -> int:
        points = tuple(ContactWay(kind, value) for kind, value in ways)
        async with self.database.transaction() as transaction:
            return await customers.create(
                transaction, NewCustomer("Wang Fang", contact_points=points), actor="lin"
            )

    async def receive(self, channel: Channel, sender: str, **values: Any) -> ConversationRecord:
        number = next(_numbers)
        self.at = self.at + timedelta(minutes=1)
        told: dict[str, Any] = {
            "channel": channel,
            "external_key": f"key-{number}",
            "sender": sender,
            "text": "Where is my order?",
            "received_at": self.at,
            "message_id": f"<{number}@example.com>" if channel is Channel.MAIL else "",
        }
        received = await self.inbox.receive(Incoming(**told | values))
        return await self.conversation(received.conversation_id)

    async def conversation(self, conversation_id: int) -> ConversationRecord:
        found = await conversations.find(self.database, conversation_id)
        assert found is not None
        return found

    async def answer(self, conversation_id: int, **how: Any) -> int:
        async with self.database.transaction() as transaction:
            return await answering.answer(
                transaction, conversation_id, author="lin", text="On its way.", **how
            )


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> House:
    async with database.transaction() as transaction:
        await queues.save(transaction, QueueRecord("sales", "600", {"en": "Sales"}))
        await queues.save(transaction, QueueRecord("service", "601", {"en": "Service"}))
        await agents.save(transaction, login="lin", display_name="Lin")
    return House(database, Inbox(database, AttachmentFiles(tmp_path), default_queue="service"))


@pytest.fixture
async def wang(house: House) -> int:
    return await house.customer(
        (ContactKind.MAIL, MAIL), (ContactKind.PHONE, PHONE), (ContactKind.MESSENGER, WECHAT)
    )


def web(customer_id: int) -> tuple[Channel, str]:
    return Channel.WEB, f"customer:{customer_id}"


async def test_begun_by_mail_it_goes_on_by_sms_and_in_the_hall(house: House, wang: int) -> None:
    begun = await house.receive(
        Channel.MAIL, MAIL, subject="My order", our_address="service@mall.example", queue="sales"
    )
    async with house.database.transaction() as transaction:
        await conversations.assign(transaction, begun.id, "lin", actor="lin")
    by_sms = await house.receive(Channel.SMS, PHONE, our_address="+8621000000")
    assert (by_sms.id, by_sms.customer_id, by_sms.subject) == (begun.id, wang, "My order")
    assert (by_sms.queue, by_sms.assigned_to) == ("sales", "lin")
    assert by_sms.first_answer_due_at == begun.first_answer_due_at
    assert by_sms.resolution_due_at == begun.resolution_due_at
    await house.answer(begun.id)
    await house.answer(begun.id, channel=Channel.MAIL)
    short, letter = await outbox.waiting(house.database)
    assert (short.channel, short.recipient) == (Channel.SMS, PHONE)
    assert short.our_address == "+8621000000"
    assert (letter.channel, letter.recipient) == (Channel.MAIL, MAIL)
    in_hall = await house.receive(*web(wang), customer_id=wang)
    assert (in_hall.id, in_hall.channel, in_hall.our_address) == (begun.id, Channel.WEB, "")
    # They wrote from there before, and that is what it is about, however long ago.
    house.at += timedelta(days=10)
    assert (await house.receive(Channel.SMS, PHONE)).id == begun.id


async def test_a_mail_and_a_chat_without_a_thread_begin_new_ones(house: House, wang: int) -> None:
    by_sms = await house.receive(Channel.SMS, PHONE)
    by_mail = await house.receive(Channel.MAIL, MAIL, subject="Something else")
    chat = await house.receive(Channel.CHAT, "visitor-1", customer_id=wang)
    assert len({by_sms.id, by_mail.id, chat.id}) == 3
    # Each address goes on with its own, the others with the newest.
    assert (await house.receive(Channel.SMS, PHONE)).id == by_sms.id
    assert (await house.receive(Channel.CHAT, "visitor-1", customer_id=wang)).id == chat.id
    assert (await house.receive(Channel.MESSENGER, WECHAT)).id == chat.id


@pytest.mark.parametrize("state", [ConversationState.CLOSED, ConversationState.SPAM])
async def test_what_is_settled_or_spam_is_not_gone_on_with(
    house: House, wang: int, state: ConversationState
) -> None:
    begun = await house.receive(Channel.MAIL, MAIL)
    settle = conversations.close if state is ConversationState.CLOSED else conversations.mark_spam
    async with house.database.transaction() as transaction:
        await settle(transaction, begun.id, actor="lin")
    assert (await house.receive(Channel.SMS, PHONE)).id != begun.id


async def test_who_has_something_open_does_not_open_the_settled_again(
    house: House, wang: int
) -> None:
    settled = await house.receive(Channel.SMS, PHONE)
    async with house.database.transaction() as transaction:
        await conversations.close(transaction, settled.id, actor="lin")
    by_mail = await house.receive(Channel.MAIL, MAIL)
    assert (await house.receive(Channel.SMS, PHONE)).id == by_mail.id


@pytest.mark.parametrize(("days", "goes_on"), [(2, True), (4, False)])
async def test_a_matter_without_a_word_for_long_is_another(
    house: House, wang: int, days: int, goes_on: bool
) -> None:
    begun = await house.receive(Channel.MAIL, MAIL)
    house.at += timedelta(days=days)
    assert ((await house.receive(Channel.SMS, PHONE)).id == begun.id) is goes_on


async def test_what_is_put_off_is_taken_up_again(house: House, wang: int) -> None:
    begun = await house.receive(Channel.MAIL, MAIL)
    async with house.database.transaction() as transaction:
        await conversations.snooze(
            transaction, begun.id, datetime.now(UTC) + timedelta(days=1), actor="lin"
        )
    by_sms = await house.receive(Channel.SMS, PHONE)
    assert (by_sms.id, by_sms.state) == (begun.id, ConversationState.OPEN)


async def test_a_number_of_several_takes_nothing_along(house: House, wang: int) -> None:
    await house.customer((ContactKind.PHONE, PHONE))
    begun = await house.receive(Channel.MAIL, MAIL)
    shared = await house.receive(Channel.SMS, PHONE)
    assert shared.id != begun.id
    assert shared.customer_id is None


async def test_an_automatic_message_takes_nothing_along(house: House, wang: int) -> None:
    begun = await house.receive(Channel.MAIL, MAIL)
    sent_by_itself = await house.receive(Channel.SMS, PHONE, automatic="auto_reply")
    assert sent_by_itself.id != begun.id


async def test_a_number_that_has_another_owner_now_begins_anew(house: House, wang: int) -> None:
    begun = await house.receive(Channel.SMS, PHONE)
    assert begun.customer_id == wang
    async with house.database.transaction() as transaction:
        await transaction.session.execute(delete(ContactPoint).where(ContactPoint.value == PHONE))
    other = await house.customer((ContactKind.PHONE, PHONE))
    anew = await house.receive(Channel.SMS, PHONE)
    assert (anew.id != begun.id, anew.customer_id) == (True, other)


async def test_two_messages_at_once_on_two_channels_begin_one(house: House, wang: int) -> None:
    one, other = await asyncio.gather(
        house.receive(Channel.SMS, PHONE), house.receive(Channel.MESSENGER, WECHAT)
    )
    assert one.id == other.id


async def test_a_chat_is_answered_in_the_chat_while_they_are_there_only(
    house: House, wang: int
) -> None:
    chat = await house.receive(Channel.CHAT, "visitor-1", customer_id=wang)
    await house.answer(chat.id, channel=Channel.CHAT)
    assert (await house.receive(Channel.SMS, PHONE)).id == chat.id
    with pytest.raises(answering.CannotAnswer) as refused:
        await house.answer(chat.id, channel=Channel.CHAT)
    assert refused.value.why == "no_channel"
    await house.receive(Channel.CHAT, "visitor-1", conversation_id=chat.id, customer_id=wang)
    await house.answer(chat.id, channel=Channel.CHAT)


async def test_joined_it_stays_with_who_has_it(house: House, wang: int) -> None:
    by_mail = await house.receive(Channel.MAIL, MAIL, our_address="service@mall.example")
    chat = await house.receive(Channel.CHAT, "visitor-1", customer_id=wang, queue="sales")
    async with house.database.transaction() as transaction:
        await conversations.assign(transaction, chat.id, "lin", actor="lin")
        await threads.merge(transaction, chat.id, by_mail.id, actor="lin")
    joined = await house.conversation(by_mail.id)
    assert (joined.assigned_to, joined.queue) == ("lin", by_mail.queue)
    assert (joined.channel, joined.our_address) == (Channel.CHAT, "")
    assert joined.resolution_due_at == by_mail.resolution_due_at


STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(
            ["sms", "messenger", "hall", "mail", "reply", "chat", "close", "answer",
             "merge", "days"]
        ),
        st.integers(0, 20),
    ),
    min_size=2,
    max_size=25,
)  # fmt: skip


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
async def test_no_message_of_one_is_in_a_conversation_of_the_other(
    house: House, steps: list[tuple[int, str, int]]
) -> None:
    """Whatever the order over all channels, also with references to the other's mails."""
    story = next(_numbers)
    people = []
    for who in (0, 1):
        mail, phone = f"p{story}.{who}@example.com", f"+86138{story:07d}{who}"
        person = await house.customer(
            (ContactKind.MAIL, mail), (ContactKind.PHONE, phone), (ContactKind.MESSENGER, mail)
        )
        people.append((person, mail, phone))
    owners: dict[int, set[int]] = {}
    mails: list[str] = []
    for step, (who, what, which) in enumerate(steps):
        person, mail, phone = people[who]
        known = sorted(owners)
        about = known[which % len(known)] if known else None
        if what == "days":
            house.at += timedelta(days=which)
        elif what in ("close", "answer", "merge"):
            if about is None or (await house.conversation(about)).merged_into is not None:
                continue
            if what == "answer":
                await house.answer(about)
                continue
            async with house.database.transaction() as transaction:
                if what == "close":
                    await conversations.close(transaction, about, actor="lin")
                elif owners[known[0]] == owners[about] and known[0] != about:
                    await threads.merge(transaction, about, known[0], actor="lin")
                    owners[known[0]] |= owners[about]
        else:
            values: dict[str, Any] = {}
            channel, sender = Channel.SMS, phone
            if what == "messenger":
                channel, sender = Channel.MESSENGER, mail
            elif what == "hall":
                (channel, sender), values = web(person), {"customer_id": person}
            elif what == "chat":
                channel, sender = Channel.CHAT, f"visitor-{story}{who}{which}"
                values = {"customer_id": person}
            elif what in ("mail", "reply"):
                channel, sender = Channel.MAIL, mail
                mails.append(f"<{story}.{step}@example.com>")
                values = {"message_id": mails[-1]}
                if what == "reply":
                    values["reply_to"] = [mails[which % len(mails)]]
            received = await house.receive(channel, sender, **values)
            assert received.customer_id == person
            owners.setdefault(received.id, set()).add(person)
    assert all(len(found) == 1 for found in owners.values())
    ours = {person: (mail, phone, f"customer:{person}") for person, mail, phone in people}
    async with house.database.reading() as session:
        written = await session.execute(
            select(Message.conversation_id, Message.sender).where(
                Message.sender.in_([address for found in ours.values() for address in found])
            )
        )
    for conversation_id, sender in written:
        customer_id = (await house.conversation(conversation_id)).customer_id
        assert customer_id is not None
        assert sender in ours[customer_id]
