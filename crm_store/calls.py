"""Calls: exactly one row per call of a PBX, whatever is repeated, and its interaction.

Owns the writing of calls while they live and when they have ended, many at a time, and what
follows: an interaction per call with the outside, opened with the row, closed at once if nobody
answered (an answered one is closed by its agent's wrap-up). Knows nothing of AMI.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, cast, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store.database import Database, Transaction
from crm_store.facts import Fact, InteractionClosed, InteractionOpened
from crm_store.models import Call, CallState, Channel, Interaction
from crm_store.signals import CallSummary, Direction, Outcome

# Rows in one statement: PostgreSQL and SQLite both bound a statement's parameters to 32 thousand.
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """A call as it stands: while it lives, or ended. Times in seconds; None is "not known".

    `number` is the other side in E.164 where it has one, `agent` the login of who answered,
    `answered_by` that phone's endpoint, `keyed` what the customer keyed so far.
    """

    pbx: str
    linkedid: str
    state: CallState
    direction: Direction
    caller: str
    callee: str
    outcome: Outcome | None = None
    queue: str | None = None
    agent: str | None = None
    rang: Sequence[str] = ()
    answered_by: str | None = None
    transferred_to: str | None = None
    wait_s: float | None = None
    talk_s: float | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    customer_id: int | None = None
    number: str | None = None
    keyed: Sequence[str] = ()

    @classmethod
    def ended(
        cls,
        summary: CallSummary,
        *,
        agent: str | None = None,
        customer_id: int | None = None,
        number: str | None = None,
    ) -> CallRecord:
        """The record of a call that the call model has summed up."""
        return cls(
            pbx=summary.pbx,
            linkedid=summary.call,
            state=CallState.ENDED,
            direction=summary.direction,
            caller=summary.caller,
            callee=summary.callee,
            outcome=summary.outcome,
            queue=summary.queue,
            agent=agent,
            rang=summary.rang,
            answered_by=summary.answered_by,
            transferred_to=summary.transferred_to,
            wait_s=summary.wait_s,
            talk_s=summary.talk_s,
            started_at=_moment(summary.started_at),
            ended_at=_moment(summary.ended_at),
            customer_id=customer_id,
            number=number,
            keyed=(summary.keyed,) if summary.keyed else (),
        )


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """Where a call stands in the store; an internal call has no interaction."""

    call_id: int
    interaction_id: int | None


CallKey = tuple[str, str]  # pbx, linkedid


async def record_calls(
    transaction: Transaction, records: Iterable[CallRecord]
) -> dict[CallKey, RecordedCall]:
    """Write the calls, in the order given; where each stands, by (pbx, linkedid).

    Saying the same again changes nothing. An ended call does not live again. What is not known
    (None, nothing rang, nothing keyed) leaves what was known. Meant for `Database.run`.
    """
    latest: dict[CallKey, CallRecord] = {}
    for record in records:
        key = (record.pbx, record.linkedid)
        latest[key] = _joined(latest[key], record) if key in latest else record
    # One order for all writers: two of them cannot wait for each other.
    ordered = [latest[key] for key in sorted(latest)]
    recorded: dict[CallKey, RecordedCall] = {}
    for start in range(0, len(ordered), _ROWS_AT_ONCE):
        recorded |= await _record_some(transaction, ordered[start : start + _ROWS_AT_ONCE])
    return recorded


async def merge_call(transaction: Transaction, pbx: str, *, merged: str, into: str) -> None:
    """Asterisk joined call `merged` into call `into`: one row remains.

    The interaction of `merged` goes on as that of `into` if there is none yet; otherwise it stays
    in the history, closed and without a call. Repeating it changes nothing.
    """
    session = transaction.session
    rows = {
        call.linkedid: call
        for call in await session.scalars(
            select(Call)
            .where(Call.pbx == pbx, Call.linkedid.in_([merged, into]))
            .order_by(Call.linkedid)
            .with_for_update()
        )
    }
    gone = rows.get(merged)
    if gone is None or merged == into:
        return
    kept = rows.get(into)
    if kept is None:
        gone.linkedid = into
        await session.flush()
        return
    taken = await session.scalar(select(Interaction.id).where(Interaction.call_id == kept.id))
    moved = await session.scalar(
        update(Interaction)
        .where(Interaction.call_id == gone.id)
        .values(call_id=kept.id if taken is None else None)
        .returning(Interaction.id)
    )
    if moved is not None and taken is not None:
        await _close_interactions(transaction, [Interaction.id == moved], datetime.now(UTC))
    await session.execute(delete(Call).where(Call.id == gone.id))


async def end_lost_calls(
    transaction: Transaction, pbx: str, still_live: Collection[str], at: datetime
) -> list[str]:
    """End the rows of calls whose end nobody saw: those that Asterisk no longer lists.

    Returns their Linkedids. Their outcome is "answered" if an agent had them, else "failed".
    """
    session = transaction.session
    live = await session.execute(
        select(Call.id, Call.linkedid)
        .where(Call.pbx == pbx, Call.state == CallState.LIVE)
        .order_by(Call.linkedid)
        .with_for_update()
    )
    lost = {row.id: row.linkedid for row in live if row.linkedid not in still_live}
    for chunk in _chunks(list(lost)):
        await session.execute(
            update(Call)
            .where(Call.id.in_(chunk))
            .values(
                state=CallState.ENDED,
                ended_at=func.coalesce(Call.ended_at, at),
                outcome=func.coalesce(
                    Call.outcome,
                    case(
                        (Call.agent.is_not(None), Outcome.ANSWERED.value),
                        else_=Outcome.FAILED.value,
                    ),
                ),
            )
        )
        await _close_interactions(
            transaction, [Interaction.call_id.in_(chunk), Interaction.agent.is_(None)], at
        )
    return list(lost.values())


async def live_calls(database: Database, pbx: str) -> list[Call]:
    """The rows of calls that have not ended, oldest first."""
    query = (
        select(Call)
        .where(Call.pbx == pbx, Call.state == CallState.LIVE)
        .order_by(Call.started_at, Call.id)
    )
    async with database.reading() as session:
        return list(await session.scalars(query))


async def find(database: Database, pbx: str, linkedid: str) -> Call | None:
    async with database.reading() as session:
        found: Call | None = await session.scalar(
            select(Call).where(Call.pbx == pbx, Call.linkedid == linkedid)
        )
        return found


def _joined(old: CallRecord, new: CallRecord) -> CallRecord:
    """What both records know, the newer first: the rule of the table, for one batch."""
    if old.state is CallState.ENDED and new.state is CallState.LIVE:
        return old
    unknown = {
        name: getattr(old, name)
        for name in CallRecord.__dataclass_fields__
        if getattr(new, name) in (None, (), [])
    }
    return replace(new, **unknown)


async def _record_some(
    transaction: Transaction, records: list[CallRecord]
) -> dict[CallKey, RecordedCall]:
    await _write_rows(transaction.session, records)
    rows = await _rows_of(transaction.session, records)
    outside = [
        # A call that has ended learns nothing from a record of when it lived.
        (
            call_id,
            record
            if record.state is state
            else replace(record, agent=None, queue=None, customer_id=None, keyed=()),
        )
        for record in records
        for call_id, state in [rows[record.pbx, record.linkedid]]
        if record.direction is not Direction.INTERNAL
    ]
    interactions = await _write_interactions(transaction, outside) if outside else {}
    return {
        key: RecordedCall(call_id, interactions.get(call_id)) for key, (call_id, _) in rows.items()
    }


async def _write_rows(session: AsyncSession, records: list[CallRecord]) -> None:
    now = datetime.now(UTC)
    new = _insert(session)(Call)
    statement = new.values([_row(record, now) for record in records])
    said = statement.excluded
    keeps = ("outcome", "queue", "agent", "answered_by", "transferred_to", "wait_s", "talk_s",
             "ended_at", "customer_id")  # fmt: skip
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["pbx", "linkedid"],
            set_={
                "state": said.state,
                "direction": said.direction,
                "caller": said.caller,
                "callee": said.callee,
                "rang": case((cast(said.rang, Text) == "[]", Call.rang), else_=said.rang),
                **{name: func.coalesce(said[name], getattr(Call, name)) for name in keeps},
            },
            where=or_(Call.state == CallState.LIVE, said.state == CallState.ENDED),
        )
    )


async def _rows_of(
    session: AsyncSession, records: list[CallRecord]
) -> dict[CallKey, tuple[int, CallState]]:
    by_pbx: dict[str, list[str]] = {}
    for record in records:
        by_pbx.setdefault(record.pbx, []).append(record.linkedid)
    named = (
        and_(Call.pbx == pbx, Call.linkedid.in_(linkedids)) for pbx, linkedids in by_pbx.items()
    )
    query = select(Call.pbx, Call.linkedid, Call.id, Call.state).where(or_(*named))
    return {(row.pbx, row.linkedid): (row.id, row.state) for row in await session.execute(query)}


async def _write_interactions(
    transaction: Transaction, calls: list[tuple[int, CallRecord]]
) -> dict[int, int]:
    """Open the interactions that are missing, tell the others what is new; their ids by call."""
    session = transaction.session
    now = datetime.now(UTC)
    written = (
        _insert(session)(Interaction)
        .values([_interaction(call_id, record, now) for call_id, record in calls])
        .on_conflict_do_nothing(index_elements=["call_id"])
        .returning(Interaction.id, Interaction.call_id)
    )
    opened = {row.call_id: row.id for row in await session.execute(written)}
    facts: list[Fact] = [
        InteractionOpened(
            interaction_id=opened[call_id],
            customer_id=record.customer_id,
            channel=Channel.PHONE.value,
            direction=record.direction.value,
        )
        for call_id, record in calls
        if call_id in opened
    ]
    await transaction.emit(*facts)
    rows = await session.execute(
        select(
            Interaction.id,
            Interaction.call_id,
            Interaction.agent,
            Interaction.queue,
            Interaction.customer_id,
            Interaction.keyed,
            Interaction.closed_at,
        ).where(Interaction.call_id.in_([call_id for call_id, _ in calls]))
    )
    known = {row.call_id: row for row in rows}
    for call_id, record in calls:
        row = known[call_id]
        if news := _news(row, record):
            await session.execute(
                update(Interaction)
                .where(Interaction.id == row.id)
                .values(**news)
                .execution_options(synchronize_session=False)
            )
        answered = record.agent or row.agent
        if record.state is CallState.ENDED and not answered and row.closed_at is None:
            await _close_interactions(
                transaction, [Interaction.id == row.id], record.ended_at or now
            )
    return {call_id: row.id for call_id, row in known.items()}


def _news(row: Any, record: CallRecord) -> dict[str, Any]:
    """What the call knows and its interaction does not. A closed one only has its gaps filled:
    its agent's wrap-up has had the last word."""
    said = {
        "agent": record.agent,
        "queue": record.queue,
        "customer_id": record.customer_id,
        "keyed": list(record.keyed),
    }
    return {
        name: value
        for name, value in said.items()
        if value
        and value != getattr(row, name)
        and not (row.closed_at is not None and getattr(row, name))
    }


