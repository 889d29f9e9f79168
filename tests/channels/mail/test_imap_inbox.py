"""A mailbox at Debian's Dovecot."""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from channels.incoming import Incoming, Received
from channels.mail.imap_inbox import ImapInbox, Mailbox
from channels.mail.intake import MailIntake
from crm_store.database import Database
from tests.channels.mail.dovecot import PASSWORD, Dovecot
from tests.channels.mail.written import inbound, mail, until, until_inbound

pytestmark = pytest.mark.db

_users = itertools.count()


@pytest.fixture
def user() -> str:
    return f"user{next(_users)}"


class Account:
    """The mailbox as another mail program sees it."""

    def __init__(self, dovecot: Dovecot, user: str) -> None:
        self.dovecot, self.user = dovecot, user

    def _box(self) -> imaplib.IMAP4:
        box = imaplib.IMAP4("127.0.0.1", self.dovecot.port)
        box.login(self.user, PASSWORD)
        box.select()
        return box

    async def put(self, *mails: bytes, flags: str = "") -> None:
        def put() -> None:
            box = self._box()
            for content in mails:
                said = box.append("INBOX", flags, "", content)
                assert said[0] == "OK", said
            box.logout()

        await asyncio.to_thread(put)

    async def found(self, wanted: str) -> int:
        def search() -> int:
            box = self._box()
            _, lines = box.search(None, wanted)
            box.logout()
            return len(lines[0].split())

        return await asyncio.to_thread(search)

    async def all_read(self) -> bool:
        return await self.found("UNSEEN") == 0

    def mailbox(self, **settings: object) -> Mailbox:
        return Mailbox(
            **{  # type: ignore[arg-type]
                "host": self.dovecot.host,
                "port": self.dovecot.tls_port,
                "trust": self.dovecot.trust,
                "user": self.user,
                "password": PASSWORD,
                **settings,
            }
        )


@pytest.fixture
def account(dovecot: Dovecot, user: str) -> Account:
    return Account(dovecot, user)


@asynccontextmanager
async def watching(mailbox: Mailbox, intake: MailIntake) -> AsyncIterator[ImapInbox]:
    inbox = ImapInbox(mailbox, intake)
    task = asyncio.create_task(inbox.run())
    try:
        yield inbox
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_mail_arrives_while_we_wait(
    account: Account, intake: MailIntake, sqlite_database: Database
) -> None:
    async with watching(account.mailbox(), intake) as inbox:
        await until(lambda: _is(inbox.is_connected))
        for number in range(3):
            await account.put(mail(number))
            await until_inbound(sqlite_database, number + 1)
        await until(account.all_read)
    assert await account.found("ALL") == 3


async def _is(value: bool) -> bool:
    return value


@pytest.mark.parametrize("encryption", ["starttls", "none"])
async def test_starttls_and_without(
    account: Account, intake: MailIntake, sqlite_database: Database, encryption: str
) -> None:
    await account.put(mail())
    mailbox = account.mailbox(port=account.dovecot.port, encryption=encryption)
    async with watching(mailbox, intake):
        await until_inbound(sqlite_database, 1)


async def test_a_certificate_that_nobody_vouches_for(account: Account, intake: MailIntake) -> None:
    async with watching(account.mailbox(trust=""), intake) as inbox:
        await until(lambda: _is("Cert" in inbox.error or "SSL" in inbox.error))
        assert not inbox.is_connected


async def test_a_wrong_password_is_told_and_tried_again_later(
    account: Account, intake: MailIntake
) -> None:
    async with watching(account.mailbox(password="no"), intake) as inbox:
        await until(lambda: _is(bool(inbox.error)))
        assert inbox.error == "the server refuses the login"
        assert "no" not in repr(account.mailbox(password="secret-no"))


async def test_a_thousand_wait(account: Account, sqlite_database: Database) -> None:
    came: list[str] = []

    async def receive(incoming: Incoming) -> Received:
        came.append(incoming.message_id)
        return Received(len(came), 1, True)

    intake = MailIntake(receive, sqlite_database, our_addresses=[])
    await account.put(*(mail(number) for number in range(1_000)))
    async with watching(account.mailbox(), intake):
        await until(account.all_read)
    assert came == [f"<{number}@customers.example>" for number in range(1_000)]


