"""From mails to conversations and back, on both databases: threads, reports, loops."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select

from channels.answering import answer
from channels.attachments import AttachmentFiles
from channels.inbox import Inbox
from channels.incoming import Received
from channels.mail.intake import MailIntake
from channels.mail.letters import Letterhead, compose
from channels.mail.parsing import read_message
from channels.senders import Outgoing
from crm_store.contacts import inbox_rules, sending
from crm_store.database import Database
from crm_store.knowledge import canned_texts
from crm_store.models import (
    Channel,
    ContactKind,
    ContactPoint,
    Message,
    MessageState,
    OptOut,
    OutboxMessage,
    Purpose,
    RuleMoment,
)
from crm_store.people import customers
from crm_store.people.customers import ContactWay, NewCustomer
from tests.channels.mail.conftest import SHOP
from tests.channels.mail.written import inbound, mail

pytestmark = pytest.mark.db

MAILS = Path(__file__).parent / "mails"
ANNA, BOB = "anna@customers.example", "bob@customers.example"
HEAD = Letterhead(house="Mall", address=SHOP)


@pytest.fixture
def intake(database: Database, tmp_path: Path) -> MailIntake:
    inbox = Inbox(database, AttachmentFiles(tmp_path / "files"), own_addresses=[SHOP])
    return MailIntake(inbox.receive, database, our_addresses=[SHOP])


async def answered(database: Database, received: Received, text: str = "Yes.") -> OutboxMessage:
    """An agent's answer, as the server took it."""
    async with database.transaction() as transaction:
        message_id = await answer(transaction, received.conversation_id, author="lin", text=text)
    async with database.reading() as session:
        row = (
            await session.scalars(
                select(OutboxMessage).where(OutboxMessage.message_id == message_id)
            )
        ).one()
        ours = await session.get(Message, message_id)
    assert ours is not None
    async with database.transaction() as transaction:
        await sending.claim(transaction, Channel.MAIL, "test", limit=10, lease_s=60)
        await sending.accepted(
            transaction, [sending.AcceptedMessage(id=row.id, provider_id=ours.message_id)]
        )
    row.provider_id = ours.message_id
    return row


def letter_of(row: OutboxMessage) -> bytes:
    return compose(
        Outgoing(
            id=row.id,
            channel=Channel.MAIL,
            to=row.recipient,
            text=row.text,
            subject=row.subject,
            headers=row.headers,
            our_address=row.our_address,
            idempotency_key=row.idempotency_key,
            message_id=row.provider_id,
            purpose=row.purpose,
        ),
        HEAD,
    ).content


async def test_a_thread_goes_on_and_the_letter_stands_in_it(
    intake: MailIntake, database: Database
) -> None:
    first = await intake.take(mail(1))
    row = await answered(database, first)
    letter = read_message(letter_of(row))
    assert letter["In-Reply-To"] == "<1@customers.example>"
    assert letter["Subject"] == "Re: A question"
    assert letter["From"] == f"Mall <{SHOP}>"
    back = await intake.take(mail(2, headers=f"In-Reply-To: {row.provider_id}\r\n"))
    assert back.conversation_id == first.conversation_id


async def test_two_customers_who_answer_one_newsletter_stay_two(
    intake: MailIntake, database: Database
) -> None:
    newsletter = "In-Reply-To: <newsletter@mall.example>\r\n"
    anna = await intake.take(mail(1, headers=newsletter))
    bob = await intake.take(mail(2, sender=BOB, headers=newsletter))
    assert anna.conversation_id != bob.conversation_id
    # Nor does one get into the other's by naming the mail that they were answered with.
    row = await answered(database, anna)
    eve = await intake.take(mail(3, sender=BOB, headers=f"In-Reply-To: {row.provider_id}\r\n"))
    assert eve.conversation_id != anna.conversation_id


async def test_what_comes_back_marks_its_address_and_its_row(
    intake: MailIntake, database: Database
) -> None:
    async with database.transaction() as transaction:
        await customers.create(
            transaction,
            NewCustomer("Anna", contact_points=[ContactWay(ContactKind.MAIL, ANNA)]),
            actor="test",
        )
    first = await intake.take(mail(1))
    row = await answered(database, first)
    report = (MAILS / "returned.eml").read_bytes()
    report = report.replace(b"<OURS@mall.example>", row.provider_id.encode())
    for _ in range(2):
        returned = await intake.take(report)
        # The agent sees it where the answer stands.
        assert returned.conversation_id == first.conversation_id
    async with database.reading() as session:
        found = await session.get(OutboxMessage, row.id)
        trouble = await session.scalar(select(ContactPoint.trouble))
    assert found is not None
    assert found.state is MessageState.FAILED
    assert "no such user" in found.error
    assert trouble == "bounced"


