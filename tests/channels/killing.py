"""A stream of mails, SMS and chats into a service that is killed again and again; and the counting
of what became of each.

Owns the other sides: senders that keep a message until they hear "ok", and servers that count what
they accepted. Used by test_killed.py with a few kills, and by `python -m bench killed` with many.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path
from typing import Any

import aiosmtplib
from aiohttp import ClientError, ClientSession, ClientTimeout, web
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import func, select

from crm_store.database import Database
from crm_store.models import Channel, Conversation, Message, MessageState, OutboxMessage
from crm_store.signals import Direction

ROOT = Path(__file__).parents[2]
PEOPLE = 400
CHANNELS = (Channel.MAIL, Channel.SMS, Channel.CHAT)


@dataclass(slots=True)
class Sinks:
    """What the servers outside have accepted: by key, whether each was marked as a repeat."""

    mails: dict[str, list[bool]] = field(default_factory=dict)
    sms: dict[str, list[bool]] = field(default_factory=dict)
    mail_port: int = 0
    sms_port: int = 0

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        mail = message_from_bytes(envelope.content or b"")
        self.mails.setdefault(str(mail["Message-ID"]), []).append("X-Deskbell-Repeat" in mail)
        return "250 OK"

    async def on_sms(self, request: web.Request) -> web.Response:
        told = await request.json()
        self.sms.setdefault(told["key"], []).append(told["is_repeat"])
        return web.Response(text=f"SM{len(self.sms)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What became of a run. `faults` is empty if nothing was lost, and nothing twice unmarked."""

    kills: int
    inbound: int
    sent: int
    repeats: int
    uncertain: int
    conversations: int
    faults: list[str]


async def stream_and_kill(
    url: str,
    folder: Path,
    *,
    messages: int,
    kills: int,
    seed: int,
    longest_life_s: float = 0.8,
    settled_in_s: float = 150,
) -> Count:
    """Stream `messages` into a service on that (migrated, empty) database, killing it so often."""
    chance = random.Random(seed)
    async with _sinks() as sinks:
        ports = [_free_port(), _free_port(), sinks.mail_port, sinks.sms_port]
        command = [
            sys.executable, "-m", "tests.channels.killed_service", url, str(folder / "files"),
            *map(str, ports),
        ]  # fmt: skip
        quota = asyncio.Semaphore(0)
        done = [asyncio.create_task(_deliver(number, ports, quota)) for number in range(messages)]
        process = await _started(command)
        given = 0
        for kill in range(kills):
            share = messages * (kill + 1) // (kills + 1) - given
            for _ in range(share):
                quota.release()
            given += share
            await asyncio.sleep(chance.uniform(0.0, longest_life_s))
            process.send_signal(signal.SIGKILL)
            await process.wait()
            process = await _started(command)
        for _ in range(messages - given):
            quota.release()
        database = Database(url)
        try:
            async with asyncio.timeout(settled_in_s):
                await asyncio.gather(*done)
                while True:
                    if await _is_settled(database, messages):
                        break
                    await asyncio.sleep(0.1)
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()
            for task in done:
                task.cancel()
        try:
            return await _counted(database, sinks, messages, kills)
        finally:
            await database.close()


# ---- the other sides -----------------------------------------------------------------------------


@asynccontextmanager
async def _sinks() -> AsyncIterator[Sinks]:
    sinks = Sinks()
    loop = asyncio.get_running_loop()
    mails = await loop.create_server(
        lambda: SMTP(sinks, hostname="sink.example", loop=loop), "127.0.0.1", 0
    )
    sinks.mail_port = mails.sockets[0].getsockname()[1]
    app = web.Application()
    app.router.add_post("/messages", sinks.on_sms)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    sinks.sms_port = site._server.sockets[0].getsockname()[1]
    try:
        yield sinks
    finally:
        await runner.cleanup()
        mails.close()
        await mails.wait_closed()


async def _deliver(number: int, ports: list[int], quota: asyncio.Semaphore) -> None:
    """One message, offered again until its receiver says that it has it."""
    await quota.acquire()
    channel = CHANNELS[number % len(CHANNELS)]
    while True:
        with suppress(OSError, ClientError, aiosmtplib.SMTPException, TimeoutError):
            if channel is Channel.MAIL:
                await _mail(number, ports[0])
            else:
                await _post(channel, number, ports[1])
            return
        await asyncio.sleep(0.05)


