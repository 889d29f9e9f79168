"""Interactions: one contact between a person and the house, on any channel.

Owns their life from opened to closed with a disposition, what each agent on one wrote of it, and
the history that a card and a desk show. Emits InteractionOpened and InteractionClosed. Knows no
channel's technique: calls write theirs through `calls`, mail and the rest through modules of their
own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, and_, exists, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from crm_store import audit, text_search
from crm_store.database import Database, Transaction
from crm_store.facts import InteractionClosed, InteractionOpened
from crm_store.models import Agent, Call, Channel, Conversation, Customer, Interaction, WrapUp
from crm_store.signals import Direction


@dataclass(frozen=True, slots=True)
class PastInteraction:
    """One line of a history. `keyed` is what the customer keyed, `call_id` the row of the call."""

    id: int
    channel: Channel
    direction: str
    opened_at: datetime
    closed_at: datetime | None
    agent: str | None
    queue: str | None
    disposition: str | None
    summary: str
    note: str
    keyed: tuple[str, ...]
    call_id: int | None
    customer_id: int | None = None


async def open_interaction(
    transaction: Transaction,
    *,
    channel: Channel,
    direction: Direction,
    customer_id: int | None = None,
    address: str = "",
    at: datetime | None = None,
    agent: str | None = None,
    queue: str | None = None,
    summary: str = "",
    note: str = "",
    keyed: Sequence[str] = (),
) -> int:
    """Write a new interaction; the row's id. `address` is the other side's, as the channel has it.

    Calls are not opened here but by `calls.record_calls`, which knows each call's one row.
    """
    connection = await transaction.session.connection()
    written = await connection.execute(
        _OPEN,
        {
            "customer_id": customer_id,
            "channel": channel,
            "direction": direction,
            "address": address,
            "opened_at": at or datetime.now(UTC),
            "agent": agent,
            "queue": queue,
            "summary": summary,
            "note": note,
            "keyed": list(keyed),
        },
    )
    interaction_id = int(written.scalar_one())
    await transaction.emit(
        InteractionOpened(
            interaction_id=interaction_id,
            customer_id=customer_id,
            channel=channel.value,
            direction=direction.value,
        )
    )
    return interaction_id


async def close(
    transaction: Transaction,
    interaction_id: int,
    *,
    disposition: str | None,
    agent: str | None = None,
    summary: str | None = None,
    note: str | None = None,
    at: datetime | None = None,
) -> bool:
    """Close it. Closing again changes what is given and keeps the first moment: then False.

    `note` and `disposition` are `agent`'s own; the interaction has the last disposition, and all
    agents' notes. Raises LookupError if there is no such interaction.
    """
    row = await _locked(transaction, interaction_id)
    first = row.closed_at is None
    moment = at or datetime.now(UTC)
    if first:
        row.closed_at = moment
    row.disposition = disposition if disposition is not None else row.disposition
    row.agent = agent if agent is not None else row.agent
    row.summary = summary if summary is not None else row.summary
    if agent is None:
        row.note = note if note is not None else row.note
    else:
        values = {"closed_at": moment, "disposition": disposition, "note": note}
        await _write_up(transaction, row, agent, moment, values)
    await transaction.session.flush()
    await text_search.index_interaction(transaction, interaction_id)
    if first:
        await transaction.emit(
            InteractionClosed(
                interaction_id=interaction_id,
                customer_id=row.customer_id,
                disposition=row.disposition,
            )
        )
    return first


async def save_note(
    transaction: Transaction, interaction_id: int, note: str, *, agent: str | None = None
) -> None:
    """Keep a note while it is being written, by `agent` or by nobody in particular.

    Raises LookupError if there is no such interaction.
    """
    row = await _locked(transaction, interaction_id)
    if agent is None:
        row.note = note
    else:
        await _write_up(transaction, row, agent, datetime.now(UTC), {"note": note})
    await transaction.session.flush()
    await text_search.index_interaction(transaction, interaction_id)


async def join_agents(transaction: Transaction, joined: Iterable[tuple[int, str]]) -> None:
    """These agents (logins) take part in these interactions, and have each to wrap up."""
    rows = [
        {
            "interaction_id": interaction_id,
            "agent": agent,
            "note": "",
            "saved_at": datetime.now(UTC),
        }
        for interaction_id, agent in joined
    ]
    if rows:
        connection = await transaction.session.connection()
        make = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
        await connection.execute(make(WrapUp.__table__).on_conflict_do_nothing(), rows)  # type: ignore[arg-type]


async def has_part(database: Database, interaction_id: int, agent: str) -> bool:
    """Whether this agent (login) took part in it."""
    query = select(WrapUp.id).where(WrapUp.interaction_id == interaction_id, WrapUp.agent == agent)
    async with database.reading() as session:
        return await session.scalar(query) is not None


async def note_of(database: Database, interaction_id: int, agent: str) -> str:
    """What this agent has written of it so far."""
    query = select(WrapUp.note).where(
        WrapUp.interaction_id == interaction_id, WrapUp.agent == agent
    )
    async with database.reading() as session:
        return await session.scalar(query) or ""


async def add_keyed(transaction: Transaction, interaction_id: int, keyed: Sequence[str]) -> None:
    """Add what the customer keyed. Raises LookupError if there is no such interaction."""
    row = await _locked(transaction, interaction_id)
    row.keyed = [*row.keyed, *keyed]
    await transaction.session.flush()


async def assign_customer(
    transaction: Transaction, interaction_id: int, customer_id: int, *, actor: str
) -> None:
    """Say whose interaction it was (and whose call). Raises LookupError if either is unknown."""
    session = transaction.session
    row = await _locked(transaction, interaction_id)
    if await session.scalar(select(Customer.id).where(Customer.id == customer_id)) is None:
        raise LookupError(f"there is no customer {customer_id}")
    row.customer_id = customer_id
    await session.flush()
    if row.call_id is not None:
        await session.execute(
            update(Call).where(Call.id == row.call_id).values(customer_id=customer_id)
        )
    await audit.record(
        transaction,
        actor=actor,
        action="changed",
        subject_kind="interaction",
        subject_id=interaction_id,
        fields=["customer_id"],
    )


async def find(database: Database, interaction_id: int) -> PastInteraction | None:
    return next(iter(await _read(database, _LINES.where(Interaction.id == interaction_id))), None)


async def of_call(database: Database, pbx: str, linkedid: str) -> PastInteraction | None:
    """The interaction of a call; None for an unknown or an internal one."""
    query = _LINES.join(Call, Call.id == Interaction.call_id).where(
        Call.pbx == pbx, Call.linkedid == linkedid
    )
    return next(iter(await _read(database, query)), None)


async def open_of_agent(database: Database, agent: str) -> list[PastInteraction]:
    """What this agent has not yet wrapped up, newest first: the desk asks after a restart."""
    own = and_(WrapUp.interaction_id == Interaction.id, WrapUp.agent == agent)
    return await _read(
        database,
        _LINES.outerjoin(WrapUp, own)
        .where(
            or_(
                and_(WrapUp.id.is_not(None), WrapUp.closed_at.is_(None)),
                and_(
                    WrapUp.id.is_(None),
                    Interaction.agent == agent,
                    Interaction.closed_at.is_(None),
                ),
            ),
            # A conversation is settled in the inbox, and may take days.
            ~exists().where(Conversation.interaction_id == Interaction.id),
        )
        .order_by(Interaction.opened_at.desc(), Interaction.id.desc())
        .limit(50),
    )


async def history(
    database: Database,
    customer_id: int,
    *,
    limit: int = 50,
    before: PastInteraction | None = None,
) -> list[PastInteraction]:
    """A customer's interactions over all channels, newest first; `before` is where to go on."""
    query = _LINES.where(Interaction.customer_id == customer_id)
    if before is not None:
        query = query.where(
            or_(
                Interaction.opened_at < before.opened_at,
                and_(Interaction.opened_at == before.opened_at, Interaction.id < before.id),
            )
        )
    newest_first = query.order_by(Interaction.opened_at.desc(), Interaction.id.desc())
    return await _read(database, newest_first.limit(limit))


