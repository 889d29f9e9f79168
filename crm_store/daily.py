"""What the store does once a day by itself: points expire, what counts no more is forgotten, and
customers who may be one are noticed.

Owns the round, which may be made as often as one likes: a second one on the same day finds nothing
to do. Each card is a transaction of its own, so that a round that is stopped half-way loses nothing
and holds nobody up. Knows no clock of its own and starts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from crm_store.contacts import attachments, chat_sessions
from crm_store.database import Database, Transaction
from crm_store.people import hall_sessions, identity, name_index, points, sign_in_codes
from crm_store.phone_menus import guesses
from crm_store.shop import house


@dataclass(frozen=True, slots=True)
class Round:
    """What was done: cards from which points were taken, and how many hundredths in all. `files`
    (relative to the attachments' folder) are nobody's any more: to be deleted."""

    cards: int
    hundredths: int
    files: tuple[str, ...] = ()


async def make_round(database: Database, now: datetime | None = None) -> Round:
    """Take what has expired by the house's day, forget what counts no more, and see which customers
    may be one."""
    moment = now or datetime.now(UTC)
    facts = await house.read(database)

    async def forget(transaction: Transaction) -> list[str]:
        await guesses.forget_old(transaction, now=moment)
        await sign_in_codes.forget_old(transaction, now=moment)
        await hall_sessions.forget_ended(transaction, now=moment)
        await chat_sessions.forget_visits(transaction, now=moment)
        return await attachments.forget_uploads(transaction, now=moment)

    files = tuple(await database.run(forget))
    await name_index.index_missing_names(database)
    await identity.suggest_twins(database)
    months = facts.points_valid_months
    if months <= 0:
        return Round(0, 0, files)
    today = moment.astimezone(facts.zone).date()
    # Two days more than needed, for the ends of months and for zones.
    given_by = points.months_later(today, -months) + timedelta(days=3)
    before = datetime(given_by.year, given_by.month, given_by.day, tzinfo=UTC)
    cards = hundredths = 0
    for card_id in await points.cards_with_points_before(database, before):
        if not await points.expiring(
            database, card_id, months, today + timedelta(days=1), zone=facts.zone
        ):
            continue
        async with database.transaction() as transaction:
            lost = await points.expire(transaction, card_id, months, today, zone=facts.zone)
        cards += lost > 0
        hundredths += lost
    return Round(cards, hundredths, files)
