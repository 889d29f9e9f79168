"""Complaints: what a customer is not content with, under a number that can be said and keyed.

Owns the filing and the number's form: eight digits, the last a check digit (Luhn), no two in a
row by order, so that nobody's number tells another's. What becomes of a complaint is not here.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from sqlalchemy import insert, select

from crm_store import audit, text_search
from crm_store.database import Database, Transaction
from crm_store.facts import ComplaintFiled
from crm_store.models import Complaint, Customer, Severity
from crm_store.people.cards import check_digit
from crm_store.search_terms import fold_letters
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
    digits = "".join(letter for letter in fold_letters(text) if letter not in " -")
    plain = digits.isascii() and digits.isdigit() and len(digits) == DIGITS
    return digits if plain and check_digit(digits[:-1]) == digits[-1] else None


def shown_number(number: str) -> str:
    """The number as people read it aloud, in groups of four."""
    return "\u202f".join(number[place : place + 4] for place in range(0, len(number), 4))


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
        # No zero in front: it gets lost where numbers are typed.
        digits = str(1 + secrets.randbelow(9)) + "".join(
            str(secrets.randbelow(10)) for _ in range(DIGITS - 2)
        )
        number = digits + check_digit(digits)
        taken = await transaction.session.scalar(
            select(Complaint.id).where(Complaint.number == number)
        )
        if taken is None:
            return number
