"""Points: a card's ledger.

Owns entries that are only ever added, in whole hundredths of a point (12,345.50 points are
1_234_550): no fraction is ever lost. The balance is their sum and is kept nowhere else. Each entry
carries an idempotency key, so that a till may say the same thing as often as it likes.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Select, func, insert, select

from crm_store.database import Database, Transaction
from crm_store.facts import PointsMoved
from crm_store.models import Card, PointsEntry


class NotEnoughPoints(Exception):
    """The card has fewer points than were to be spent; nothing was written."""


async def add(
    transaction: Transaction,
    card_id: int,
    hundredths: int,
    *,
    reason: str,
    idempotency_key: str,
    made_by: str,
    at: datetime | None = None,
) -> bool:
    """Give points, or spend them (negative). False if the key is written already.

    Raises NotEnoughPoints, LookupError for an unknown card, ValueError for nothing at all or for a
    key that stands for another movement.
    """
    if hundredths == 0:
        raise ValueError("an entry of no points says nothing")
    session = transaction.session
    # The card's row is the lock: two spendings at once see each other.
    locked = await session.scalar(select(Card.id).where(Card.id == card_id).with_for_update())
    if locked is None:
        raise LookupError(f"there is no card {card_id}")
    known = (
        await session.execute(
            select(PointsEntry.card_id, PointsEntry.hundredths).where(
                PointsEntry.idempotency_key == idempotency_key
            )
        )
    ).first()
    if known is not None:
        if tuple(known) != (card_id, hundredths):
            raise ValueError("that idempotency key stands for another movement")
        return False
    if hundredths < 0:
        held = await session.scalar(_balance_of(card_id))
        if (held or 0) + hundredths < 0:
            raise NotEnoughPoints
    entry_id = await session.scalar(
        insert(PointsEntry)
        .values(
            card_id=card_id,
            hundredths=hundredths,
            reason=reason,
            idempotency_key=idempotency_key,
            made_by=made_by,
            at=at or datetime.now(UTC),
        )
        .returning(PointsEntry.id)
    )
    assert entry_id is not None
    await transaction.emit(PointsMoved(card_id=card_id, entry_id=entry_id, hundredths=hundredths))
    return True


async def balance(database: Database, card_id: int) -> int:
    """The card's points in hundredths; 0 for a card that has none or that there is none of."""
    async with database.reading() as session:
        return int(await session.scalar(_balance_of(card_id)) or 0)


async def entries(database: Database, card_id: int, *, limit: int = 100) -> list[PointsEntry]:
    """The card's newest entries, newest first."""
    query = (
        select(PointsEntry)
        .where(PointsEntry.card_id == card_id)
        .order_by(PointsEntry.id.desc())
        .limit(limit)
    )
    async with database.reading() as session:
        return list(await session.scalars(query))


async def ledgers(
    database: Database, customer_id: int, *, lines: int = 12
) -> dict[str, list[PointsEntry]]:
    """The newest entries of each of the customer's cards, newest first, by the card's number."""
    query = select(Card.number, Card.id).where(Card.customer_id == customer_id)
    async with database.reading() as session:
        numbers = [(row.number, row.id) for row in await session.execute(query)]
    return {number: await entries(database, card_id, limit=lines) for number, card_id in numbers}


def _balance_of(card_id: int) -> Select[int]:
    return select(func.sum(PointsEntry.hundredths)).where(PointsEntry.card_id == card_id)
