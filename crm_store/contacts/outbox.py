"""The outbox: messages that are to go out, each once.

Owns that a message is written with what it follows from, under a key that makes it one message
however often it is asked for; and the row's way: waiting, sending under a worker's claim, sent,
delivered, failed, or uncertain. A row is "sending" and committed before a byte of it goes out, so
whoever finds one whose claim ran out knows that it may have arrived. Sends nothing itself: that is
the channels'.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Integer, bindparam, case, or_, select, text, update
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedMessage:
    """The other side has row `id`, and calls it `provider_id`. Costs in millionths."""

    id: int
    provider_id: str = ""
    segments: int | None = None
    cost_micros: int | None = None
    cost_currency: str = ""


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
        known = await connection.execute(select(_table.c.id).where(_table.c.idempotency_key == key))
        return int(known.scalar_one())
    outbox_id = int(outbox_id)
    await transaction.emit(MessageWanted(message_id=outbox_id, channel=channel.value))
    return outbox_id


# ---- the way of a row ----------------------------------------------------------------------------


async def claim(
    transaction: Transaction,
    channel: Channel,
    worker: str,
    *,
    limit: int,
    lease_s: float,
    now: datetime | None = None,
) -> list[OutboxRecord]:
    """Take up to `limit` messages that are due; they are "sending" for so many seconds.

    To be committed before anything of them goes out.
    """
    moment = now or datetime.now(UTC)
    connection = await transaction.session.connection()
    rows: list[OutboxRecord] = []
    for precedence in PRECEDENCES:
        if len(rows) >= limit:
            break
        due = {"of_channel": channel, "of_precedence": precedence, "moment": moment}
        claimed = {"worker": worker, "until": moment + timedelta(seconds=lease_s)}
        taken = await connection.execute(_CLAIM, due | claimed | {"room": limit - len(rows)})
        found = [OutboxRecord(**row._mapping) for row in taken]
        rows += sorted(found, key=lambda row: (row.due_at, row.id))
    return rows


async def accepted(
    transaction: Transaction, messages: Sequence[AcceptedMessage], *, now: datetime | None = None
) -> None:
    """The other side has these. News of delivery may have been quicker; they stand."""
    if not messages:
        return
    moment = now or datetime.now(UTC)
    connection = await transaction.session.connection()
    await connection.execute(
        _ACCEPT,
        [
            {
                "row": one.id,
                "provider": one.provider_id,
                "of_segments": one.segments,
                "cost": one.cost_micros,
                "currency": one.cost_currency,
                "moment": moment,
            }
            for one in messages
        ],
    )
    await _tell(transaction, [one.id for one in messages])


async def not_now(
    transaction: Transaction,
    outbox_id: int,
    *,
    wait_s: float,
    error: str,
    now: datetime | None = None,
) -> None:
    """It is certain that nothing was accepted: it waits again."""
    moment = now or datetime.now(UTC)
    await _change(
        transaction,
        outbox_id,
        state=MessageState.WAITING,
        due_at=moment + timedelta(seconds=wait_s),
        error=error[:LONGEST_ERROR],
    )


async def refused(transaction: Transaction, outbox_id: int, *, error: str) -> None:
    """The other side will never take it."""
    await _change(
        transaction, outbox_id, state=MessageState.FAILED, error=error[:LONGEST_ERROR], **_WIPED
    )


async def unsure(
    transaction: Transaction,
    outbox_id: int,
    *,
    error: str,
    recognises_repeats: bool,
    wait_s: float = 0,
    now: datetime | None = None,
) -> MessageState:
    """Nobody knows whether it was accepted: it is sent once more, marked as a repeat. If it was one
    already, and the other side does not recognise repeats, it is a person's to decide; the state
    says which."""
    row = await transaction.session.get(
        OutboxMessage, outbox_id, with_for_update=True, populate_existing=True
    )
    if row is None or row.state is not MessageState.SENDING:
        return row.state if row is not None else MessageState.CANCELLED
    moment = now or datetime.now(UTC)
    again = recognises_repeats or row.repeats == 0
    row.error = error[:LONGEST_ERROR]
    row.claimed_by, row.claimed_until = "", None
    if again:
        row.state = MessageState.WAITING
        row.due_at = moment + timedelta(seconds=wait_s)
        row.repeats += 1
    else:
        row.state = MessageState.UNCERTAIN
    await transaction.session.flush()
    await _tell(transaction, [outbox_id])
    return row.state


async def take_back(
    transaction: Transaction,
    channel: Channel,
    *,
    recognises_repeats: bool,
    limit: int = 500,
    now: datetime | None = None,
) -> list[tuple[int, MessageState]]:
    """Messages whose worker was killed while it sent them: what becomes of each (see `unsure`)."""
    moment = now or datetime.now(UTC)
    lost = await transaction.session.scalars(
        select(OutboxMessage.id)
        .where(
            OutboxMessage.state == MessageState.SENDING,
            OutboxMessage.channel == channel,
            OutboxMessage.claimed_until <= moment,
        )
        .order_by(OutboxMessage.claimed_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [
        (
            outbox_id,
            await unsure(
                transaction,
                outbox_id,
                error="the sender stopped half-way",
                recognises_repeats=recognises_repeats,
                now=moment,
            ),
        )
        for outbox_id in lost.all()
    ]


async def prolong(
    transaction: Transaction, outbox_ids: Sequence[int], worker: str, until: datetime
) -> None:
    """The worker is still at these."""
    await transaction.session.execute(
        update(OutboxMessage)
        .where(
            OutboxMessage.id.in_(outbox_ids),
            OutboxMessage.state == MessageState.SENDING,
            OutboxMessage.claimed_by == worker,
        )
        .values(claimed_until=until)
    )


async def delivery(
    transaction: Transaction,
    *,
    state: MessageState,
    provider_id: str = "",
    outbox_id: int | None = None,
    error: str = "",
    cost_micros: int | None = None,
    cost_currency: str = "",
    now: datetime | None = None,
) -> bool:
    """News of a message on its way, by what the provider calls it or by our row; False if there is
    no such message. News that come late or twice change nothing: what was delivered stays so."""
    moment = now or datetime.now(UTC)
    query = select(OutboxMessage).with_for_update()
    if outbox_id is not None:
        query = query.where(OutboxMessage.id == outbox_id)
    elif provider_id:
        # The partial index is only used where the query says as much.
        query = query.where(
            OutboxMessage.provider_id != "", OutboxMessage.provider_id == provider_id
        )
    else:
        return False
    row = (await transaction.session.scalars(query.limit(1))).one_or_none()
    if row is None:
        return False
    if cost_micros is not None:
        row.cost_micros, row.cost_currency = cost_micros, cost_currency
    row.provider_id = row.provider_id or provider_id
    before = row.state
    if before not in (MessageState.DELIVERED, MessageState.CANCELLED, state):
        if state is MessageState.SENT and before is not MessageState.FAILED:
            row.state, row.sent_at = state, row.sent_at or moment
        elif state is MessageState.DELIVERED:
            row.state, row.delivered_at = state, moment
            row.sent_at = row.sent_at or moment
            row.error = ""
        elif state is MessageState.FAILED:
            row.state, row.error = state, error[:LONGEST_ERROR]
    if row.is_secret and row.state is not MessageState.SENDING:
        row.text = row.html = ""
    await transaction.session.flush()
    if row.state is not before:
        await _tell(transaction, [row.id])
    return True


# ---- what people do ------------------------------------------------------------------------------


async def cancel(transaction: Transaction, outbox_id: int, *, actor: str) -> bool:
    """Do not send it. False if it is too late for that."""
    return await _decide(
        transaction,
        outbox_id,
        "cancelled",
        actor=actor,
        states=[MessageState.WAITING, MessageState.UNCERTAIN, MessageState.FAILED],
        values={"state": MessageState.CANCELLED} | _WIPED,
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
                (_table.c.state == MessageState.UNCERTAIN, _table.c.repeats + 1),
                else_=_table.c.repeats,
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


async def next_due(database: Database, channel: Channel) -> datetime | None:
    """When the next message of a channel is due or its sender's claim runs out, None if none."""
    # Each is the first of its index; all together would be sorted each time.
    asked = [
        select(OutboxMessage.due_at)
        .where(
            OutboxMessage.state == MessageState.WAITING,
            OutboxMessage.channel == channel,
            OutboxMessage.precedence == precedence,
        )
        .order_by(OutboxMessage.due_at)
        for precedence in PRECEDENCES
    ]
    claimed = (
        select(OutboxMessage.claimed_until)
        .where(OutboxMessage.state == MessageState.SENDING, OutboxMessage.channel == channel)
        .order_by(OutboxMessage.claimed_until)
    )
    async with database.reading() as session:
        moments = [await session.scalar(query.limit(1)) for query in (*asked, claimed)]
    return min((moment for moment in moments if moment is not None), default=None)


