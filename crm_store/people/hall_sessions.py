"""Customers' sessions in the web hall: who is signed in there, and until when.

Owns that a session's token is kept nowhere but in its cookie, and that a customer can end all of
theirs at once. A customer who was merged into another is that other from then on. Knows no codes
and no pages.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, insert, select, update

from crm_store.database import Database, Transaction
from crm_store.models import Customer, HallSession

SEEN_EVERY = timedelta(minutes=10)
"""How exactly it is kept when a session was last used: each request would be a write."""


@dataclass(frozen=True, slots=True)
class CustomerSession:
    """A session that holds now: whose it is, and the token that its forms must carry."""

    session_id: int
    customer_id: int
    name: str
    language: str
    csrf_token: str
    created_at: datetime
    expires_at: datetime
    seen_at: datetime


async def open_session(transaction: Transaction, customer_id: int, lasts: timedelta) -> str:
    """Sign the customer in; the token for the cookie, which is kept nowhere else."""
    token = secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    await transaction.session.execute(
        insert(HallSession).values(
            token_hash=_token_hash(token),
            customer_id=customer_id,
            csrf_token=secrets.token_urlsafe(32),
            created_at=now,
            expires_at=now + lasts,
            seen_at=now,
        )
    )
    return token


async def session_of(
    database: Database, token: str, *, now: datetime | None = None
) -> CustomerSession | None:
    """The session of that cookie, unless it ended or expired."""
    moment = now or datetime.now(UTC)
    query = (
        select(HallSession, Customer)
        .join(Customer, Customer.id == HallSession.customer_id)
        .where(HallSession.token_hash == _token_hash(token), HallSession.expires_at > moment)
    )
    async with database.reading() as session:
        found = (await session.execute(query)).first()
        if found is None:
            return None
        row, person = found
        while person.merged_into is not None:
            kept = await session.get(Customer, person.merged_into)
            if kept is None:
                return None
            person = kept
    return CustomerSession(
        session_id=row.id,
        customer_id=person.id,
        name=person.name,
        language=person.language,
        csrf_token=row.csrf_token,
        created_at=row.created_at,
        expires_at=row.expires_at,
        seen_at=row.seen_at,
    )


async def seen(transaction: Transaction, session_id: int, *, now: datetime | None = None) -> None:
    """The session was used. To be told when `seen_at` is older than SEEN_EVERY."""
    await transaction.session.execute(
        update(HallSession)
        .where(HallSession.id == session_id)
        .values(seen_at=now or datetime.now(UTC))
    )


async def close_session(transaction: Transaction, session_id: int) -> None:
    """Sign out here."""
    await transaction.session.execute(delete(HallSession).where(HallSession.id == session_id))


async def close_all(
    transaction: Transaction, customer_ids: list[int], *, besides: int | None = None
) -> int:
    """Sign out everywhere, but not of the session `besides`; how many ended. A person's rows are
    all of `customers.same_person`."""
    ended = delete(HallSession).where(HallSession.customer_id.in_(customer_ids))
    if besides is not None:
        ended = ended.where(HallSession.id != besides)
    rows = await transaction.session.scalars(ended.returning(HallSession.id))
    return len(rows.all())


async def count(database: Database, customer_ids: list[int]) -> int:
    """In how many places the person is signed in now."""
    query = (
        select(func.count())
        .select_from(HallSession)
        .where(
            HallSession.customer_id.in_(customer_ids),
            HallSession.expires_at > datetime.now(UTC),
        )
    )
    async with database.reading() as session:
        return int(await session.scalar(query) or 0)


async def last_seen(database: Database, customer_ids: list[int]) -> datetime | None:
    """When the person last used the hall, as far as a session tells that holds yet; about as
    exactly as SEEN_EVERY says."""
    query = select(func.max(HallSession.seen_at)).where(HallSession.customer_id.in_(customer_ids))
    async with database.reading() as session:
        return await session.scalar(query)


async def forget_ended(transaction: Transaction, *, now: datetime | None = None) -> None:
    """Delete the sessions that are over."""
    await transaction.session.execute(
        delete(HallSession).where(HallSession.expires_at <= (now or datetime.now(UTC)))
    )


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
