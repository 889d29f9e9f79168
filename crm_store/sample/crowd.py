# ruff: noqa: S608 - the statements are made of this file's own numbers and names only
"""A very large crowd of customers, made by the database itself, for measuring.

Owns rows that are many and plain: each has a phone, every second one a card, each a few entries of
points and past interactions. `crowd_number` tells whose number is whose without asking.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from crm_store.database import Database
from crm_store.people.cards import check_digit
from crm_store.people.customers import fold_name
from crm_store.sample.names import CHINESE, ENGLISH, PERSIAN, SPANISH

INTERACTIONS_EACH = 3
ENTRIES_EACH = 2
MOST = 10_000_000
_FIRST_NUMBER = 13_000_000_000
_CARD_PREFIX = "8700"
_CARD_PLACES = 8


def crowd_number(position: int) -> str:
    """The phone of the customer at `position`, counted from 0."""
    return f"+86{_FIRST_NUMBER + position}"


def crowd_card(position: int) -> str:
    """The card of the customer at an even `position`."""
    digits = f"{_CARD_PREFIX}{position:0{_CARD_PLACES}d}"
    return digits + check_digit(digits)


async def fill_crowd(database: Database, customers: int) -> int:
    """Write that many customers in one transaction; how many were written, 0 if a crowd is there.

    Raises ValueError for more than ten million.
    """
    if not 0 < customers <= MOST:
        raise ValueError(f"a crowd has 1 to {MOST:,} customers")
    async with database.transaction() as transaction:
        session = transaction.session
        known = await session.scalar(text("SELECT 1 FROM customers WHERE reference = 'CROWD-0'"))
        if known:
            return 0
        connection = await session.connection()
        first_ids = [
            (
                await connection.exec_driver_sql(f"SELECT coalesce(max(id), 0) + 1 FROM {table}")
            ).scalar_one()
            for table in ("customers", "cards")
        ]
        if database.is_sqlite:
            # Indexes of this size do not fit SQLite's usual 2 MB; only this connection remembers.
            await connection.exec_driver_sql("PRAGMA cache_size = -1000000")
        for statement in _statements(database.is_sqlite, customers, *first_ids):
            await connection.exec_driver_sql(statement)
        if database.is_sqlite:
            await connection.exec_driver_sql("PRAGMA cache_size = -2000")
        else:
            await _move_sequences(session)
    return customers


def _statements(is_sqlite: bool, count: int, first_customer: int, first_card: int) -> list[str]:
    """In the order of their foreign keys. All that is put into them is ours."""
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
    if is_sqlite:
        now = f"'{now}'"
        before = f"strftime('%Y-%m-%d %H:%M:%S.000000', {now}, '-' || ({{}}) || ' seconds')"
    else:
        now = f"CAST('{now}+00:00' AS timestamptz)"
        before = f"{now} - ({{}}) * interval '1 second'"
    each, every_second = (
        f"WITH RECURSIVE counted(i) AS (SELECT CAST(0 AS bigint)"
        f" UNION ALL SELECT i + {step} FROM counted WHERE i + {step} < {count})"
        for step in (1, 2)
    )
    phone = f"'+86' || ({_FIRST_NUMBER} + i)"
    people = (
        f"{each}, names(j, name, folded, language) AS (VALUES {_names()})"
        " INSERT INTO customers (id, name, name_folded, language, segment, notes, reference,"
        " created_at, updated_at)"
        f" SELECT {first_customer} + i, name || ' ' || i, folded || ' ' || i, language,"
        " CASE i % 20 WHEN 0 THEN 'vip' WHEN 2 THEN 'member' ELSE 'ordinary' END,"
        f" '', 'CROWD-' || i, {now}, {now} FROM counted JOIN names ON j = i % {len(_people())}"
    )
    phones = (
        f"{each} INSERT INTO contact_points (customer_id, kind, value, label, created_at)"
        f" SELECT {first_customer} + i, 'phone', {phone}, 'mobile', {now} FROM counted"
    )
    cards = (
        f"{every_second} INSERT INTO cards (id, customer_id, number, opened_at)"
        f" SELECT {first_card} + i / 2, {first_customer} + i, {_card_number()}, {now} FROM counted"
    )
    entries = [
        f"{every_second} INSERT INTO points_entries"
        " (card_id, hundredths, reason, idempotency_key, made_by, at)"
        f" SELECT {first_card} + i / 2, 10000 + (i * {7 + entry}) % 500000, 'purchase',"
        f" 'crowd:' || i || ':{entry}', 'till', {now} FROM counted"
        for entry in range(ENTRIES_EACH)
    ]
    stories = [
        f"{each} INSERT INTO interactions (customer_id, channel, direction, address, opened_at,"
        " closed_at, agent, queue, disposition, summary, note, keyed)"
        f" SELECT {first_customer} + i, 'phone', 'inbound', {phone},"
        f" {before.format(f'({count} - i) * 2 + {2 * count * line}')}, {now},"
        " CASE i % 3 WHEN 0 THEN 'lin' WHEN 1 THEN 'maria' ELSE 'wei' END,"
        " CASE i % 2 WHEN 0 THEN 'sales' ELSE 'service' END, 'answered',"
        " 'Asked for the points balance', '', '[]' FROM counted"
        for line in reversed(range(INTERACTIONS_EACH))
    ]
    return [people, phones, cards, *entries, *stories]


def _people() -> list[tuple[str, str]]:
    """Names that are common to see, with their language."""
    return [
        (family + given if names.family_first else f"{given} {family}", names.language)
        for names in (CHINESE, SPANISH, PERSIAN, ENGLISH)
        for given, family in zip(names.given[:8], names.family[:8], strict=True)
    ]


def _names() -> str:
    rows = []
    for position, (name, language) in enumerate(_people()):
        quoted = [value.replace("'", "''") for value in (name, fold_name(name), language)]
        rows.append(f"({position}, " + ", ".join(f"'{value}'" for value in quoted) + ")")
    return ", ".join(rows)


def _card_number() -> str:
    """SQL for `crowd_card`: the Luhn sum, place by place, as numbers."""
    total = sum(
        int(check) for check in (_doubled(int(digit)) if place % 2 == _CARD_PLACES % 2 else digit
                                 for place, digit in enumerate(reversed(_CARD_PREFIX)))
    )  # fmt: skip
    places = []
    for place in range(_CARD_PLACES):
        digit = f"((i / {10**place}) % 10)"
        places.append(f"({digit} * 2 / 10 + {digit} * 2 % 10)" if place % 2 == 0 else digit)
    luhn = f"({total} + {' + '.join(places)})"
    padded = f"substr('{'0' * _CARD_PLACES}' || i, length(CAST(i AS text)) + 1)"
    return f"'{_CARD_PREFIX}' || {padded} || ((10 - {luhn} % 10) % 10)"


def _doubled(digit: int) -> int:
    return digit * 2 // 10 + digit * 2 % 10


async def _move_sequences(session: AsyncSession) -> None:
    for table in ("customers", "cards"):
        await session.execute(
            text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")
        )