async def _read(database: Database, *conditions: Any, limit: int = 1) -> list[OutboxRecord]:
    columns = [_table.c[name] for name in _FIELDS]
    query = select(*columns).where(*conditions).order_by(OutboxMessage.id).limit(limit)
    async with database.reading() as session:
        return [OutboxRecord(**row._mapping) for row in await session.execute(query)]


# ---- how -----------------------------------------------------------------------------------------

_FIELDS = tuple(OutboxRecord.__dataclass_fields__)
_table: Any = OutboxMessage.__table__
_INSERT = {
    name: make(_table)
    .on_conflict_do_nothing(index_elements=["idempotency_key"])
    .returning(_table.c.id)
    for name, make in (("sqlite", sqlite_insert), ("postgresql", postgresql_insert))
}
_WIPED: dict[str, Any] = {
    name: case((_table.c.is_secret, ""), else_=_table.c[name]) for name in ("text", "html")
}
# One precedence at a time: what is not due yet would else be passed over again and again.
_CLAIM = (
    update(_table)
    .where(
        _table.c.id.in_(
            select(_table.c.id)
            .where(
                _table.c.state == MessageState.WAITING,
                _table.c.channel == bindparam("of_channel", type_=_table.c.channel.type),
                _table.c.precedence == bindparam("of_precedence"),
                _table.c.due_at <= bindparam("moment", type_=_table.c.due_at.type),
            )
            .order_by(_table.c.due_at, _table.c.id)
            .limit(bindparam("room", type_=Integer()))
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
    )
    .values(
        state=MessageState.SENDING,
        claimed_by=bindparam("worker"),
        claimed_until=bindparam("until", type_=_table.c.claimed_until.type),
        attempts=_table.c.attempts + 1,
        error="",
    )
    .returning(*(_table.c[name] for name in _FIELDS))
)
_ACCEPT = (
    update(_table)
    .where(_table.c.id == bindparam("row"))
    .values(
        state=case(
            (
                or_(
                    _table.c.state == MessageState.SENDING,
                    _table.c.state == MessageState.WAITING,
                ),
                MessageState.SENT.value,
            ),
            else_=_table.c.state,
        ),
        provider_id=case(
            (_table.c.provider_id == "", bindparam("provider")), else_=_table.c.provider_id
        ),
        segments=bindparam("of_segments"),
        cost_micros=case(
            (_table.c.cost_micros.is_(None), bindparam("cost", type_=_table.c.cost_micros.type)),
            else_=_table.c.cost_micros,
        ),
        cost_currency=case(
            (_table.c.cost_micros.is_(None), bindparam("currency")),
            else_=_table.c.cost_currency,
        ),
        sent_at=bindparam("moment"),
        claimed_by="",
        claimed_until=None,
        **_WIPED,
    )
)


async def _change(transaction: Transaction, outbox_id: int, **values: Any) -> None:
    """Change a row that is being sent; one that a person or news of it took on stays."""
    await transaction.session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id == outbox_id, OutboxMessage.state == MessageState.SENDING)
        .values(claimed_by="", claimed_until=None, **values)
        .execution_options(synchronize_session=False)
    )
    await _tell(transaction, [outbox_id])


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
    await _tell(transaction, [outbox_id])
    return True


async def _tell(transaction: Transaction, outbox_ids: Sequence[int]) -> None:
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
