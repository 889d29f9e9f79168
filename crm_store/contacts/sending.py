"""The way of a message out of the outbox: claimed, accepted, refused, in doubt, delivered.

Owns the row's way once it waits: sending under a worker's claim, sent, delivered, failed, or
uncertain. A row is "sending" and committed before a byte of it goes out, so whoever finds one whose
claim ran out knows that it may have arrived. Sends nothing itself: that is the channels'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Integer, bindparam, case, or_, select, update

from crm_store.contacts.outbox import (
    FIELDS,
    LONGEST_ERROR,
    PRECEDENCES,
    TABLE,
    WIPED,
    OutboxRecord,
    tell,
)
from crm_store.database import Database, Transaction
from crm_store.models import Channel, MessageState, OutboxMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedMessage:
    """The other side has row `id`, and calls it `provider_id`. Costs in millionths."""

    id: int
    provider_id: str = ""
    segments: int | None = None
    cost_micros: int | None = None
    cost_currency: str = ""


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
    await tell(transaction, [one.id for one in messages])


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
        transaction, outbox_id, state=MessageState.FAILED, error=error[:LONGEST_ERROR], **WIPED
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
    await tell(transaction, [outbox_id])
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
        await tell(transaction, [row.id])
    return True


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


# ---- how -----------------------------------------------------------------------------------------

# One precedence at a time: what is not due yet would else be passed over again and again.
_CLAIM = (
    update(TABLE)
    .where(
        TABLE.c.id.in_(
            select(TABLE.c.id)
            .where(
                TABLE.c.state == MessageState.WAITING,
                TABLE.c.channel == bindparam("of_channel", type_=TABLE.c.channel.type),
                TABLE.c.precedence == bindparam("of_precedence"),
                TABLE.c.due_at <= bindparam("moment", type_=TABLE.c.due_at.type),
            )
            .order_by(TABLE.c.due_at, TABLE.c.id)
            .limit(bindparam("room", type_=Integer()))
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
    )
    .values(
        state=MessageState.SENDING,
        claimed_by=bindparam("worker"),
        claimed_until=bindparam("until", type_=TABLE.c.claimed_until.type),
        attempts=TABLE.c.attempts + 1,
        error="",
    )
    .returning(*(TABLE.c[name] for name in FIELDS))
)
_ACCEPT = (
    update(TABLE)
    .where(TABLE.c.id == bindparam("row"))
    .values(
        state=case(
            (
                or_(
                    TABLE.c.state == MessageState.SENDING,
                    TABLE.c.state == MessageState.WAITING,
                ),
                MessageState.SENT.value,
            ),
            else_=TABLE.c.state,
        ),
        provider_id=case(
            (TABLE.c.provider_id == "", bindparam("provider")), else_=TABLE.c.provider_id
        ),
        segments=bindparam("of_segments"),
        cost_micros=case(
            (TABLE.c.cost_micros.is_(None), bindparam("cost", type_=TABLE.c.cost_micros.type)),
            else_=TABLE.c.cost_micros,
        ),
        cost_currency=case(
            (TABLE.c.cost_micros.is_(None), bindparam("currency")),
            else_=TABLE.c.cost_currency,
        ),
        sent_at=bindparam("moment"),
        claimed_by="",
        claimed_until=None,
        **WIPED,
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
    await tell(transaction, [outbox_id])
