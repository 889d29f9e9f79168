"""The outbox: messages that are to go out, each once.

Owns that a message is written with what it follows from, under a key that makes it one message
however often it is asked for. Sending is the channels': a fact says that one waits.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import insert, select

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.facts import MessageWanted
from crm_store.models import Channel, MessageState, OutboxMessage
from crm_store.people.phone_numbers import to_e164

LONGEST_TEXT = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as it stands. `to` is what the channel needs: E.164, an address."""

    id: int
    state: MessageState
    channel: Channel
    to: str
    text: str
    customer_id: int | None
    interaction_id: int | None
    written_at: datetime


async def write(
    transaction: Transaction,
    *,
    channel: Channel,
    to: str,
    text: str,
    customer_id: int | None = None,
    interaction_id: int | None = None,
    idempotency_key: str | None = None,
    actor: str = audit.SYSTEM,
) -> int:
    """Write a message that is to be sent; its id. The same key again is the same message.

    Raises ValueError for a text that is empty or too long, or an SMS to what is not E.164.
    """
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise ValueError(f"a message has 1 to {LONGEST_TEXT} characters")
    if channel is Channel.SMS and to_e164(to, "ZZ") != to:
        raise ValueError("an SMS goes to a number in E.164")
    session = transaction.session
    key = idempotency_key or secrets.token_hex(16)
    known = await session.scalar(
        select(OutboxMessage.id).where(OutboxMessage.idempotency_key == key)
    )
    if known is not None:
        return known
    now = datetime.now(UTC)
    message_id: int | None = await session.scalar(
        insert(OutboxMessage)
        .values(
            channel=channel,
            recipient=to,
            text=text,
            idempotency_key=key,
            customer_id=customer_id,
            interaction_id=interaction_id,
            written_by=actor,
            written_at=now,
            due_at=now,
        )
        .returning(OutboxMessage.id)
    )
    assert message_id is not None
    await transaction.emit(MessageWanted(message_id=message_id, channel=channel.value))
    return message_id


async def waiting(database: Database, *, limit: int = 100) -> list[Message]:
    """What is to be sent, the oldest first."""
    query = (
        select(OutboxMessage)
        .where(OutboxMessage.state == MessageState.WAITING)
        .order_by(OutboxMessage.id)
        .limit(limit)
    )
    async with database.reading() as session:
        return [
            Message(
                id=row.id,
                state=row.state,
                channel=row.channel,
                to=row.recipient,
                text=row.text,
                customer_id=row.customer_id,
                interaction_id=row.interaction_id,
                written_at=row.written_at,
            )
            for row in await session.scalars(query)
        ]
