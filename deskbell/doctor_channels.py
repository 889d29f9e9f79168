"""The doctor's look at the written channels: can mail and SMS come and go, and does anything wait.

Owns what must be so that a customer who writes is answered. Sends nothing and marks nothing seen.
"""

from __future__ import annotations

import asyncio
import imaplib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import aiosmtplib
from sqlalchemy import func, select

from channels.mail import imap_inbox, mail_sender
from channels.sms import twilio_account
from crm_store.database import Database
from crm_store.models import JobRow, JobState, MessageState, OutboxMessage
from deskbell.channel_settings import MailSettings, SmsSettings
from deskbell.finding import Finding, fail, ok, warn
from deskbell.settings import Settings

CONNECT_SECONDS = 8.0
STUCK = timedelta(minutes=15)
RECENT = timedelta(days=1)


async def reached(settings: Settings) -> AsyncIterator[Finding]:
    """Whether the servers that carry mail and SMS answer, and let us in."""
    mail = settings.mail
    if not mail.addresses:
        yield ok("mail", "none: [mail] addresses is empty")
    else:
        if mail.inbox == "imap":
            yield await asyncio.to_thread(_mailbox, mail)
        yield await _mail_server(mail)
    sms = settings.sms
    if sms.provider == "off":
        yield ok("SMS", 'none: [sms] provider is "off"')
    elif sms.provider == "twilio":
        yield await _twilio(sms)
        if not settings.desk.public_url.startswith("https://") and not sms.twilio_url:
            yield fail(
                "SMS",
                "Twilio cannot reach this desk: [desk] public_url is no https address",
                "set it to the address at which the Internet reaches the desk",
            )
    else:
        yield await _message_centre(sms)


async def waiting(database: Database) -> AsyncIterator[Finding]:
    """What should have gone out, and what waits for a person. Raises a database error."""
    now = datetime.now(UTC)
    async with database.reading() as session:
        stuck = await session.execute(
            select(OutboxMessage.channel, func.count(), func.max(OutboxMessage.error))
            .where(
                OutboxMessage.state.in_((MessageState.WAITING, MessageState.SENDING)),
                OutboxMessage.due_at < now - STUCK,
            )
            .group_by(OutboxMessage.channel)
        )
        lines = stuck.all()
        unsure = await session.scalar(
            select(func.count())
            .select_from(OutboxMessage)
            .where(
                OutboxMessage.state.in_((MessageState.FAILED, MessageState.UNCERTAIN)),
                OutboxMessage.written_at > now - RECENT,
            )
        )
        parked = await session.scalar(
            select(func.count()).select_from(JobRow).where(JobRow.state == JobState.PARKED)
        )
    for channel, count, _error in lines:
        yield warn(
            "outbox",
            f"{count} on the channel {channel.value} should have gone out "
            f"{STUCK.total_seconds() / 60:g} minutes ago",
            "see that the service runs and that its server is reached",
        )
    if unsure:
        yield warn(
            "outbox",
            f"{unsure} of the last day could not be sent, or nobody knows",
            "look at their conversations; “send again” stands at each",
        )
    if not lines and not unsure:
        yield ok("outbox", "nothing is stuck")
    if parked:
        yield warn("jobs", f"{parked} are parked after their last try", "look at /setup/jobs")


def _mailbox(mail: MailSettings) -> Finding:
    """The mailbox is looked at read-only."""
    tls = ssl.create_default_context()
    port = mail.imap_port or imap_inbox.PORTS[mail.imap_encryption]
    where = f"{mail.imap_host}:{port}"
    try:
        server: imaplib.IMAP4
        if mail.imap_encryption == "tls":
            server = imaplib.IMAP4_SSL(
                mail.imap_host, port, ssl_context=tls, timeout=CONNECT_SECONDS
            )
        else:
            server = imaplib.IMAP4(mail.imap_host, port, timeout=CONNECT_SECONDS)
        with server:
            if mail.imap_encryption == "starttls":
                server.starttls(tls)
            server.login(mail.imap_user, mail.imap_password.get_secret_value())
            state, _ = server.select(f'"{mail.imap_folder}"', readonly=True)
            if state != "OK":
                return fail(
                    "mail",
                    f"{where} has no folder {mail.imap_folder!r}",
                    "set [mail] imap_folder to one that it has, such as INBOX",
                )
            idle = "IDLE" in server.capabilities
    except (OSError, imaplib.IMAP4.error) as error:
        return fail(
            "mail",
            f"the mailbox at {where} cannot be opened: {_said(error)}",
            "check imap_host, imap_user and password; many providers want an app password",
        )
    how = "it tells of new mail at once" if idle else "it is asked every minute"
    return ok("mail", f"the mailbox at {where} opens; {how}")


async def _mail_server(mail: MailSettings) -> Finding:
    if not mail.server:
        return warn("mail", "nothing goes out: [mail] server is empty", "set it; mails wait until")
    port = mail.port or mail_sender.PORTS[mail.encryption]
    where = f"{mail.server}:{port}"
    client = aiosmtplib.SMTP(
        hostname=mail.server,
        port=port,
        use_tls=mail.encryption == "tls",
        start_tls=mail.encryption == "starttls",
        timeout=CONNECT_SECONDS,
    )
    try:
        async with client:
            if mail.user:
                await client.login(mail.user, mail.password.get_secret_value())
    except (OSError, aiosmtplib.SMTPException) as error:
        return fail(
            "mail",
            f"the server {where} does not take mail: {_said(error)}",
            "check [mail] server, port, encryption, user and password; mails wait until then",
        )
    return ok("mail", f"the server {where} lets us in")


async def _twilio(sms: SmsSettings) -> Finding:
    base = sms.twilio_url or twilio_account.OWN_URL
    token = sms.twilio_token.get_secret_value()
    headers = {"Authorization": aiohttp.encode_basic_auth(sms.twilio_account, token)}
    url = f"{base}/2010-04-01/Accounts/{sms.twilio_account}/Messages.json?PageSize=1"
    try:
        timeout = aiohttp.ClientTimeout(total=CONNECT_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as http,
            http.get(url) as got,
        ):
            status = got.status
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return fail("SMS", f"{base} is not reached: {_said(error)}", "let the way there through")
    if status in (401, 403):
        return fail(
            "SMS", "Twilio does not know this account and token", "copy both from its console anew"
        )
    if status != 200:
        return fail("SMS", f"{base} answers {status}", "see status.twilio.com, or [sms] twilio_url")
    return ok("SMS", f"Twilio's account at {base} lets us in")


async def _message_centre(sms: SmsSettings) -> Finding:
    where = f"{sms.smpp_host}:{sms.smpp_port}"
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(sms.smpp_host, sms.smpp_port)
    except (OSError, TimeoutError) as error:
        return fail(
            "SMS",
            f"the message centre {where} is not reached: {_said(error)}",
            "check [sms] smpp_host and smpp_port, and that it lets this machine's address in",
        )
    writer.close()
    return ok("SMS", f"the message centre {where} is there")


def _said(error: BaseException) -> str:
    """The first line, for a terminal: a server's text is foreign."""
    text = str(error) or type(error).__name__
    return "".join(letter for letter in text.splitlines()[0][:200] if letter.isprintable())
