"""Points: a card's ledger.

Owns entries that are only ever added, in whole hundredths of a point (12,345.50 points are
1_234_550): no fraction is ever lost. The balance is their sum and is kept nowhere else. Each entry
carries an idempotency key, so that a till may say the same thing as often as it likes. The oldest
points are spent first, and what is left of them after so many months expires, as an entry too.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from datetime import UTC, date, datetime, tzinfo

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


async def expiring(
    database: Database,
    card_id: int,
    months: int,
    before: date,
    *,
    zone: tzinfo = UTC,
) -> list[tuple[date, int]]:
    """What is lost before that day if it is not spent: (the day it is lost on, hundredths), the
    first day first. Points last `months` from the day in `zone` on which they were given; 0 months
    mean for ever."""
    async with database.reading() as session:
        moves = [(row.at, row.hundredths) for row in await session.execute(_moves_of(card_id))]
    return [(day, left) for day, left in _by_day(moves, months, zone) if day < before]


async def expire(
    transaction: Transaction, card_id: int, months: int, today: date, *, zone: tzinfo = UTC
) -> int:
    """Take from the card what is lost by `today`; how many hundredths. Again changes nothing."""
    session = transaction.session
    await session.scalar(select(Card.id).where(Card.id == card_id).with_for_update())
    moves = [(row.at, row.hundredths) for row in await session.execute(_moves_of(card_id))]
    lost = [(day, left) for day, left in _by_day(moves, months, zone) if day <= today]
    for day, left in lost:
        await add(
            transaction,
            card_id,
            -left,
            reason="expired",
            # With the place in the ledger: what comes late for that day is lost by a new entry.
            idempotency_key=f"expired:{card_id}:{day.isoformat()}:{len(moves)}",
            made_by="system",
        )
    return sum(left for _, left in lost)


async def cards_with_points_before(database: Database, moment: datetime) -> list[int]:
    """The cards that were given points before that moment and have any: those to look at for
    points that expire."""
    held = (
        select(PointsEntry.card_id)
        .group_by(PointsEntry.card_id)
        .having(func.sum(PointsEntry.hundredths) > 0, func.min(PointsEntry.at) < moment)
        .order_by(PointsEntry.card_id)
    )
    async with database.reading() as session:
        return list(await session.scalars(held))


def left_of(moves: Iterable[tuple[datetime, int]]) -> list[tuple[datetime, int]]:
    """What is left of each giving in a ledger, oldest first, if the oldest is spent first.

    Takes (moment, hundredths), negative when spent. The sum of what is left is the balance.
    """
    ordered = sorted(moves)
    spent = -sum(moved for _, moved in ordered if moved < 0)
    left = []
    for at, moved in ordered:
        if moved > 0:
            taken = min(spent, moved)
            spent -= taken
            if moved > taken:
                left.append((at, moved - taken))
    return left


def months_later(day: date, months: int) -> date:
    """The same day so many months on, or the last of that month if it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _by_day(
    moves: Iterable[tuple[datetime, int]], months: int, zone: tzinfo
) -> list[tuple[date, int]]:
    if months <= 0:
        return []
    days: dict[date, int] = {}
    for at, left in left_of(moves):
        day = months_later(at.astimezone(zone).date(), months)
        days[day] = days.get(day, 0) + left
    return sorted(days.items())


def _moves_of(card_id: int) -> Select[datetime, int]:
    return select(PointsEntry.at, PointsEntry.hundredths).where(PointsEntry.card_id == card_id)


def _balance_of(card_id: int) -> Select[int]:
    return select(func.sum(PointsEntry.hundredths)).where(PointsEntry.card_id == card_id)
