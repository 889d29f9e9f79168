"""Contact points: whose an address is, whether that is proven, and whether it is any good.

Owns proof: a customer has shown that they read what is sent there, by a code or a signed link; what
somebody merely said is a contact point without one. Adding by an agent is customers'; trouble is
marked by preferences.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, select, update

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.facts import CustomerChanged
from crm_store.models import ContactKind, ContactPoint, Customer
from crm_store.people import customers
from crm_store.people.customers import ContactWay, FoundCustomer


@dataclass(frozen=True, slots=True)
class ContactPointRecord:
    """A way to reach a customer; `trouble` is "" or why it is used no more."""

    id: int
    kind: ContactKind
    value: str
    label: str
    trouble: str
    proven_at: datetime | None


async def reached_at(
    database: Database, kind: ContactKind, value: str, *, limit: int = 20
) -> list[FoundCustomer]:
    """Who has this way to be reached, in its stored form."""
    query = (
        select(Customer.id, Customer.name, Customer.segment, Customer.language)
        .join(ContactPoint, ContactPoint.customer_id == Customer.id)
        .where(ContactPoint.kind == kind, ContactPoint.value == value)
        .where(Customer.merged_into.is_(None))
        .order_by(Customer.id)
        .limit(limit)
    )
    async with database.reading() as session:
        return [FoundCustomer(*row) for row in await session.execute(query)]


async def of_customer(database: Database, customer_id: int) -> list[ContactPointRecord]:
    """The customer's ways to be reached, the oldest first."""
    query = (
        select(ContactPoint)
        .where(ContactPoint.customer_id == customer_id)
        .order_by(ContactPoint.id)
    )
    async with database.reading() as session:
        return [
            ContactPointRecord(row.id, row.kind, row.value, row.label, row.trouble, row.proven_at)
            for row in await session.scalars(query)
        ]


async def prove(
    transaction: Transaction,
    customer_id: int,
    kind: ContactKind,
    value: str,
    *,
    by: str,
    actor: str,
) -> None:
    """The customer has shown that they read what is sent there (`by` says how): it is theirs, from
    now on if it was not, and there is no trouble with it."""
    await customers.add_contact_point(
        transaction, customer_id, ContactWay(kind, value), actor=actor
    )
    await transaction.session.execute(
        update(ContactPoint)
        .where(
            ContactPoint.customer_id == customer_id,
            ContactPoint.kind == kind,
            ContactPoint.value == value,
        )
        .values(proven_at=datetime.now(UTC), proven_by=by, trouble="", trouble_at=None)
    )


async def remove(
    transaction: Transaction, customer_id: int, contact_point_id: int, *, actor: str
) -> bool:
    """The customer is not reached there any more. False if it is not theirs."""
    gone = await transaction.session.scalar(
        delete(ContactPoint)
        .where(ContactPoint.id == contact_point_id, ContactPoint.customer_id == customer_id)
        .returning(ContactPoint.id)
    )
    if gone is None:
        return False
    await audit.record(
        transaction,
        actor=actor,
        action="changed",
        subject_kind="customer",
        subject_id=customer_id,
        fields=["contact_points"],
    )
    await transaction.emit(CustomerChanged(customer_id=customer_id, fields=["contact_points"]))
    return True
