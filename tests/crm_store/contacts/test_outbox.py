from __future__ import annotations

import pytest

from crm_store.contacts import outbox
from crm_store.database import Database
from crm_store.models import Channel, FactRow

pytestmark = pytest.mark.db

NUMBER = "+8613800138000"


async def _write(database: Database, text: str = "您的投诉编号 1234 5674", **values: object) -> int:
    async with database.transaction() as transaction:
        return await outbox.write(
            transaction,
            **({"channel": Channel.SMS, "to": NUMBER, "text": text} | values),  # type: ignore[arg-type]
        )


async def test_a_message_waits_and_says_so_once(database: Database) -> None:
    first = await _write(database, idempotency_key="complaint:12345674")
    assert await _write(database, idempotency_key="complaint:12345674") == first
    second = await _write(database, "another")
    third = await _write(database, "another")
    waiting = await outbox.waiting(database)
    assert [message.id for message in waiting] == [first, second, third]
    assert (waiting[0].recipient, waiting[0].channel, waiting[0].text) == (
        NUMBER, Channel.SMS, "您的投诉编号 1234 5674",
    )  # fmt: skip
    async with database.reading() as session:
        kinds = await session.scalars(FactRow.__table__.select().with_only_columns(FactRow.kind))
    assert list(kinds) == ["MessageWanted"] * 3


async def test_what_cannot_be_sent_is_refused(database: Database) -> None:
    for text in ("", "  ", "x" * 2_001):
        with pytest.raises(ValueError, match="characters"):
            await _write(database, text)
    for number in ("", "13800138000", "+86138\n0013", "a@b.example"):
        with pytest.raises(ValueError, match=r"E\.164"):
            await _write(database, to=number)
    assert await outbox.waiting(database) == []