async def test_what_was_read_before_is_left_alone_and_what_others_read_now_is_not(
    account: Account, intake: MailIntake, sqlite_database: Database
) -> None:
    await account.put(mail("old"), flags=r"(\Seen)")
    async with watching(account.mailbox(), intake) as inbox:
        await until(lambda: _is(inbox.is_connected))
        await account.put(mail("new"), flags=r"(\Seen)")
        found = await until_inbound(sqlite_database, 1)
    assert found[0].message_id == "<new@customers.example>"


async def test_the_same_mail_twice_is_one(
    account: Account, intake: MailIntake, sqlite_database: Database
) -> None:
    await account.put(mail(1), mail(1), mail(2))
    async with watching(account.mailbox(), intake):
        await until(account.all_read)
    assert len(await inbound(sqlite_database)) == 2


class _Way:
    """A TCP way to the server that can be cut in the middle of what it carries."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._carried = 0
        self.cut_after = 10**9
        self.cuts = 0
        self.port = 0
        self._open: list[asyncio.StreamWriter] = []
        self._carrying: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        self._open = []

    async def __aenter__(self) -> _Way:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        if self._carrying:
            await asyncio.wait(self._carrying)
        await self._server.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        there, thither = await asyncio.open_connection("127.0.0.1", self._to)
        self._open += [writer, thither]

        async def pump(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
            while data := await source.read(1_000):
                self._carried += len(data)
                if self._carried > self.cut_after:
                    self.cuts, self._carried = self.cuts + 1, 0
                    break
                to.write(data)
                await to.drain()
            writer.transport.abort()
            thither.transport.abort()

        await asyncio.gather(pump(reader, thither), pump(there, writer), return_exceptions=True)


async def test_a_line_that_is_cut_again_and_again_loses_nothing(
    account: Account, intake: MailIntake, sqlite_database: Database
) -> None:
    await account.put(*(mail(number, text="x" * 300) for number in range(120)))
    async with _Way(account.dovecot.port) as way:
        way.cut_after = 31_000
        mailbox = account.mailbox(
            host="127.0.0.1", port=way.port, encryption="none", longest_wait_s=0.1
        )
        async with watching(mailbox, intake):
            found = await until_inbound(sqlite_database, 120)
            way.cut_after = 10**9
            await until(account.all_read)
    assert way.cuts
    assert len({row.message_id for row in found}) == 120


async def test_a_mailbox_that_was_made_anew(
    account: Account, intake: MailIntake, sqlite_database: Database
) -> None:
    await account.put(*(mail(number) for number in range(5)))
    async with _Way(account.dovecot.port) as way:
        mailbox = account.mailbox(
            host="127.0.0.1", port=way.port, encryption="none", longest_wait_s=0.1
        )
        async with watching(mailbox, intake):
            await until_inbound(sqlite_database, 5)
            await until(account.all_read)
            way.cut()
            account.dovecot.make_anew(account.user)
            # Its numbers begin at 1 again: those of mails that we have taken.
            await account.put(mail("other"))
            found = await until_inbound(sqlite_database, 6)
    assert found[-1].message_id == "<other@customers.example>"


async def test_stored_before_it_is_marked_as_read(
    account: Account, intake: MailIntake, sqlite_database: Database
) -> None:
    unread_then: list[int] = []

    async def receive(incoming: Incoming) -> Received:
        received = await original(incoming)
        unread_then.append(await account.found("UNSEEN"))
        return received

    original = intake._receive
    watched = MailIntake(receive, sqlite_database, our_addresses=intake.our_addresses)
    await account.put(mail())
    async with watching(account.mailbox(), watched):
        await until(account.all_read)
    assert unread_then == [1]


async def test_a_store_that_is_away_leaves_the_mail_unread_and_others_go_on(
    account: Account, intake: MailIntake, sqlite_database: Database
) -> None:
    refused: list[str] = []

    async def receive(incoming: Incoming) -> Received:
        if incoming.message_id == "<1@customers.example>" and len(refused) < 2:
            refused.append(incoming.message_id)
            raise OSError("the disk is full")
        return await intake._receive(incoming)

    failing = MailIntake(receive, sqlite_database, our_addresses=intake.our_addresses)
    await account.put(*(mail(number) for number in range(3)))
    async with watching(account.mailbox(renew_s=0.1), failing):
        found = await until_inbound(sqlite_database, 3)
        await until(account.all_read)
    assert [row.message_id[1] for row in found] == ["0", "2", "1"]


async def test_what_cannot_be_stored_as_it_is_is_kept_raw(
    account: Account, intake: MailIntake, sqlite_database: Database
) -> None:
    async def receive(incoming: Incoming) -> Received:
        if incoming.text:
            raise ValueError("something in it")
        return await intake._receive(incoming)

    failing = MailIntake(receive, sqlite_database, our_addresses=intake.our_addresses)
    await account.put(mail())
    async with watching(account.mailbox(), failing):
        found = await until_inbound(sqlite_database, 1)
        await until(account.all_read)
    assert found[0].problems == ["unreadable"]
    assert found[0].raw_file
    assert found[0].sender == "anna@customers.example"


class _Server:
    """IMAP of a server that has no IDLE, or does what none should."""

    def __init__(self, mails: Sequence[bytes], *, damaged: int = 0) -> None:
        self._mails = list(mails)
        self._damaged = damaged
        self.seen: set[int] = set()
        self.fetched = 0
        self.port = 0
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> _Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        if self._serving:
            await asyncio.wait(self._serving)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        writer.write(b"* OK here\r\n")
        while line := await reader.readline():
            tag, _, command = line.strip().partition(b" ")
            writer.write(self._answer(command) + tag + self._result(command))
            await writer.drain()
        writer.close()

    def _uids(self, command: bytes) -> list[int]:
        return [int(uid) for uid in command.split()[2].split(b",")]

    def _result(self, command: bytes) -> bytes:
        if b"BODY" in command and self._damaged in self._uids(command):
            return b" NO damaged\r\n"
        return b" OK done\r\n"

    def _answer(self, command: bytes) -> bytes:
        everything = range(1, len(self._mails) + 1)
        if command.startswith(b"CAPABILITY"):
            return b"* CAPABILITY IMAP4rev1\r\n"
        if command.startswith(b"SELECT"):
            return b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n"
        if b"SEARCH UNSEEN" in command:
            unseen = " ".join(str(uid) for uid in everything if uid not in self.seen)
            return f"* SEARCH {unseen}\r\n".encode()
        if b"SEARCH UID" in command:
            return b"* SEARCH 3\r\n"
        if b"STORE" in command:
            self.seen |= set(self._uids(command))
        if b"RFC822.SIZE" in command:
            return b"".join(
                b"* %d FETCH (RFC822.SIZE %d UID %d)\r\n" % (uid, len(self._mails[uid - 1]), uid)
                for uid in self._uids(command)
            )
        if b"BODY" in command and self._damaged not in self._uids(command):
            self.fetched += 1
            # The number behind the mail, and news of flags between two.
            return b"".join(
                b"* %d FETCH (BODY[]<0> {%d}\r\n%s UID %d)\r\n* 1 FETCH (FLAGS (\\Seen))\r\n"
                % (uid, len(self._mails[uid - 1]), self._mails[uid - 1], uid)
                for uid in self._uids(command)
            )
        return b""


def _mailbox_at(port: int) -> Mailbox:
    return Mailbox(
        host="127.0.0.1", port=port, encryption="none", user="a", password="b", poll_s=0.02
    )


async def test_a_server_without_idle_is_asked_again_and_again(
    intake: MailIntake, sqlite_database: Database
) -> None:
    async with (
        _Server([mail(1), mail(2)]) as server,
        watching(_mailbox_at(server.port), intake),
    ):
        await until_inbound(sqlite_database, 2)
        server._mails.append(mail(3))
        await until_inbound(sqlite_database, 3)
        await until(lambda: _is(server.seen == {1, 2, 3}))


async def test_a_mail_that_the_server_cannot_give_is_not_tried_for_ever(
    intake: MailIntake, sqlite_database: Database
) -> None:
    async with (
        _Server([mail(1), mail(2), mail(3)], damaged=2) as server,
        watching(_mailbox_at(server.port), intake) as inbox,
    ):
        await until_inbound(sqlite_database, 2)
        for number in range(4, 10):
            server._mails.append(mail(number))
            await until_inbound(sqlite_database, number - 1)
        await until(lambda: _is(inbox._failures == {2: 5}))
    assert 2 not in server.seen
