"""The embedded SMTP server: mails for the house's addresses come straight to Deskbell.

Owns who may hand over what: our recipients only, so many bytes, so many connections, so much time.
A mail is answered 250 when it is stored, so its sender keeps it until then. Carries nothing on, and
knows no users: whoever may send to us may send to us.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from channels.mail.intake import MailIntake

log = logging.getLogger(__name__)
# aiosmtpd logs addresses of peers, senders and recipients.
logging.getLogger("mail.log").setLevel(logging.CRITICAL)

_COMMANDS = {"MAIL": 200, "RCPT": 500, "DATA": 200, "RSET": 200, "EHLO": 10, "HELO": 10, "*": 20}
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`mail_bytes` of one mail; connections at once, from all and from one address; `idle_s` for a
    command, and for a whole mail, however slowly it drips; `connection_s` for everything."""

    mail_bytes: int = 35_000_000
    connections: int = 200
    connections_of_one: int = 20
    recipients: int = 100
    idle_s: float = 120.0
    connection_s: float = 1_800.0


class SmtpInbox:
    """Listens at host and port (0: a free one) and gives what comes to the intake."""

    def __init__(
        self,
        intake: MailIntake,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: Path | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._intake = intake
        self._host = host
        self._limits = limits or Limits()
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._context.load_cert_chain(certificate)
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()
        self.port = port

    async def start(self) -> None:
        """Begin to listen; `port` is the real one then. Raises OSError if the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End; a mail that is not stored yet stays with its sender."""
        if self._server is None:
            return
        self._server.close()
        open_now = list(self._open)
        for connection in open_now:
            connection.end()
        tasks = [task for one in open_now if (task := one.task) is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        await self._server.wait_closed()
        self._server = None

    def _connection(self) -> SMTP:
        return _Connection(self._intake, self._limits, self._context, self._open)


class _Connection(SMTP):
    """One peer. aiosmtpd speaks SMTP; here is what it has no bounds for."""

    # Mails with longer lines than RFC 5321 allows are common; a command's line is bounded apart.
    line_length_limit = _LONGEST_LINE

    def __init__(
        self,
        intake: MailIntake,
        limits: Limits,
        context: ssl.SSLContext | None,
        open_now: set[_Connection],
    ) -> None:
        super().__init__(
            _Handler(intake, limits),
            data_size_limit=limits.mail_bytes,
            enable_SMTPUTF8=True,
            hostname=_name_of(intake.our_addresses),
            ident="Deskbell",
            tls_context=context,
            timeout=limits.idle_s,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            command_call_limit=_COMMANDS,
            loop=asyncio.get_running_loop(),
        )
        self._limits = limits
        self._open = open_now
        self._peer = ""
        self._end_of_all: asyncio.TimerHandle | None = None

    @property
    def task(self) -> asyncio.Task[None] | None:
        return self._handler_coroutine

    def end(self) -> None:
        if self.transport is not None:
            self.transport.close()
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self in self._open:
            super().connection_made(transport)
            return
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else ""
        from_there = Counter(other._peer for other in self._open)[self._peer]
        if (
            len(self._open) >= self._limits.connections
            or from_there >= self._limits.connections_of_one
        ):
            assert isinstance(transport, asyncio.Transport)
            transport.write(b"421 4.7.0 Too many connections, try later\r\n")
            # Without a session of its own it has no state to end.
            transport.set_protocol(asyncio.Protocol())
            transport.close()
            return
        self._open.add(self)
        self._end_of_all = self.loop.call_later(self._limits.connection_s, self.end)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._open.discard(self)
        if self._end_of_all is not None:
            self._end_of_all.cancel()
        super().connection_lost(error)


def _name_of(addresses: Sequence[str]) -> str:
    """What the server calls itself: asking DNS for this machine's name could take seconds."""
    return next((address.rpartition("@")[2] for address in addresses), "localhost")


class _Handler:
    """What aiosmtpd asks us."""

    def __init__(self, intake: MailIntake, limits: Limits) -> None:
        self._intake = intake
        self._limits = limits

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's names
        self,
        _server: SMTP,
        session: Session,
        _envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in responses if not line[4:].startswith("AUTH")]

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if address.lower() not in self._intake.our_addresses:
            return "550 5.1.1 No such address here"
        if len(envelope.rcpt_tos) >= self._limits.recipients:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        content = envelope.original_content or b""
        sender = (envelope.mail_from or "").strip("<>")
        head = _delivered_to(envelope.rcpt_tos)
        try:
            await self._intake.take(head + content, return_path=sender)
        except Exception as error:
            # Whatever it is, the sender's server still has the mail.
            log.warning("a mail is not taken now: %s", type(error).__name__)
            return "451 4.3.0 Not stored, try later"
        return "250 2.0.0 Stored"

    async def handle_exception(self, error: Exception) -> str:
        log.warning("SMTP with a peer failed: %s", type(error).__name__)
        return "451 4.3.0 Try later"


def _delivered_to(recipients: Sequence[Any]) -> bytes:
    """To which of our addresses it came, where the mail itself does not say (Bcc)."""
    lines = [f"Delivered-To: {address}\r\n" for address in recipients[:10]]
    return "".join(lines).encode("utf-8", "replace")
