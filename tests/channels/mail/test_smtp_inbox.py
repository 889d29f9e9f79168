"""The embedded SMTP inbox, as other servers find it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosmtplib
import pytest

from channels.incoming import Incoming, Received
from channels.mail.intake import MailIntake
from channels.mail.smtp_inbox import Limits, SmtpInbox
from crm_store.database import Database
from crm_store.models import Conversation
from tests.channels.mail.conftest import SHOP
from tests.channels.mail.dovecot import make_certificate
from tests.channels.mail.written import inbound, mail

pytestmark = pytest.mark.db

ANNA = "anna@customers.example"


@asynccontextmanager
async def listening(
    intake: MailIntake, limits: Limits | None = None, certificate: Path | None = None
) -> AsyncIterator[SmtpInbox]:
    inbox = SmtpInbox(intake, limits=limits, certificate=certificate)
    await inbox.start()
    try:
        yield inbox
    finally:
        await inbox.stop()


def client(inbox: SmtpInbox) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(hostname="127.0.0.1", port=inbox.port, start_tls=False, timeout=20)


async def test_it_is_stored_when_its_sender_hears_so(
    intake: MailIntake, sqlite_database: Database
) -> None:
    async with listening(intake) as inbox, client(inbox) as server:
        for _ in range(2):
            await server.sendmail(ANNA, SHOP, mail())
            found = await inbound(sqlite_database)
            assert [row.text for row in found] == ["Do you have it in red?"]
        assert (found[0].sender, found[0].sender_name) == (ANNA, "Anna")


async def test_a_store_that_is_away_leaves_the_mail_with_its_sender(
    intake: MailIntake, sqlite_database: Database
) -> None:
    async def receive(incoming: Incoming) -> Received:
        raise OSError("the disk is full")

    away = MailIntake(receive, sqlite_database, our_addresses=[SHOP])
    async with listening(away) as inbox, client(inbox) as server:
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await server.sendmail(ANNA, SHOP, mail())
    assert refused.value.code == 451
    assert "disk" not in refused.value.message
    assert not await inbound(sqlite_database)


async def test_only_our_own_addresses(intake: MailIntake, sqlite_database: Database) -> None:
    async with listening(intake) as inbox, client(inbox) as server:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await server.sendmail(ANNA, "somebody@elsewhere.example", mail())
        await server.sendmail(ANNA, [SHOP.upper(), "x@elsewhere.example"], mail())
    assert len(await inbound(sqlite_database)) == 1


async def test_a_blind_copy_is_known_by_where_it_was_delivered(
    intake: MailIntake, sqlite_database: Database
) -> None:
    content = mail().replace(b"To: service@mall.example", b"To: everybody@elsewhere.example")
    async with listening(intake) as inbox, client(inbox) as server:
        await server.sendmail(ANNA, "orders@mall.example", content)
    async with sqlite_database.reading() as session:
        conversation = await session.get(Conversation, 1)
    assert conversation is not None
    assert conversation.our_address == "orders@mall.example"


async def test_a_bounce_has_no_sender_and_long_lines_are_taken(
    intake: MailIntake, sqlite_database: Database
) -> None:
    async with listening(intake) as inbox, client(inbox) as server:
        await server.sendmail("", SHOP, mail(text="x" * 5_000))
    found = await inbound(sqlite_database)
    assert found[0].automatic == "auto_reply"
    assert found[0].text == "x" * 5_000


async def test_what_is_too_large_is_refused_before_it_is_read_and_while(
    intake: MailIntake, sqlite_database: Database
) -> None:
    async with listening(intake, Limits(mail_bytes=10_000)) as inbox, client(inbox) as server:
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as refused:
            await server.sendmail(ANNA, SHOP, mail(text="x " * 10_000))
        assert refused.value.code == 552
        await server.rset()
        await server.mail(ANNA)
        await server.rcpt(SHOP)
        with pytest.raises(aiosmtplib.SMTPDataError) as late:
            await server.data(mail(text="x\r\n" * 10_000))
        assert late.value.code == 552
        await server.sendmail(ANNA, SHOP, mail())
    assert len(await inbound(sqlite_database)) == 1


async def test_starttls_with_a_certificate(
    intake: MailIntake, sqlite_database: Database, tmp_path: Path
) -> None:
    certificate = tmp_path / "server.pem"
    make_certificate(certificate)
    async with listening(intake, certificate=certificate) as inbox:
        server = aiosmtplib.SMTP(
            hostname="localhost",
            port=inbox.port,
            start_tls=True,
            cert_bundle=str(certificate),
            timeout=20,
        )
        async with server:
            assert "auth" not in server.esmtp_extensions
            await server.sendmail(ANNA, SHOP, mail())
    assert len(await inbound(sqlite_database)) == 1


async def test_one_peer_has_only_so_many_connections(intake: MailIntake) -> None:
    async with listening(intake, Limits(connections_of_one=2)) as inbox:
        async with client(inbox), client(inbox) as second:
            with pytest.raises((aiosmtplib.SMTPConnectError, aiosmtplib.SMTPServerDisconnected)):
                await client(inbox).connect()
            await second.noop()
        # Who went makes room.
        async with client(inbox) as server:
            await server.noop()


async def test_a_mail_that_drips_is_ended_and_one_that_is_cut_is_not_stored(
    intake: MailIntake, sqlite_database: Database
) -> None:
    async with listening(intake, Limits(idle_s=0.5)) as inbox:
        reader, writer = await asyncio.open_connection("127.0.0.1", inbox.port)
        await reader.readline()
        for line in (b"HELO x", b"MAIL FROM:<a@b.example>", b"RCPT TO:<" + SHOP.encode() + b">"):
            writer.write(line + b"\r\n")
            assert (await reader.readline()).startswith(b"250")
        writer.write(b"DATA\r\n")
        assert (await reader.readline()).startswith(b"354")

        async def drip() -> None:
            while True:
                writer.write(b"x\r\n")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1)
        dripping.cancel()
        writer.close()
    assert not await inbound(sqlite_database)


async def test_commands_without_end_are_ended(intake: MailIntake) -> None:
    async with listening(intake) as inbox:
        server = client(inbox)
        await server.connect()
        answers = 0
        while (await server.execute_command(b"NOOP")).code == 250:
            answers += 1
        assert 0 < answers < 100
        server.close()


async def test_stopping_does_not_wait_for_idle_peers(intake: MailIntake) -> None:
    inbox = SmtpInbox(intake)
    await inbox.start()
    servers = [client(inbox) for _ in range(3)]
    for server in servers:
        await server.connect()
    await inbox.stop()
    for server in servers:
        server.close()
