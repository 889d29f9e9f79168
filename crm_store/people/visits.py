"""Visits: a service manager at the customer's, or the customer in the house; planned, then held.

Owns their life from planned to held or cancelled. Knows no calendar but a visit's own time.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import insert, select, update

from crm_store import audit, text_search
from crm_store.database import Database, Transaction
from crm_store.facts import VisitHeld
from crm_store.models import Customer, Visit, VisitState
from crm_store.text_search import EntryKind


class VisitIsOver(Exception):
    """The visit was held or cancelled before; nothing was changed."""


async def plan(
    transaction: Transaction,
    customer_id: int,
    planned_for: datetime,
    *,
    actor: str,
    agent: str | None = None,
    place: str = "",
    purpose: str = "",
) -> int:
    """Plan a visit of `agent` (or of the actor); its row's id. Raises LookupError."""
    return await _write(
        transaction,
        customer_id,
        actor,
        state=VisitState.PLANNED,
        planned_for=planned_for,
        agent=agent or actor,
        place=place,
        purpose=purpose,
    )


async def log(
    transaction: Transaction,
    customer_id: int,
    held_at: datetime,
    *,
    actor: str,
    outcome: str,
    place: str = "",
    purpose: str = "",
) -> int:
    """Write down a visit that took place unplanned; its row's id. Raises LookupError."""
    visit_id = await _write(
        transaction,
        customer_id,
        actor,
        state=VisitState.HELD,
        planned_for=held_at,
        held_at=held_at,
        agent=actor,
        place=place,
        purpose=purpose,
        outcome=outcome,
    )
    await transaction.emit(VisitHeld(visit_id=visit_id, customer_id=customer_id))
    return visit_id


async def hold(
    transaction: Transaction,
    visit_id: int,
    *,
    actor: str,
    outcome: str,
    held_at: datetime | None = None,
) -> None:
    """The planned visit took place. Raises VisitIsOver."""
    customer_id = await _change_planned(
        transaction,
        visit_id,
        actor,
        state=VisitState.HELD,
        held_at=held_at or datetime.now(UTC),
        outcome=outcome,
    )
    await transaction.emit(VisitHeld(visit_id=visit_id, customer_id=customer_id))


async def cancel(transaction: Transaction, visit_id: int, *, actor: str, reason: str = "") -> None:
    """The planned visit will not take place. Raises VisitIsOver."""
    await _change_planned(transaction, visit_id, actor, state=VisitState.CANCELLED, outcome=reason)


async def of_customer(database: Database, customer_id: int, *, limit: int = 20) -> list[Visit]:
    """The customer's visits, the latest first."""
    query = (
        select(Visit)
        .where(Visit.customer_id == customer_id)
        .order_by(Visit.planned_for.desc(), Visit.id.desc())
        .limit(limit)
    )
    async with database.reading() as session:
        return list(await session.scalars(query))


async def find(database: Database, visit_id: int) -> Visit | None:
    async with database.reading() as session:
        found: Visit | None = await session.get(Visit, visit_id)
        return found


async def _write(transaction: Transaction, customer_id: int, actor: str, **values: object) -> int:
    session = transaction.session
    if await session.scalar(select(Customer.id).where(Customer.id == customer_id)) is None:
        raise LookupError(f"there is no customer {customer_id}")
    visit_id: int | None = await session.scalar(
        insert(Visit)
        .values(customer_id=customer_id, created_at=datetime.now(UTC), **values)
        .returning(Visit.id)
    )
    assert visit_id is not None
    await _written(transaction, visit_id, actor, "created", [])
    return visit_id


async def _change_planned(
    transaction: Transaction, visit_id: int, actor: str, **values: object
) -> int:
    customer_id: int | None = await transaction.session.scalar(
        update(Visit)
        .where(Visit.id == visit_id, Visit.state == VisitState.PLANNED)
        .values(**values)
        .returning(Visit.customer_id)
    )
    if customer_id is None:
        raise VisitIsOver
    await _written(transaction, visit_id, actor, "changed", list(values))
    return customer_id


async def _written(
    transaction: Transaction, visit_id: int, actor: str, action: str, fields: list[str]
) -> None:
    columns = (Visit.customer_id, Visit.created_at, Visit.place, Visit.purpose, Visit.outcome)
    row = (await transaction.session.execute(select(*columns).where(Visit.id == visit_id))).one()
    await text_search.index(
        transaction,
        EntryKind.VISIT,
        visit_id,
        customer_id=row.customer_id,
        at=row.created_at,
        texts=[row.place, row.purpose, row.outcome],
    )
    await audit.record(
        transaction,
        actor=actor,
        action=action,
        subject_kind="visit",
        subject_id=visit_id,
        fields=fields,
    )
