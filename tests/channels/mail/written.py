"""Mails that tests send, and what the store says of those that came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy import func, select

from crm_store.database import Database
from crm_store.models import Message
from crm_store.signals import Direction


def mail(
    number: int | str = 1,
    *,
    sender: str = "anna@customers.example",
    subject: str = "A question",
    text: str = "Do you have it in red?",
    headers: str = "",
) -> bytes:
    """A plain mail; `number` is in its Message-ID. `headers` are whole lines."""
    return (
        f"From: Anna <{sender}>\r\nTo: service@mall.example\r\nSubject: {subject}\r\n"
        f"Message-ID: <{number}@customers.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
        f"{headers}\r\n{text}\r\n"
    ).encode()


async def inbound(database: Database) -> list[Message]:
    """All messages that came in, in order of arrival."""
    async with database.reading() as session:
        rows = await session.scalars(
            select(Message).where(Message.direction == Direction.INBOUND).order_by(Message.id)
        )
        return list(rows)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what must come true; the test's own time-out ends it else."""
    while not await condition():  # noqa: ASYNC110 - of a server that tells nobody
        await asyncio.sleep(0.02)


async def until_inbound(database: Database, count: int) -> list[Message]:
    counting = select(func.count()).where(Message.direction == Direction.INBOUND)

    async def there() -> bool:
        async with database.reading() as session:
            return (await session.scalar(counting) or 0) >= count

    await until(there)
    found = await inbound(database)
    assert len(found) == count
    return found
