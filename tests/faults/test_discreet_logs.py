"""The most talkative log has no customer's data in it, not even when the database refuses them."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from channels.answering import answer
from channels.attachments import AttachmentFiles
from channels.inbox import Inbox
from channels.mail.intake import MailIntake
from channels.mail.letters import Letterhead
from channels.mail.mail_sender import MailSender, SmtpServer
from channels.mail.smtp_inbox import SmtpInbox
from channels.outbox import Outbox
from channels.sms.twilio_webhooks import message_in
from crm_store.contacts import outbox
from crm_store.database import Database
from crm_store.models import Channel, ContactKind, Customer, MessageState, OutboxMessage, Purpose
from crm_store.people import customers
from crm_store.people.customers import ContactWay, NewCustomer
from deskbell import log
from deskbell.outside.mailbox import CustomersMailbox
from deskbell.settings import LogSettings
from tests.store_fixtures import (
    database,
    database_url,
    open_database,
    postgresql_server,
    sqlite_template,
)

pytestmark = pytest.mark.db
__all__ = ["database", "database_url", "open_database", "postgresql_server", "sqlite_template"]

NAME = "Petronella Unverwechselbar"
NUMBER = "+442079460999"


@pytest.fixture(params=["text", "json"])
def talkative(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """The service's own log at DEBUG, and what it writes."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hushed = {name: logging.getLogger(name).level for name in ("aiosqlite", "alembic")}
    log.set_up(LogSettings.model_validate({"level": "DEBUG", "format": request.param}))
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    handler.setStream(written)
    yield written
    root.handlers[:], root.level = handlers, level
    for name, former in hushed.items():
        logging.getLogger(name).setLevel(former)


async def test_no_customers_data_at_debug(database: Database, talkative: io.StringIO) -> None:
    new = NewCustomer(NAME, "en", contact_points=[ContactWay(ContactKind.PHONE, NUMBER)])
    async with database.transaction() as transaction:
        number = await customers.create(transaction, new, actor="import")
    # The same row once more: the database says what it refuses.
    try:
        async with database.transaction() as transaction:
            row = {"id": number, "name": NAME, "name_folded": NAME, "language": "en"}
            await transaction.session.execute(insert(Customer).values(row))
    except IntegrityError:
        logging.getLogger("deskbell.test").exception("refused")
    said = talkative.getvalue()
    assert "refused" in said
    assert "IntegrityError" in said
    for secret in (NAME, NUMBER, "DETAIL", "[parameters"):
        assert secret not in said


SHOP = "service@mall.example"
WRITER = "petronella@customers.example"
SAID = "my armchair is unmistakeable"
ANSWERED = "your answer is nobody else's"
CODE = "471108"


async def test_no_channel_says_what_was_written_or_by_whom(
    database: Database, talkative: io.StringIO, tmp_path: Path
) -> None:
    """In by SMTP and by SMS, out to a server that refuses with the address in its words."""
    inbox = Inbox(database, AttachmentFiles(tmp_path / "files"), own_addresses=[SHOP])
    smtp = SmtpInbox(MailIntake(inbox.receive, database, our_addresses=[SHOP]))
    refusing = CustomersMailbox(refuse=lambda recipient: f"550 5.1.1 {recipient} is unknown")
    await smtp.start()
    await refusing.start()
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = f"{NAME} <{WRITER}>", SHOP, SAID
    mail.set_content(SAID)
    mail.add_attachment(b"PK\x03\x04 damaged", maintype="a", subtype="b", filename=f"{SAID}.zip")
    for to in (SHOP, "nobody@mall.example"):
        try:
            await aiosmtplib.send(
                mail.as_bytes() + b"\xff\xfe",
                sender=WRITER,
                recipients=[to],
                hostname="127.0.0.1",
                port=smtp.port,
                start_tls=False,
            )
        except aiosmtplib.SMTPRecipientsRefused:
            assert to != SHOP
    fields = {"MessageSid": "SM" + "0" * 32, "From": NUMBER, "To": "+862155550600", "Body": SAID}
    received = await inbox.receive(message_in(fields))
    [(by_mail,)] = await database.fetch("SELECT id FROM conversations WHERE channel = 'mail'")
    assert by_mail != received.conversation_id
    async with database.transaction() as transaction:
        await answer(transaction, by_mail, author="lin", text=ANSWERED)
        await outbox.write(
            transaction,
            channel=Channel.MAIL,
            to=WRITER,
            text=CODE,
            purpose=Purpose.CODE,
            is_secret=True,
        )
    server = SmtpServer(host="127.0.0.1", port=refusing.port, encryption="none")
    sender = MailSender(server, lambda: Letterhead(house="Mall", address=SHOP))
    carrying = asyncio.create_task(
        Outbox(database, AttachmentFiles(tmp_path / "files"), {Channel.MAIL: sender}).run()
    )
    states: set[MessageState] = set()
    while states != {MessageState.FAILED}:
        await asyncio.sleep(0.05)
        async with database.reading() as session:
            states = set(await session.scalars(select(OutboxMessage.state)))
    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)
    await smtp.stop()
    await refusing.stop()
    await inbox.close()
    said = talkative.getvalue()
    for secret in (NAME, NUMBER, WRITER, SAID, ANSWERED, CODE, "petronella", "2079460999"):
        assert secret not in said, said
