"""Mails handed to a real SMTP server (aiosmtpd), and to one that breaks off where it hurts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from channels.mail.letters import Letterhead
from channels.mail.mail_sender import MailSender, SmtpServer
from channels.senders import NotNow, Outgoing, OutgoingFile, Refused
from crm_store.models import Channel
from tests.channels.mail.dovecot import make_certificate

pytestmark = pytest.mark.db

HEAD = Letterhead(house="Mall", address="service@mall.example")


def outgoing(number: int = 1, **fields: Any) -> Outgoing:
    return Outgoing(
        **{
            "id": number,
            "channel": Channel.MAIL,
            "to": "anna@customers.example",
            "text": ".hidden\n..dots\n.\nend",
            "subject": "Hello",
            "idempotency_key": f"k{number}",
            "message_id": f"<k{number}@mall.example>",
            **fields,
        }
    )


class Server:
    """What aiosmtpd keeps, and says: `answers` are by command ("RCPT": "550 ...")."""

    def __init__(self, answers: dict[str, str] | None = None) -> None:
        self.answers = answers or {}
        self.mails: list[Envelope] = []
        self.connections = 0

    async def handle_MAIL(  # noqa: N802
        self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (answer := self.answers.get("RCPT", "250 OK")) == "250 OK":
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802
        if (answer := self.answers.get("DATA", "250 OK")) == "250 OK":
            self.mails.append(envelope)
        return answer


@asynccontextmanager
async def running(server: Server, **options: Any) -> AsyncIterator[int]:
    def connection() -> SMTP:
        server.connections += 1
        return SMTP(
            server,
            hostname="localhost",
            enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(),
            **options,
        )

    listening = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await listening.wait_closed()


@asynccontextmanager
async def sending(port: int, **server: Any) -> AsyncIterator[MailSender]:
    at = SmtpServer(**{"host": "127.0.0.1", "port": port, "encryption": "none", **server})
    sender = MailSender(at, lambda: HEAD)
    try:
        yield sender
    finally:
        await sender.close()


async def test_mails_go_over_one_connection_as_they_were_written() -> None:
    server = Server()
    async with running(server) as port, sending(port) as sender:
        for number in range(5):
            accepted = await sender.send(outgoing(number))
            assert accepted.provider_id == f"<k{number}@mall.example>"
    assert server.connections == 1
    assert [mail.rcpt_tos for mail in server.mails] == [["anna@customers.example"]] * 5
    content = server.mails[0].original_content or b""
    assert b"\r\n.hidden\r\n..dots\r\n.\r\nend\r\n" in content
    assert server.mails[0].mail_from == "service@mall.example"


async def test_several_at_once_have_connections_of_their_own() -> None:
    server = Server()
    async with running(server) as port, sending(port) as sender:
        await asyncio.gather(*(sender.send(outgoing(number)) for number in range(4)))
        await asyncio.gather(*(sender.send(outgoing(number)) for number in range(4, 8)))
    assert len(server.mails) == 8
    assert server.connections == 4


async def test_an_address_beyond_ascii() -> None:
    server = Server()
    async with running(server) as port, sending(port) as sender:
        await sender.send(outgoing(to="用户@例子.example"))
    assert server.mails[0].rcpt_tos == ["用户@xn--fsqu00a.example"]
    assert server.mails[0].smtp_utf8


@pytest.mark.parametrize(
    ("command", "answer", "bad_address"),
    [
        ("RCPT", "550 5.1.1 No such user", True),
        ("RCPT", "550 no such user", True),
        ("RCPT", "553 5.1.3 Bad address", True),
        ("RCPT", "552 5.2.2 Mailbox full", False),
        ("RCPT", "550 5.7.1 Not wanted here", False),
        ("MAIL", "550 5.1.8 Bad sender", False),
        ("DATA", "554 5.6.0 Not that", False),
    ],
)
async def test_what_is_refused_for_ever(command: str, answer: str, bad_address: bool) -> None:
    server = Server({command: answer})
    async with running(server) as port, sending(port) as sender:
        with pytest.raises(Refused) as refused:
            await sender.send(outgoing())
        assert refused.value.bad_address is bad_address
        assert refused.value.why.startswith(answer[:3])
        server.answers.clear()
        await sender.send(outgoing())
    assert server.connections == 1


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("MAIL", "451 4.3.0 Later"),
        ("RCPT", "450 4.2.0 Greylisted"),
        ("DATA", "452 4.3.1 Disk full"),
    ],
)
async def test_what_is_put_off(command: str, answer: str) -> None:
    server = Server({command: answer})
    async with running(server) as port, sending(port) as sender:
        with pytest.raises(NotNow) as put_off:
            await sender.send(outgoing())
        assert put_off.value.wait_s > 0
        server.answers.clear()
        await sender.send(outgoing())
    assert len(server.mails) == 1


async def test_nobody_there(unused_tcp_port: int) -> None:
    async with sending(unused_tcp_port) as sender:
        with pytest.raises(NotNow):
            await sender.send(outgoing())


async def test_starttls_and_a_login(tmp_path: Path) -> None:
    certificate = tmp_path / "server.pem"
    make_certificate(certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = Server()

    def knows(_: SMTP, __: Session, ___: Envelope, ____: str, given: Any) -> AuthResult:
        right = (given.login, given.password) == (b"mall", b"right")
        return AuthResult(success=right, handled=False)

    options = {"tls_context": context, "authenticator": knows, "auth_required": True}
    signed = {"host": "localhost", "encryption": "starttls", "user": "mall"}
    async with running(server, require_starttls=True, **options) as port:
        async with sending(port, **signed, password="right", trust=str(certificate)) as sender:
            await sender.send(outgoing())
        async with sending(port, **signed, password="wrong", trust=str(certificate)) as sender:
            with pytest.raises(NotNow, match="login"):
                await sender.send(outgoing())
        async with sending(port, **signed, password="right") as sender:
            with pytest.raises(NotNow, match="Cert"):
                await sender.send(outgoing())
    assert len(server.mails) == 1


# ---- a server that breaks off --------------------------------------------------------------------


@asynccontextmanager
async def breaking(after: Callable[[bytes], bool]) -> AsyncIterator[int]:
    """A server that says yes to everything, and is gone when `after` holds for what it read."""

    begun: list[tuple[asyncio.Task[None] | None, asyncio.StreamWriter]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.append((asyncio.current_task(), writer))
        writer.write(b"220 here\r\n")
        read, in_data = b"", False
        while data := await reader.read(65_536):
            read += data
            if after(read):
                break
            if in_data:
                continue
            in_data = b"DATA\r\n" in data
            writer.write(b"354 go on\r\n" if in_data else b"250 OK\r\n")
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task, writer in begun:
            writer.transport.abort()
            if task is not None:
                await asyncio.wait([task])
        await server.wait_closed()


@pytest.mark.parametrize("word", [b"EHLO", b"MAIL FROM", b"RCPT TO", b"DATA\r\n"])
async def test_gone_before_the_mail_nothing_was_accepted(word: bytes) -> None:
    async with breaking(lambda read: word in read) as port, sending(port) as sender:
        with pytest.raises(NotNow):
            await sender.send(outgoing())


async def test_gone_within_a_long_mail_nothing_was_accepted(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(b"film" * 4_000_000)
    film = OutgoingFile(name="film.mp4", media_type="video/mp4", path=tmp_path / "film")
    long = outgoing(files=[film])
    async with breaking(lambda read: len(read) > 2_000_000) as port, sending(port) as sender:
        with pytest.raises(NotNow):
            await sender.send(long)


async def test_gone_after_the_last_dot_nobody_knows() -> None:
    async with (
        breaking(lambda read: read.endswith(b"\r\n.\r\n")) as port,
        sending(port) as sender,
    ):
        with pytest.raises(Exception) as unsure:  # noqa: PT011 - any other than the two below
            await sender.send(outgoing())
    assert not isinstance(unsure.value, (NotNow, Refused))


async def test_silence_after_the_last_dot_nobody_knows() -> None:
    async with breaking(lambda _: False) as port, sending(port, timeout_s=0.5) as sender:
        with pytest.raises(Exception) as unsure:  # noqa: PT011
            await sender.send(outgoing())
    assert not isinstance(unsure.value, (NotNow, Refused))


async def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    server = Server()
    async with running(server, timeout=0.2) as port, sending(port) as sender:
        await sender.send(outgoing(1))
        kept, _ = sender._open[0]
        while kept.is_connected:  # noqa: ASYNC110 - the server closes it by itself
            await asyncio.sleep(0.02)
        await sender.send(outgoing(2))
    assert len(server.mails) == 2
    assert server.connections == 2
