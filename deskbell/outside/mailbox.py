"""The customers' mailboxes: an SMTP server that takes every mail and keeps it.

Owns what has arrived, as it came, and the customer's way to write back. Sends nothing on by itself.
"""

from __future__ import annotations

import asyncio
import email.policy
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Any

import aiosmtplib
from aiosmtpd.smtp import SMTP, Envelope, Session

LARGEST_MAIL = 33_554_432
KEPT = 2_000
"""So many mails are kept; the oldest go."""


@dataclass(frozen=True, slots=True)
class MailboxMail:
    """A mail in a customer's mailbox, or one they have sent. `raw` is what was on the wire."""

    id: str
    owner: str
    is_sent: bool
    at: datetime
    raw: bytes
    message: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.message["Subject"] or "")

    @property
    def text(self) -> str:
        body = self.message.get_body(("plain", "html"))
        if body is None:
            return ""
        try:
            return str(body.get_content())
        except (LookupError, KeyError, UnicodeError):
            return ""


class CustomersMailbox:
    """`changed` is called when a mail has come or gone. `refuse` says for a recipient with which
    answer it is refused ("550 5.1.1 No such user"), "" takes it."""

    def __init__(
        self,
        *,
        changed: Callable[[], None] = lambda: None,
        refuse: Callable[[str], str] = lambda recipient: "",
    ) -> None:
        self.mails: list[MailboxMail] = []
        self.inbox_host = ""
        self.inbox_port = 0
        self.port = 0
        self._changed = changed
        self._refuse = refuse
        self._server: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Raises OSError if the port is taken."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(
                self, hostname="mail.example", ident="mail.example", data_size_limit=LARGEST_MAIL
            ),
            host,
            port,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    # aiosmtpd calls these by name.

    async def handle_RCPT(  # noqa: N802
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        refusal = self._refuse(address)
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        for recipient in envelope.rcpt_tos:
            self._keep(recipient.lower(), raw, is_sent=False)
        return "250 OK"

    async def customer_writes(
        self,
        sender: str,
        to: str,
        *,
        subject: str,
        text: str,
        answers: MailboxMail | None = None,
        sender_name: str = "",
        files: tuple[tuple[str, str, bytes], ...] = (),
    ) -> MailboxMail:
        """Send a customer's mail to the house's inbox; with `answers` it quotes that one and is in
        its thread. `files` are names, types and contents. Raises aiosmtplib's errors or OSError."""
        message = EmailMessage(policy=email.policy.SMTP)
        message["From"] = f"{sender_name} <{sender}>" if sender_name else sender
        message["To"] = to
        message["Subject"] = subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
        if answers is not None:
            theirs = str(answers.message["Message-ID"] or "").strip()
            before = str(answers.message["References"] or "").split()
            message["In-Reply-To"] = theirs
            message["References"] = " ".join([*before, theirs])
            quoted = "\n".join(f"> {line}" for line in answers.text.splitlines())
            who = parseaddr(str(answers.message["From"]))[1]
            text = f"{text}\n\nOn {answers.at:%Y-%m-%d at %H:%M}, {who} wrote:\n{quoted}\n"
        message.set_content(text)
        for name, media_type, content in files:
            main, _, sub = media_type.partition("/")
            message.add_attachment(content, maintype=main, subtype=sub, filename=name)
        raw = message.as_bytes()
        await aiosmtplib.send(
            raw,
            sender=sender,
            recipients=[to],
            hostname=self.inbox_host,
            port=self.inbox_port,
            start_tls=False,
            timeout=30,
        )
        return self._keep(sender.lower(), raw, is_sent=True)

    def find(self, mail_id: str) -> MailboxMail | None:
        return next((mail for mail in self.mails if mail.id == mail_id), None)

    def _keep(self, owner: str, raw: bytes, *, is_sent: bool) -> MailboxMail:
        parser: Any = BytesParser(policy=email.policy.default)
        mail = MailboxMail(
            id=secrets.token_hex(8),
            owner=owner,
            is_sent=is_sent,
            at=datetime.now(UTC),
            raw=raw,
            message=parser.parsebytes(raw),
        )
        self.mails.append(mail)
        del self.mails[:-KEPT]
        self._changed()
        return mail
