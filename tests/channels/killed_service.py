"""`python -m tests.channels.killed_service URL FOLDER SMTP HTTP MAIL_SINK SMS_SINK`: the written
channels in a process of their own, which may be killed at any moment.

The real inbox, outbox, job worker, SMTP inbox and mail sender. SMS and chats come by a small HTTP
door, and SMS leave by another, in the place of a provider. Every message is answered, by a job.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop
from aiohttp import ClientConnectorError, ClientSession, web

from channels import answering
from channels.attachments import AttachmentFiles
from channels.inbox import Inbox
from channels.incoming import Incoming
from channels.mail.intake import MailIntake
from channels.mail.letters import Letterhead
from channels.mail.mail_sender import MailSender, SmtpServer
from channels.mail.smtp_inbox import Limits, SmtpInbox
from channels.outbox import Outbox
from channels.senders import Accepted, NotNow, Outgoing
from crm_store.database import Database
from crm_store.facts import MessageReceived
from crm_store.job_worker import JobWorker
from crm_store.jobs import Job, Subscribers
from crm_store.models import Channel

OURS = "service@mall.example"
LEASE_S = 2.0


class SmsByHttp:
    """Hands SMS to a provider that knows nothing of idempotency keys."""

    channel = Channel.SMS
    at_once = 4
    recognises_repeats = False

    def __init__(self, port: int) -> None:
        self._session = ClientSession(f"http://127.0.0.1:{port}")

    async def send(self, message: Outgoing) -> Accepted:
        told = {"key": message.idempotency_key, "is_repeat": message.is_repeat}
        try:
            async with self._session.post("/messages", json=told) as response:
                response.raise_for_status()
                return Accepted(provider_id=await response.text())
        except ClientConnectorError as error:
            raise NotNow(1, "connection refused") from error

    async def close(self) -> None:
        await self._session.close()


async def serve(url: str, folder: Path, ports: list[int]) -> None:
    smtp_port, http_port, mail_sink, sms_sink = ports
    subscribers = Subscribers()
    database = Database(url, subscribers)
    files = AttachmentFiles(folder)
    inbox = Inbox(database, files, own_addresses=[OURS])
    inbox.subscribe(subscribers)

    async def reply(job: Job) -> None:
        async with database.transaction() as transaction:
            await answering.answer(
                transaction,
                job.data["conversation_id"],
                author="lin",
                text="We have your message.",
                channel=Channel(job.data["channel"]),
                idempotency_key=f"reply:{job.data['message_id']}",
            )

    subscribers.add("reply", reply, MessageReceived, max_attempts=1_000)

    async def door(request: web.Request) -> web.Response:
        told = await request.json()
        await inbox.receive(
            Incoming(
                channel=Channel(told["channel"]),
                external_key=told["key"],
                sender=told["sender"],
                our_address="+862100000000",
                text=told["text"],
                received_at=datetime.now(UTC),
            )
        )
        return web.Response()

    app = web.Application()
    app.router.add_post("/messages", door)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", http_port).start()
    mails = SmtpInbox(
        MailIntake(inbox.receive, database, our_addresses=[OURS]),
        port=smtp_port,
        limits=Limits(connections_of_one=200),
    )
    await mails.start()
    head = Letterhead(house="The mall", address=OURS)
    server = SmtpServer(host="127.0.0.1", port=mail_sink, encryption="none")
    outbox = Outbox(
        database,
        files,
        {
            Channel.MAIL: MailSender(server, lambda: head, at_once=4),
            Channel.SMS: SmsByHttp(sms_sink),
        },
        lease_s=LEASE_S,
        poll_s=0.2,
    )
    worker = JobWorker(database, lease=timedelta(seconds=LEASE_S), poll_s=0.2)
    print("ready", flush=True)  # noqa: T201 - whoever started us waits for this
    await asyncio.gather(outbox.run(), worker.run())


if __name__ == "__main__":
    where, kept_in, *ports = sys.argv[1:]
    uvloop.run(serve(where, Path(kept_in), [int(port) for port in ports]))
