"""Mails go out by SMTP, to one server that carries them on.

Owns the connections to it and what is certain at each step: until the dot that ends a mail has
left, nothing was accepted; between that dot and the answer nobody knows. Refuses to know what a
letter looks like.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import aiosmtplib
from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from channels.mail.letters import Letter, Letterhead, compose
from channels.senders import Accepted, NotNow, Outgoing, Refused
from crm_store.models import Channel

log = logging.getLogger(__name__)

Encryption = Literal["tls", "starttls", "none"]

PORTS = {"tls": 465, "starttls": 587, "none": 25}
KEPT_OPEN_S = 20.0
"""Servers close idle connections; one that is this old is not taken up again."""

_OFFLINE_WAIT_S = 30.0
_LOGIN_WAIT_S = 300.0
_BUSY_WAIT_S = 60.0
# RFC 3463: the address itself is wrong, or its mailbox is gone; not full, and not our fault.
_BAD_ADDRESS = re.compile(r"5\.(1\.[0-46]|1\.10|2\.1)\b")
_ENHANCED = re.compile(r"^\s*[245]\.\d{1,3}\.\d{1,3}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """Who carries our mails on. `port` 0 is the usual one of the encryption; without `user` nobody
    signs in. `trust` is an own certificate authority (a PEM file), "" for the system's."""

    host: str
    port: int = 0
    encryption: Encryption = "starttls"
    user: str = ""
    password: str = ""
    trust: str = ""
    timeout_s: float = 60.0

    def __repr__(self) -> str:
        return f"SmtpServer({self.host}:{self.port}, {self.encryption})"