@pytest.mark.parametrize(
    ("change", "state", "trouble"),
    [
        ((b"Status: 5.1.1", b"Status: 5.2.2"), MessageState.FAILED, ""),
        ((b"Action: failed", b"Action: delayed"), MessageState.SENT, ""),
        ((b"<OURS@mall.example>", b"<guessed@mall.example>"), MessageState.SENT, ""),
    ],
)
async def test_what_says_less_marks_less(
    intake: MailIntake,
    database: Database,
    change: tuple[bytes, bytes],
    state: MessageState,
    trouble: str,
) -> None:
    async with database.transaction() as transaction:
        await customers.create(
            transaction,
            NewCustomer("Anna", contact_points=[ContactWay(ContactKind.MAIL, ANNA)]),
            actor="test",
        )
    row = await answered(database, await intake.take(mail(1)))
    report = (MAILS / "returned.eml").read_bytes().replace(*change)
    await intake.take(report.replace(b"<OURS@mall.example>", row.provider_id.encode()))
    async with database.reading() as session:
        found = await session.get(OutboxMessage, row.id)
        assert await session.scalar(select(ContactPoint.trouble)) == trouble
    assert found is not None
    assert found.state is state


async def test_who_complains_gets_no_more_promotions(
    intake: MailIntake, database: Database
) -> None:
    row = await answered(database, await intake.take(mail(1)))
    report = (MAILS / "complaint.eml").read_bytes()
    await intake.take(report.replace(b"<OURS@mall.example>", row.provider_id.encode()))
    async with database.reading() as session:
        gone = (await session.scalars(select(OptOut))).one()
    assert (gone.channel, gone.address, gone.subject) == (Channel.MAIL, ANNA, "promotions")


async def test_who_unsubscribes_by_mail_is_heard(intake: MailIntake, database: Database) -> None:
    for _ in range(2):
        await intake.take(mail(1, subject="Unsubscribe", text=""))
    async with database.reading() as session:
        gone = (await session.scalars(select(OptOut))).one()
    assert (gone.channel, gone.address, gone.subject) == (Channel.MAIL, ANNA, "promotions")


async def test_one_mail_twenty_times_at_once_is_one(intake: MailIntake, database: Database) -> None:
    taken = await asyncio.gather(*(intake.take(mail(1)) for _ in range(20)))
    assert len({received.message_id for received in taken}) == 1
    assert sum(received.is_new for received in taken) == 1
    assert len(await inbound(database)) == 1


async def test_two_houses_that_answer_by_themselves_stop(
    intake: MailIntake, database: Database
) -> None:
    """A rule answers every mail; the other side answers every mail too."""
    async with database.transaction() as transaction:
        await canned_texts.save(
            transaction,
            code="thanks",
            titles={"en": "Thanks"},
            texts={"en": "We have your mail."},
            actor="mei",
        )
        everything = inbox_rules.NewRule(
            name="thank everybody",
            moment=RuleMoment.RECEIVED,
            conditions=[],
            actions=[{"do": "answer", "value": "thanks"}],
            active=True,
        )
        await inbox_rules.add(transaction, everything, actor="mei")
    theirs = mail(1)
    for number in range(2, 12):
        await intake.take(theirs)
        async with database.reading() as session:
            row = (
                await session.scalars(select(OutboxMessage).order_by(OutboxMessage.id.desc()))
            ).first()
        assert row is not None
        row.provider_id = f"<{row.id}@mall.example>"
        assert read_message(letter_of(row))["Auto-Submitted"] == "auto-replied"
        # Theirs says nothing of being a machine's: the worst kind.
        thread = f"References: {row.provider_id}\r\n"
        theirs = mail(number, text="We have your mail.", headers=thread)
    async with database.reading() as session:
        automatic = await session.scalar(
            select(func.count()).where(OutboxMessage.purpose == Purpose.AUTOMATIC)
        )
    assert automatic == 1
