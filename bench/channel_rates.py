"""How fast mails come in and go out, beside the raw server's rate, in one run.

Owns the load: an SMTP inbox that stores, and one that forgets, fed by the same clients from a
process of their own; then the outbox, and bare clients, into the same kind of sink. Everything is
on loopback. Refuses to judge: channel_report.py does.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiosmtplib
import uvloop
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import insert

from bench import stores
from channels.attachments import AttachmentFiles
from channels.inbox import Inbox
from channels.mail.intake import MailIntake
from channels.mail.letters import Letterhead
from channels.mail.mail_sender import MailSender, SmtpServer
from channels.mail.smtp_inbox import Limits, SmtpInbox
from channels.outbox import Outbox
from crm_store.database import Database
from crm_store.migrations import migrate
from crm_store.models import Channel, OutboxMessage, Purpose
from crm_store.staff import queues
from crm_store.staff.queues import QueueRecord

OURS = "service@mall.example"
CLIENTS = 20
AT_ONCE = 20
TEXT = "I ordered a kettle last week, and it is not here yet. When will it come? " * 6


class Forgetful:
    """A server's handler that takes every mail and keeps none."""

    def __init__(self) -> None:
        self.count = 0

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, _envelope: Envelope
    ) -> str:
        self.count += 1
        return "250 OK"


def measure(folder: Path, mails: int) -> dict[str, Any]:
    """Rates on both databases; each beside the raw rate of that moment."""
    runs = {}
    for name, opened in (("sqlite", stores.sqlite_url), ("postgresql", stores.postgresql_url)):
        own = folder / name
        own.mkdir(parents=True)
        with opened(own, 0) as url:
            runs[name] = uvloop.run(_run(url, own, mails))
    return {"mails": mails, "clients": CLIENTS, "runs": runs}


async def _run(url: str, folder: Path, mails: int) -> dict[str, Any]:
    await migrate(url)
    database = Database(url)
    files = AttachmentFiles(folder / "attachments")
    try:
        async with database.transaction() as transaction:
            await queues.save(transaction, QueueRecord("service", "600", {"en": "Service"}))
        measured = {"raw_in": await _raw_in(mails)}
        measured["in"] = await _ours_in(database, files, mails)
        measured["raw_out"] = await _raw_out(mails)
        measured["out"] = await _ours_out(database, files, mails)
        return measured
    finally:
        await database.close()
        files.close()


# ---- in ------------------------------------------------------------------------------------------


async def _raw_in(mails: int) -> dict[str, float]:
    handler = Forgetful()
    async with _server(handler) as port:
        return await _fed(port, mails, "raw")


async def _ours_in(database: Database, files: AttachmentFiles, mails: int) -> dict[str, float]:
    inbox = Inbox(database, files)
    intake = MailIntake(inbox.receive, database, our_addresses=[OURS])
    server = SmtpInbox(intake, limits=Limits(connections_of_one=CLIENTS * 2))
    await server.start()
    try:
        return await _fed(server.port, mails, "ours")
    finally:
        await server.stop()


async def _fed(port: int, mails: int, name: str) -> dict[str, float]:
    """Feed that server from a process of its own, so that ours is measured alone."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.channel_rates", str(port), str(mails), name,
        stdout=subprocess.PIPE, stdin=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    assert await process.stdout.readline() == b"ready\n"
    process.stdin.write(b"go\n")
    measured = await _timed(process.wait, mails)
    if process.returncode:
        raise RuntimeError("the clients failed")
    return measured


async def feed(port: int, mails: int, name: str) -> None:
    """Hand over so many mails by CLIENTS connections, each as fast as it is answered."""
    numbers = iter(range(mails))

    async def client() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, timeout=60) as smtp:
            for number in numbers:
                sender = f"person{number}@example.com"
                mail = (
                    f"From: Person {number} <{sender}>\r\nTo: {OURS}\r\n"
                    f"Subject: Question {number}\r\nMessage-ID: <{name}{number}@example.com>\r\n"
                    f"Content-Type: text/plain; charset=utf-8\r\n\r\n{TEXT}\r\n"
                )
                await smtp.sendmail(sender, [OURS], mail.encode())

    print("ready", flush=True)
    sys.stdin.readline()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))


# ---- out -----------------------------------------------------------------------------------------


async def _raw_out(mails: int) -> dict[str, float]:
    async with _sink() as port:
        numbers = iter(range(mails))

        async def client() -> None:
            async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, timeout=60) as smtp:
                for number in numbers:
                    mail = f"Message-ID: <{number}@mall.example>\r\n\r\n{TEXT}\r\n"
                    await smtp.sendmail(OURS, [f"person{number}@example.com"], mail.encode())

        async def all_clients() -> None:
            await asyncio.gather(*(client() for _ in range(AT_ONCE)))

        return await _timed(all_clients, mails)


async def _ours_out(database: Database, files: AttachmentFiles, mails: int) -> dict[str, float]:
    await _write(database, mails)
    head = Letterhead(house="The mall", address=OURS)
    async with _sink() as port:
        server = SmtpServer(host="127.0.0.1", port=port, encryption="none")
        outbox = Outbox(
            database, files, {Channel.MAIL: MailSender(server, lambda: head, at_once=AT_ONCE)}
        )

        async def carried() -> None:
            running = asyncio.create_task(outbox.run())
            while True:
                if outbox.figures[Channel.MAIL].accepted >= mails:
                    break
                await asyncio.sleep(0.005)
            running.cancel()
            await asyncio.wait([running])

        return await _timed(carried, mails)


async def _write(database: Database, mails: int) -> None:
    now = datetime.now(UTC)
    rows = [
        {
            "channel": Channel.MAIL,
            "recipient": f"person{number}@example.com",
            "subject": "Your order",
            "text": TEXT,
            "idempotency_key": f"bench:{number}",
            "purpose": Purpose.NOTICE,
            "written_by": "system",
            "written_at": now,
            "due_at": now,
        }
        for number in range(mails)
    ]
    async with database.transaction() as transaction:
        for start in range(0, mails, 500):
            await transaction.session.execute(insert(OutboxMessage), rows[start : start + 500])


@asynccontextmanager
async def _sink() -> AsyncIterator[int]:
    """A server in a process of its own that takes every mail and keeps none."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.channel_rates", "sink", stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


async def sink() -> None:
    async with _server(Forgetful()) as port:
        print(port, flush=True)
        await asyncio.Event().wait()


@asynccontextmanager
async def _server(handler: Forgetful) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()

    def connection() -> SMTP:
        return SMTP(handler, hostname="sink.example", loop=loop, enable_SMTPUTF8=True)

    server = await loop.create_server(connection, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _timed(work: Callable[[], Awaitable[object]], mails: int) -> dict[str, float]:
    """Mails a second, and this process's milliseconds of CPU a mail."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    await work()
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"per_second": mails / seconds, "cpu_ms": used / mails * 1e3}


if __name__ == "__main__":
    if sys.argv[1] == "sink":
        uvloop.run(sink())
    else:
        uvloop.run(feed(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
