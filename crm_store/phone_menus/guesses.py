"""Attempts at what is secret: cards, PINs and orders can be tried so often, over all calls.

Owns the count, in the store so that a restart or another call forgets nothing. An attempt counts
from the moment that it is allowed, so that a hundred calls at once have no more attempts than one,
and hanging up before the answer saves none. What was tried is kept as a digest only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import case, delete, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from crm_store.database import Database, Transaction
from crm_store.models import Guesses


class GuessKind(StrEnum):
    """What attempts are counted at: one card (its number is the subject), and what one caller
    (their number, "" for all who withhold theirs) tries with cards, with orders, and how often
    they have another number than their own called. Of the hall: how many codes are sent to one
    address, within an hour and within a day, and how many one client (its network address) has
    sent, and tries."""

    CARD = "card"
    CALLER_CARDS = "caller_cards"
    CALLER_ORDERS = "caller_orders"
    CALLER_NUMBERS = "caller_numbers"
    ADDRESS_CODES = "address_codes"
    ADDRESS_CODES_DAY = "address_codes_day"
    CLIENT_CODES = "client_codes"
    CLIENT_CODE_TRIES = "client_code_tries"


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts within so long from the first of them."""

    attempts: int
    within: timedelta


LIMITS = {
    GuessKind.CARD: Limit(5, timedelta(hours=24)),
    GuessKind.CALLER_CARDS: Limit(10, timedelta(hours=24)),
    GuessKind.CALLER_ORDERS: Limit(20, timedelta(hours=24)),
    GuessKind.CALLER_NUMBERS: Limit(10, timedelta(hours=24)),
    GuessKind.ADDRESS_CODES: Limit(3, timedelta(hours=1)),
    GuessKind.ADDRESS_CODES_DAY: Limit(10, timedelta(hours=24)),
    GuessKind.CLIENT_CODES: Limit(20, timedelta(hours=1)),
    GuessKind.CLIENT_CODE_TRIES: Limit(40, timedelta(hours=1)),
}
WITHHELD_TIMES = 10
"""All withheld callers together have so many times one caller's attempts."""


async def allowed(
    database: Database, kind: GuessKind, subject: str, *, now: datetime | None = None
) -> bool:
    """Whether it may be tried once more; the attempt is counted already when this is True.

    To be asked once for each attempt, just before what was keyed is compared.
    """
    async with database.transaction() as transaction:
        return await allowed_in(transaction, kind, subject, now=now)


async def allowed_in(
    transaction: Transaction, kind: GuessKind, subject: str, *, now: datetime | None = None
) -> bool:
    """The same in a transaction of the caller's, which must be committed whatever comes of it."""
    moment = now or datetime.now(UTC)
    return await _count(transaction, kind, subject, moment) <= _most(kind, subject)


async def failed(
    transaction: Transaction, kind: GuessKind, subject: str, *, now: datetime | None = None
) -> int:
    """The attempt that was allowed has failed: how many are left."""
    moment = now or datetime.now(UTC)
    row = await transaction.session.scalar(
        select(Guesses.attempts).where(
            Guesses.kind == kind.value,
            Guesses.subject == _digest(subject),
            Guesses.since > moment - LIMITS[kind].within,
        )
    )
    return max(0, _most(kind, subject) - (row or 0))


async def succeeded(transaction: Transaction, kind: GuessKind, subject: str) -> None:
    """The attempt that was allowed was right. A card's count begins anew; a caller is only given
    this attempt back, or whoever owns one card could try for ever at others."""
    one = (Guesses.kind == kind.value, Guesses.subject == _digest(subject))
    if kind is GuessKind.CARD:
        await transaction.session.execute(delete(Guesses).where(*one))
    else:
        await transaction.session.execute(
            update(Guesses).where(*one, Guesses.attempts > 0).values(attempts=Guesses.attempts - 1)
        )


async def forget_old(transaction: Transaction, *, now: datetime | None = None) -> None:
    """Delete what counts no more."""
    moment = now or datetime.now(UTC)
    for kind, limit in LIMITS.items():
        await transaction.session.execute(
            delete(Guesses).where(
                Guesses.kind == kind.value, Guesses.since <= moment - limit.within
            )
        )


def _most(kind: GuessKind, subject: str) -> int:
    shared = kind is not GuessKind.CARD and not subject
    return LIMITS[kind].attempts * (WITHHELD_TIMES if shared else 1)


async def _count(transaction: Transaction, kind: GuessKind, subject: str, moment: datetime) -> int:
    """Count one more, in one statement, so that two at once are two; how many there are."""
    session = transaction.session
    make = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    is_over = Guesses.since <= moment - LIMITS[kind].within
    # Beyond the limit it counts no further: the number would only grow.
    more = case(
        (Guesses.attempts > _most(kind, subject), Guesses.attempts),
        else_=Guesses.attempts + 1,
    )
    counted = (
        make(Guesses)
        .values(kind=kind.value, subject=_digest(subject), attempts=1, since=moment)
        .on_conflict_do_update(
            index_elements=["kind", "subject"],
            set_={
                "attempts": case((is_over, 1), else_=more),
                "since": case((is_over, moment), else_=Guesses.since),
            },
        )
        .returning(Guesses.attempts)
    )
    return int((await session.execute(counted)).scalar_one())


def _digest(subject: str) -> str:
    return hashlib.sha256(subject.encode()).hexdigest()