class MailSender:
    """Carries the outbox's mails to one SMTP server. A server may take a repeated mail twice."""

    channel = Channel.MAIL
    recognises_repeats = False

    def __init__(
        self, server: SmtpServer, letterhead: Callable[[], Letterhead], *, at_once: int = 4
    ) -> None:
        self.at_once = at_once
        self._server = server
        self._letterhead = letterhead
        self._open: deque[tuple[SMTP, float]] = deque()
        self._context: ssl.SSLContext | None = None

    async def send(self, message: Outgoing) -> Accepted:
        """As `Sender.send`. `Accepted.provider_id` is the Message-ID."""
        head = self._letterhead()
        if message.files or len(message.text) > 20_000:
            letter = await asyncio.to_thread(compose, message, head)
        else:
            letter = compose(message, head)
        connection = await self._begun(letter)
        try:
            await self._deliver(connection, letter)
        except Refused:
            await self._give_back(connection)
            raise
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return Accepted(provider_id=message.message_id)

    async def close(self) -> None:
        while self._open:
            connection, _ = self._open.pop()
            await _quit(connection)

    # ---- connections ---------------------------------------------------------------------------

    async def _begun(self, letter: Letter) -> SMTP:
        """A connection whose server has taken the sender: whatever fails, nothing is sent."""
        while self._open:
            connection, since = self._open.pop()
            if asyncio.get_running_loop().time() - since > KEPT_OPEN_S:
                await _quit(connection)
                continue
            try:
                await self._from(connection, letter)
            except NotNow:
                # The server may have closed it meanwhile; a new one tells the truth.
                connection.close()
            except Refused:
                await self._give_back(connection)
                raise
            else:
                return connection
        connection = await self._connected()
        try:
            await self._from(connection, letter)
        except Refused:
            await self._give_back(connection)
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    async def _connected(self) -> SMTP:
        server = self._server
        if self._context is None and server.encryption != "none":
            self._context = ssl.create_default_context(cafile=server.trust or None)
        connection = SMTP(
            hostname=server.host,
            port=server.port or PORTS[server.encryption],
            use_tls=server.encryption == "tls",
            start_tls=server.encryption == "starttls",
            tls_context=self._context,
            timeout=server.timeout_s,
        )
        try:
            await connection.connect()
            if server.user:
                await connection.login(server.user, server.password)
        except aiosmtplib.SMTPAuthenticationError as error:
            connection.close()
            log.error("the mail server refuses our login: %d", error.code)
            raise NotNow(_LOGIN_WAIT_S, "the mail server refuses our login") from error
        except (SMTPException, OSError, ssl.SSLError, ValueError) as error:
            connection.close()
            said = f" {error.code}" if isinstance(error, SMTPResponseException) else ""
            log.warning("no connection to the mail server: %s%s", type(error).__name__, said)
            raise NotNow(
                _OFFLINE_WAIT_S, f"no connection to the mail server: {type(error).__name__}"
            ) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _keep(self, connection: SMTP) -> None:
        if connection.is_connected:
            self._open.append((connection, asyncio.get_running_loop().time()))
        else:
            connection.close()

    async def _give_back(self, connection: SMTP) -> None:
        """Keep a connection in which a mail was begun and refused."""
        try:
            await connection.rset()
        except (SMTPException, OSError):
            connection.close()
        else:
            self._keep(connection)

    # ---- one mail ------------------------------------------------------------------------------

    async def _from(self, connection: SMTP, letter: Letter) -> None:
        try:
            if connection.is_ehlo_or_helo_needed:
                await connection.ehlo()
            options = []
            if connection.supports_extension("size"):
                options.append(f"SIZE={len(letter.content)}")
            if letter.needs_utf8:
                if not connection.supports_extension("smtputf8"):
                    raise Refused("the mail server cannot write to such an address")
                options.append("SMTPUTF8")
            encoding = "utf-8" if letter.needs_utf8 else "ascii"
            await connection.mail(letter.sender, options=options, encoding=encoding)
        except SMTPResponseException as error:
            raise _answered(error) from error
        except (SMTPException, OSError) as error:
            raise NotNow(
                _OFFLINE_WAIT_S, f"the mail server went: {type(error).__name__}"
            ) from error

    async def _deliver(self, connection: SMTP, letter: Letter) -> None:
        try:
            encoding = "utf-8" if letter.needs_utf8 else "ascii"
            await connection.rcpt(letter.recipient, encoding=encoding)
            answer = await connection.execute_command(b"DATA")
            if answer.code != 354:
                raise SMTPResponseException(answer.code, answer.message)
            await self._write(connection, letter.content)
        except SMTPResponseException as error:
            raise _answered(error, of_recipient=isinstance(error, _OF_RECIPIENT)) from error
        except (SMTPException, OSError, TimeoutError) as error:
            raise NotNow(
                _OFFLINE_WAIT_S, f"the mail server went: {type(error).__name__}"
            ) from error
        # From here on nobody knows, until it has answered.
        protocol = connection.protocol
        assert protocol is not None
        protocol.write(b".\r\n")
        answer = await protocol.read_response(timeout=self._server.timeout_s)
        if answer.code != 250:
            raise _answered(SMTPResponseException(answer.code, answer.message))

    async def _write(self, connection: SMTP, content: bytes) -> None:
        """All of a mail but the dot that ends it, out of our hands before that leaves."""
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise ConnectionResetError("the mail server went")
        # uvloop's are no asyncio.WriteTransport, but have all of its methods.
        written = cast("asyncio.WriteTransport", transport)
        content = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
        content = re.sub(rb"(?m)^\.", b"..", content)
        if not content.endswith(b"\r\n"):
            content += b"\r\n"
        protocol.write(content)
        async with asyncio.timeout(max(self._server.timeout_s, len(content) / 20_000)):
            while written.get_write_buffer_size() > 0:
                if not connection.is_connected:
                    raise ConnectionResetError("the mail server went")
                await asyncio.sleep(0.01)
        if not connection.is_connected:
            raise ConnectionResetError("the mail server went")


_OF_RECIPIENT = (aiosmtplib.SMTPRecipientRefused,)


def _answered(error: SMTPResponseException, *, of_recipient: bool = False) -> NotNow | Refused:
    """What a server's answer means for the mail."""
    why = f"{error.code} {' '.join(str(error.message).split())}"[:300]
    if error.code >= 500 and error.code not in (502, 503, 530):
        enhanced = _ENHANCED.match(str(error.message))
        bad_address = of_recipient and (
            bool(_BAD_ADDRESS.match(enhanced[0].strip())) if enhanced else error.code in (550, 553)
        )
        return Refused(why, bad_address=bad_address)
    return NotNow(_BUSY_WAIT_S, why)


async def _quit(connection: SMTP) -> None:
    try:
        if connection.is_connected:
            async with asyncio.timeout(2):
                await connection.quit()
    except (SMTPException, OSError, TimeoutError):
        pass
    connection.close()