# Built once: building it takes longer than running it.
_OPEN = insert(Interaction.__table__).returning(Interaction.__table__.c.id)  # type: ignore[arg-type]
_LINES = select(
    Interaction.id,
    Interaction.channel,
    Interaction.direction,
    Interaction.opened_at,
    Interaction.closed_at,
    Interaction.agent,
    Interaction.queue,
    Interaction.disposition,
    Interaction.summary,
    Interaction.note,
    Interaction.keyed,
    Interaction.call_id,
    Interaction.customer_id,
)


async def _read(database: Database, query: Select[*tuple[object, ...]]) -> list[PastInteraction]:
    async with database.reading() as session:
        rows = await session.execute(query)
        return [
            PastInteraction(**(dict(row._mapping) | {"keyed": tuple(row.keyed)})) for row in rows
        ]


async def _write_up(
    transaction: Transaction, row: Interaction, agent: str, at: datetime, values: dict[str, Any]
) -> None:
    """Change what is given of the agent's own wrap-up, and join all agents' notes."""
    session = transaction.session
    await join_agents(transaction, [(row.id, agent)])
    given = {name: value for name, value in values.items() if value is not None}
    await session.execute(
        update(WrapUp)
        .where(WrapUp.interaction_id == row.id, WrapUp.agent == agent)
        .values(saved_at=at, **given)
    )
    written = await session.execute(
        select(WrapUp.agent, Agent.display_name, WrapUp.note)
        .outerjoin(Agent, Agent.login == WrapUp.agent)
        .where(WrapUp.interaction_id == row.id, WrapUp.note != "")
        .order_by(WrapUp.id)
    )
    notes = [(line.display_name or line.agent, line.note) for line in written]
    if len(notes) > 1:
        row.note = "\n\n".join(f"{name}: {note}" for name, note in notes)
    else:
        row.note = notes[0][1] if notes else ""


async def _locked(transaction: Transaction, interaction_id: int) -> Interaction:
    row = await transaction.session.get(
        Interaction, interaction_id, with_for_update=True, populate_existing=True
    )
    if row is None:
        raise LookupError(f"there is no interaction {interaction_id}")
    return row
