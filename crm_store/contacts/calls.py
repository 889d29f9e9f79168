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

from sqlalchemy import (
    ColumnElement,
    Text,
    bindparam,
    case,
    cast,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from crm_store.contacts import interactions
from crm_store.database import Database, Transaction
from crm_store.facts import Fact, InteractionClosed, InteractionOpened
from crm_store.models import Call, CallState, Channel, Interaction, WrapUp
from crm_store.signals import CallSummary, Direction, Outcome

CallKey = tuple[str, str]  # pbx, linkedid

# Rows in one statement: few enough that preparing them does not hold up a pop.
_ROWS_AT_ONCE = 50


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

    @property
    def key(self) -> CallKey:
        return self.pbx, self.linkedid

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


async def record_calls(
    transaction: Transaction, records: Iterable[CallRecord]
) -> dict[CallKey, RecordedCall]:
    """Write the calls, in the order given; where each stands, by (pbx, linkedid).

    Saying the same again changes nothing. An ended call does not live again. What is not known
    (None, nothing rang, nothing keyed) leaves what was known. Meant for `Database.run`.
    """
    living: dict[CallKey, CallRecord] = {}
    ended: dict[CallKey, CallRecord] = {}
    for record in records:
        if record.state is CallState.ENDED:
            ended[record.key] = _joined(ended.get(record.key), record)
        elif record.key not in ended:
            living[record.key] = _joined(living.get(record.key), record)
    recorded: dict[CallKey, RecordedCall] = {}
    # What is said of a living call comes first: it is nothing to one that had ended before.
    for latest in (living, ended):
        # One order for all writers: two of them cannot wait for each other.
        ordered = [latest[key] for key in sorted(latest)]
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
        await _move_wrap_ups(transaction, moved, taken)
    await session.execute(delete(Call).where(Call.id == gone.id))


async def _move_wrap_ups(transaction: Transaction, interaction_id: int, into: int) -> None:
    """Who took part in the one takes part in the other; what they wrote stays where it was."""
    session = transaction.session
    drafts = WrapUp.interaction_id == interaction_id, WrapUp.closed_at.is_(None)
    agents = await session.scalars(select(WrapUp.agent).where(*drafts).order_by(WrapUp.id))
    await interactions.join_agents(transaction, [(into, agent) for agent in agents])
    await session.execute(delete(WrapUp).where(*drafts, WrapUp.note == ""))
    await session.execute(update(WrapUp).where(*drafts).values(closed_at=datetime.now(UTC)))


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


def _joined(old: CallRecord | None, new: CallRecord) -> CallRecord:
    """What both records know, the newer first: the rule of the table, for one batch."""
    if old is None:
        return new
    unknown = {
        name: getattr(old, name)
        for name in CallRecord.__dataclass_fields__
        if getattr(new, name) in (None, (), [])
    }
    return replace(new, **unknown)


async def _record_some(
    transaction: Transaction, records: list[CallRecord]
) -> dict[CallKey, RecordedCall]:
    now = datetime.now(UTC)
    connection = await transaction.session.connection()
    await connection.execute(
        _WRITE_CALL[connection.dialect.name], [_row(record, now) for record in records]
    )
    known = await _known(connection, records)
    missing = [
        _interaction(known[record.key].call_id, record, now)
        for record in records
        if record.direction is not Direction.INTERNAL and known[record.key].id is None
    ]
    opened: list[tuple[CallKey, Any]] = []
    if missing:
        await connection.execute(_OPEN_INTERACTION[connection.dialect.name], missing)
        opened = [(key, row) for key, row in known.items() if row.id is None]
        known = await _known(connection, records)
        await transaction.emit(*(_opened(known[key]) for key, _ in opened if known[key].id))
    await _tell_interactions(transaction, connection, records, known, now)
    new = {key for key, _ in opened}
    await interactions.join_agents(
        transaction,
        [
            (known[record.key].id, record.agent)
            for record in records
            if record.agent
            and known[record.key].id is not None
            and (record.key in new or record.agent != known[record.key].agent)
        ],
    )
    return {key: RecordedCall(row.call_id, row.id) for key, row in known.items()}


async def _known(connection: AsyncConnection, records: list[CallRecord]) -> dict[CallKey, Any]:
    """Each call's id and state, and its interaction if there is one (else its `id` is None)."""
    by_pbx: dict[str, list[str]] = {}
    for record in records:
        by_pbx.setdefault(record.pbx, []).append(record.linkedid)
    found: dict[CallKey, Any] = {}
    for pbx, linkedids in by_pbx.items():
        rows = await connection.execute(_FIND, {"pbx": pbx, "linkedids": linkedids})
        found |= {(pbx, row.linkedid): row for row in rows}
    return found


async def _tell_interactions(
    transaction: Transaction,
    connection: AsyncConnection,
    records: list[CallRecord],
    known: dict[CallKey, Any],
    now: datetime,
) -> None:
    """What the calls know goes into their interactions; those that nobody answered are closed.

    A call that has ended learns nothing from a record of when it lived, and a closed interaction
    only has its gaps filled: its agent's wrap-up has had the last word.
    """
    told: list[dict[str, Any]] = []
    closed: list[Fact] = []
    for record in records:
        row = known[record.key]
        if row.id is None or record.state is not row.state:
            continue
        was = {name: getattr(row, name) for name in ("agent", "queue", "customer_id", "keyed")}
        said = {name: getattr(record, name) or was[name] for name in was}
        said["keyed"] = list(said["keyed"])
        closed_at = row.closed_at
        if closed_at is not None:
            said = {name: was[name] or value for name, value in said.items()}
        elif record.state is CallState.ENDED and not said["agent"]:
            closed_at = record.ended_at or now
            closed.append(
                InteractionClosed(
                    interaction_id=row.id,
                    customer_id=said["customer_id"],
                    disposition=row.disposition,
                )
            )
        if said != was or closed_at != row.closed_at:
            values = {f"new_{name}": value for name, value in said.items()}
            told.append(values | {"row_id": row.id, "new_closed_at": closed_at})
    if told:
        await connection.execute(_TELL, told)
    await transaction.emit(*closed)


def _opened(row: Any) -> InteractionOpened:
    return InteractionOpened(
        interaction_id=row.id,
        customer_id=row.customer_id,
        channel=Channel.PHONE.value,
        direction=row.direction.value,
    )


def _write_call(insert: Any) -> Any:
    """The rule of the calls' table, for `insert` of one dialect or the other."""
    statement = insert(_calls)
    said = statement.excluded
    keeps = (
        "outcome", "queue", "agent", "answered_by", "transferred_to", "wait_s", "talk_s",
        "ended_at", "customer_id",
    )  # fmt: skip
    return statement.on_conflict_do_update(
        index_elements=["pbx", "linkedid"],
        set_={
            "state": said.state,
            "direction": said.direction,
            "caller": said.caller,
            "callee": said.callee,
            "rang": case((cast(said.rang, Text) == "[]", _calls.c.rang), else_=said.rang),
            **{name: func.coalesce(said[name], _calls.c[name]) for name in keeps},
        },
        where=or_(_calls.c.state == CallState.LIVE, said.state == CallState.ENDED),
    )


# Made once: at a hundred calls a second, putting a statement together costs more than running it.
_calls: Any = Call.__table__
_interactions: Any = Interaction.__table__
_WRITE_CALL = {
    "sqlite": _write_call(sqlite_insert),
    "postgresql": _write_call(postgresql_insert),
}
_OPEN_INTERACTION = {
    name: insert(_interactions).on_conflict_do_nothing(index_elements=["call_id"])
    for name, insert in (("sqlite", sqlite_insert), ("postgresql", postgresql_insert))
}
_FIND = (
    select(
        _calls.c.linkedid,
        _calls.c.id.label("call_id"),
        _calls.c.state,
        _interactions.c.id,
        _interactions.c.direction,
        _interactions.c.customer_id,
        _interactions.c.agent,
        _interactions.c.queue,
        _interactions.c.keyed,
        _interactions.c.disposition,
        _interactions.c.closed_at,
    )
    .outerjoin(_interactions, _interactions.c.call_id == _calls.c.id)
    .where(
        _calls.c.pbx == bindparam("pbx"),
        _calls.c.linkedid.in_(bindparam("linkedids", expanding=True)),
    )
)
_TELL = (
    update(_interactions)
    .where(_interactions.c.id == bindparam("row_id"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in ("agent", "queue", "customer_id", "keyed", "closed_at")
        }
    )
)


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


def _chunks(ids: list[int]) -> Iterable[list[int]]:
    for start in range(0, len(ids), _ROWS_AT_ONCE):
        yield ids[start : start + _ROWS_AT_ONCE]
