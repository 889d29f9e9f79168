"""Complaints: what a customer is not content with, under a number that can be said and keyed.

Owns the filing. The number has eight digits; its form is keyed_numbers'. What becomes of a
complaint is not here.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import insert, select

from crm_store import audit, keyed_numbers, text_search
from crm_store.database import Database, Transaction
from crm_store.facts import ComplaintFiled
from crm_store.models import Complaint, Customer, Severity
from crm_store.text_search import EntryKind

CATEGORIES = ("product", "delivery", "staff", "billing", "premises", "other")
DIGITS = 8
LONGEST_SUBJECT = 300


async def file(
    transaction: Transaction,
    text: str,
    *,
    actor: str,
    customer_id: int | None = None,
    interaction_id: int | None = None,
    category: str = "other",
    severity: Severity = Severity.NORMAL,
    subject: str = "",
) -> str:
    """Write a complaint down; its number. Raises ValueError for one that says nothing or is of no
    known category, LookupError for an unknown customer."""
    if not text.strip():
        raise ValueError("a complaint says something")
    if category not in CATEGORIES:
        raise ValueError(f"there is no category {category!r}")
    session = transaction.session
    if customer_id is not None:
        known = await session.scalar(select(Customer.id).where(Customer.id == customer_id))
        if known is None:
            raise LookupError(f"there is no customer {customer_id}")
    now = datetime.now(UTC)
    number = await _free_number(transaction)
    complaint_id: int | None = await session.scalar(
        insert(Complaint)
        .values(
            number=number,
            customer_id=customer_id,
            interaction_id=interaction_id,
            category=category,
            severity=severity,
            subject=" ".join(subject.split())[:LONGEST_SUBJECT],
            text=text.strip(),
            filed_by=actor,
            filed_at=now,
        )
        .returning(Complaint.id)
    )
    assert complaint_id is not None
    await text_search.index(
        transaction,
        EntryKind.COMPLAINT,
        complaint_id,
        customer_id=customer_id,
        at=now,
        texts=[number, subject, text],
    )
    await audit.record(
        transaction,
        actor=actor,
        action="created",
        subject_kind="complaint",
        subject_id=complaint_id,
    )
    await transaction.emit(ComplaintFiled(complaint_id=complaint_id, customer_id=customer_id))
    return number


def complaint_number(text: str) -> str | None:
    """The number in plain digits, from what was said, written or keyed; None if it is none."""
    return keyed_numbers.read(text, DIGITS)


def shown_number(number: str) -> str:
    """The number as people read it aloud, in groups of four."""
    return keyed_numbers.shown(number)


async def of_customer(database: Database, customer_id: int, *, limit: int = 20) -> list[Complaint]:
    """The customer's complaints, the newest first."""
    query = (
        select(Complaint)
        .where(Complaint.customer_id == customer_id)
        .order_by(Complaint.filed_at.desc(), Complaint.id.desc())
        .limit(limit)
    )
    async with database.reading() as session:
        return list(await session.scalars(query))


async def _free_number(transaction: Transaction) -> str:
    while True:
        number = keyed_numbers.draw(DIGITS)
        taken = await transaction.session.scalar(
            select(Complaint.id).where(Complaint.number == number)
        )
        if taken is None:
            return number