async def _mail(number: int, port: int) -> None:
    sender = f"person{number % PEOPLE}@example.com"
    mail = (
        f"From: {sender}\r\nTo: service@mall.example\r\nSubject: Question {number}\r\n"
        f"Message-ID: {key_of(number)}\r\n\r\nWhere is order {number}?\r\n"
    )
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, timeout=20) as client:
        await client.sendmail(sender, ["service@mall.example"], mail.encode())


async def _post(channel: Channel, number: int, port: int) -> None:
    told: dict[str, Any] = {
        "channel": channel.value,
        "key": key_of(number),
        "sender": f"+86138{number % PEOPLE:08d}" if channel is Channel.SMS else f"visit{number}",
        "text": f"Where is order {number}?",
    }
    async with (
        ClientSession(timeout=ClientTimeout(total=20)) as session,
        session.post(f"http://127.0.0.1:{port}/messages", json=told) as response,
    ):
        response.raise_for_status()


def key_of(number: int) -> str:
    return f"<question{number}@example.com>"


async def _started(command: list[str]) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    said = await process.stdout.readline()
    assert said == b"ready\n", f"the service did not start: {said!r}"
    return process


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# ---- the counting --------------------------------------------------------------------------------


async def _is_settled(database: Database, messages: int) -> bool:
    """Every message is answered, and nothing is on its way any more."""
    async with database.reading() as session:
        answered = await session.scalar(
            select(func.count(Message.id)).where(Message.direction == Direction.OUTBOUND)
        )
        on_its_way = await session.scalar(
            select(func.count(OutboxMessage.id)).where(
                OutboxMessage.state.in_([MessageState.WAITING, MessageState.SENDING])
            )
        )
    return answered == messages and not on_its_way


async def _counted(database: Database, sinks: Sinks, messages: int, kills: int) -> Count:
    async with database.reading() as session:
        inbound = (
            await session.execute(
                select(Message.external_key, Message.id, Message.text, Message.channel).where(
                    Message.direction == Direction.INBOUND
                )
            )
        ).all()
        answers = list(
            await session.scalars(
                select(Message.external_key).where(Message.direction == Direction.OUTBOUND)
            )
        )
        rows = (
            await session.execute(
                select(
                    OutboxMessage.idempotency_key,
                    OutboxMessage.channel,
                    OutboxMessage.state,
                    OutboxMessage.repeats,
                    Message.message_id,
                ).join(Message, Message.id == OutboxMessage.message_id)
            )
        ).all()
        many = await session.scalar(select(func.count(Conversation.id)))
    faults = []
    # A mail's key has its sender beside it.
    stored = Counter(str(row.external_key).split(" ")[0] for row in inbound)
    for number in range(messages):
        if stored[key_of(number)] != 1:
            faults.append(f"message {number} is stored {stored[key_of(number)]} times")
    if len(stored) != messages:
        faults.append(f"{len(stored)} messages are stored of {messages}")
    expected = {f"ours:reply:{row.id}" for row in inbound}
    if Counter(answers) != Counter(expected):
        faults.append("not every message has its one answer")
    for row in rows:
        by_mail = row.channel is Channel.MAIL
        accepted = (
            sinks.mails.get(row.message_id, [])
            if by_mail
            else sinks.sms.get(row.idempotency_key, [])
        )
        faults += _faults_of(row, accepted)
    return Count(
        kills=kills,
        inbound=len(inbound),
        sent=sum(row.state is MessageState.SENT for row in rows),
        repeats=sum(len(one) > 1 for one in (*sinks.mails.values(), *sinks.sms.values())),
        uncertain=sum(row.state is MessageState.UNCERTAIN for row in rows),
        conversations=many or 0,
        faults=faults,
    )


def _faults_of(row: Any, accepted: list[bool]) -> list[str]:
    """A message is accepted once; or twice, the second marked; what is left to people may not have
    been accepted at all."""
    name = f"answer {row.idempotency_key} ({row.state.value})"
    if row.state not in (MessageState.SENT, MessageState.UNCERTAIN):
        return [f"{name} is not sent"]
    if not accepted and row.state is MessageState.SENT:
        return [f"{name} was accepted by nobody"]
    if len(accepted) > 2 or accepted.count(False) > 1:
        return [f"{name} was accepted {len(accepted)} times, marked {accepted}"]
    return []