async def _close_interactions(
    transaction: Transaction, which: list[ColumnElement[bool]], at: datetime
) -> None:
    closed = await transaction.session.execute(
        update(Interaction)
        .where(Interaction.closed_at.is_(None), *which)
        .values(closed_at=at)
        .returning(Interaction.id, Interaction.customer_id, Interaction.disposition)
        .execution_options(synchronize_session=False)
    )
    await transaction.emit(
        *(
            InteractionClosed(
                interaction_id=row.id, customer_id=row.customer_id, disposition=row.disposition
            )
            for row in closed.all()
        )
    )


def _row(record: CallRecord, now: datetime) -> dict[str, Any]:
    row = {
        name: getattr(record, name)
        for name in CallRecord.__dataclass_fields__
        if name not in ("number", "keyed")
    }
    return row | {
        "rang": list(record.rang),
        "outcome": record.outcome.value if record.outcome is not None else None,
        "started_at": record.started_at or now,
    }


def _interaction(call_id: int, record: CallRecord, now: datetime) -> dict[str, Any]:
    other_side = record.caller if record.direction is Direction.INBOUND else record.callee
    return {
        "call_id": call_id,
        "customer_id": record.customer_id,
        "channel": Channel.PHONE,
        "direction": record.direction,
        "address": record.number or other_side,
        "opened_at": record.started_at or now,
        "agent": record.agent,
        "queue": record.queue,
        "keyed": list(record.keyed),
        "summary": "",
        "note": "",
    }


def _moment(seconds: float | None) -> datetime | None:
    """The PBX's clock as a moment; None where it wrote no time or an impossible one."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _insert(session: AsyncSession) -> Any:
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    return sqlite_insert if is_sqlite else postgresql_insert


def _chunks(ids: list[int]) -> Iterable[list[int]]:
    for start in range(0, len(ids), _ROWS_AT_ONCE):
        yield ids[start : start + _ROWS_AT_ONCE]
