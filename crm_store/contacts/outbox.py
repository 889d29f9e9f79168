"""The outbox: messages that are to go out, each once.

Owns that a message is written with what it follows from, under a key that makes it one message
however often it is asked for, and what people decide about one that did not get there. `sending`
has its way there; the channels send.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import case, select, text, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.facts import DeliveryChanged, MessageWanted
from crm_store.models import Channel, Message, MessageState, OutboxMessage, Purpose
from crm_store.people.customers import mail_address
from crm_store.people.phone_numbers import to_e164

LONGEST_TEXT = {Channel.SMS: 2_000, Channel.MESSENGER: 4_000}
LONGEST_LETTER = 200_000
LONGEST_SUBJECT = 300
LONGEST_ERROR = 300

PRECEDENCE = {Purpose.CODE: 0, Purpose.PROMOTION: 2}
"""Who goes before whom; everything else is 1."""

PRECEDENCES = (0, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRecord:
    """A message as it stands. `recipient` is what the channel needs: E.164, an address; the fields
    are the table's (models/messages.py)."""

    id: int
    state: MessageState
    channel: Channel
    recipient: str
    our_address: str
    subject: str
    text: str
    html: str
    headers: dict[str, str]
    language: str
    attachment_ids: list[int]
    purpose: Purpose
    idempotency_key: str
    message_id: int | None
    customer_id: int | None
    interaction_id: int | None
    written_by: str
    written_at: datetime
    due_at: datetime
    attempts: int
    repeats: int
    provider_id: str
    error: str
    segments: int | None
    cost_micros: int | None
    cost_currency: str
    is_secret: bool
    sent_at: datetime | None
    delivered_at: datetime | None


# ---- writing -------------------------------------------------------------------------------------


async def write(
    transaction: Transaction,
    *,
    channel: Channel,
    to: str,
    text: str,
    subject: str = "",
    html: str = "",
    headers: Mapping[str, str] | None = None,
    attachment_ids: Sequence[int] = (),
    language: str = "",
    our_address: str = "",
    purpose: Purpose = Purpose.NOTICE,
    message_id: int | None = None,
    customer_id: int | None = None,
    interaction_id: int | None = None,
    idempotency_key: str | None = None,
    due_at: datetime | None = None,
    is_secret: bool = False,
    actor: str = audit.SYSTEM,
) -> int:
    """Write a message that is to be sent, at once or not before `due_at`; its id. The same key
    again is the same message. The text of a secret one is wiped as soon as it was sent.

    Raises ValueError for a text that is empty (without files) or too long, an SMS to what is not
    E.164, a mail to what is no address, or headers with line ends.
    """
    longest = LONGEST_TEXT.get(channel, LONGEST_LETTER)
    if len(text) > longest or not (text.strip() or attachment_ids):
        raise ValueError(f"a message has 1 to {longest} characters")
    if channel is Channel.SMS and to_e164(to, "ZZ") != to:
        raise ValueError("an SMS goes to a number in E.164")
    if channel is Channel.MAIL and mail_address(to) != to:
        raise ValueError("a mail goes to an address in lower case")
    for name, value in (headers or {}).items():
        if not (name + value).isprintable():
            raise ValueError("a header is one line")
    connection = await transaction.session.connection()
    key = idempotency_key or secrets.token_hex(16)
    now = datetime.now(UTC)
    written = await connection.execute(
        _INSERT[connection.dialect.name],
        {
            "channel": channel,
            "recipient": to,
            "our_address": our_address,
            "subject": " ".join(subject.split())[:LONGEST_SUBJECT],
            "text": text,
            "html": html,
            "headers": dict(headers or {}),
            "language": language,
            "attachment_ids": list(attachment_ids),
            "purpose": purpose,
            "precedence": PRECEDENCE.get(purpose, 1),
            "idempotency_key": key,
            "message_id": message_id,
            "customer_id": customer_id,
            "interaction_id": interaction_id,
            "is_secret": is_secret,
            "written_by": actor,
            "written_at": now,
            "due_at": due_at or now,
        },
    )
    outbox_id = written.scalar_one_or_none()
    if outbox_id is None:
        known = await connection.execute(select(TABLE.c.id).where(TABLE.c.idempotency_key == key))
        return int(known.scalar_one())
    outbox_id = int(outbox_id)
    await transaction.emit(MessageWanted(message_id=outbox_id, channel=channel.value))
    return outbox_id


# ---- what people do ------------------------------------------------------------------------------


async def cancel(transaction: Transaction, outbox_id: int, *, actor: str) -> bool:
    """Do not send it. False if it is too late for that."""
    return await _decide(
        transaction,
        outbox_id,
        "cancelled",
        actor=actor,
        states=[MessageState.WAITING, MessageState.UNCERTAIN, MessageState.FAILED],
        values={"state": MessageState.CANCELLED} | WIPED,
    )


async def send_again(transaction: Transaction, outbox_id: int, *, actor: str) -> bool:
    """Try a failed or an uncertain one again, as a person decided. False for any other, and for a
    secret one: its text is gone."""
    return await _decide(
        transaction,
        outbox_id,
        "sent again",
        OutboxMessage.is_secret.is_(False),
        actor=actor,
        states=[MessageState.UNCERTAIN, MessageState.FAILED],
        values={
            "state": MessageState.WAITING,
            "due_at": datetime.now(UTC),
            "attempts": 0,
            "repeats": case(
                (TABLE.c.state == MessageState.UNCERTAIN, TABLE.c.repeats + 1),
                else_=TABLE.c.repeats,
            ),
        },
    )


# ---- reading -------------------------------------------------------------------------------------


async def find(database: Database, outbox_id: int) -> OutboxRecord | None:
    found = await _read(database, OutboxMessage.id == outbox_id)
    return found[0] if found else None


async def waiting(
    database: Database, *, channel: Channel | None = None, limit: int = 100
) -> list[OutboxRecord]:
    """What is to be sent, the oldest first."""
    conditions: list[Any] = [OutboxMessage.state == MessageState.WAITING]
    if channel is not None:
        conditions.append(OutboxMessage.channel == channel)
    return await _read(database, *conditions, limit=limit)


async def undecided(database: Database, *, limit: int = 100) -> list[OutboxRecord]:
    """What failed or may have been sent, and waits for a person; the oldest first."""
    # As the partial index has it: it is only used where the query says the same.
    return await _read(database, text("state IN ('failed', 'uncertain')"), limit=limit)


async def _read(database: Database, *conditions: Any, limit: int = 1) -> list[OutboxRecord]:
    columns = [TABLE.c[name] for name in FIELDS]
    query = select(*columns).where(*conditions).order_by(OutboxMessage.id).limit(limit)
    async with database.reading() as session:
        return [OutboxRecord(**row._mapping) for row in await session.execute(query)]


# ---- how -----------------------------------------------------------------------------------------

FIELDS = tuple(OutboxRecord.__dataclass_fields__)
TABLE: Any = OutboxMessage.__table__
_INSERT = {
    name: make(TABLE)
    .on_conflict_do_nothing(index_elements=["idempotency_key"])
    .returning(TABLE.c.id)
    for name, make in (("sqlite", sqlite_insert), ("postgresql", postgresql_insert))
}
WIPED: dict[str, Any] = {
    name: case((TABLE.c.is_secret, ""), else_=TABLE.c[name]) for name in ("text", "html")
}


async def _decide(
    transaction: Transaction,
    outbox_id: int,
    action: str,
    *conditions: Any,
    actor: str,
    states: Sequence[MessageState],
    values: dict[str, Any],
) -> bool:
    done = await transaction.session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id == outbox_id, OutboxMessage.state.in_(states), *conditions)
        .values(**values)
        .execution_options(synchronize_session=False)
        .returning(OutboxMessage.id, OutboxMessage.channel)
    )
    row = done.one_or_none()
    if row is None:
        return False
    await audit.record(
        transaction,
        actor=actor,
        action=action,
        subject_kind="outbox_message",
        subject_id=outbox_id,
        fields=["state"],
    )
    if values["state"] is MessageState.WAITING:
        await transaction.emit(MessageWanted(message_id=outbox_id, channel=row.channel.value))
    await tell(transaction, [outbox_id])
    return True


async def tell(transaction: Transaction, outbox_ids: Sequence[int]) -> None:
    """DeliveryChanged for those that are messages of a conversation."""
    rows = await transaction.session.execute(
        select(
            OutboxMessage.id, OutboxMessage.message_id, Message.conversation_id, OutboxMessage.state
        )
        .join(Message, Message.id == OutboxMessage.message_id)
        .where(OutboxMessage.id.in_(outbox_ids))
        .order_by(OutboxMessage.id)
    )
    await transaction.emit(
        *(
            DeliveryChanged(
                outbox_id=row.id,
                message_id=row.message_id,
                conversation_id=row.conversation_id,
                state=row.state.value,
            )
            for row in rows
        )
    )
