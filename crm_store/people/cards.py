"""Member cards: their numbers, whose they are, and their PINs.

Owns the number's form: digits, the last of them a check digit (ISO/IEC 7812-1, Luhn), so that a
number that was keyed or said wrongly is nobody's instead of somebody else's. A PIN is kept as
argon2's hash only; how often one may be tried is in phone_menus/guesses.py. Points are in points.
"""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise

import orjson
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import insert, select, update

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.models import Card, Segment
from crm_store.search_terms import fold_letters

SHORTEST = 8
LONGEST = 19
SHORTEST_PIN = 4
LONGEST_PIN = 8

# OWASP's floor, 0.03 s of CPU: a hundred callers may key theirs at once, and no cost keeps four
# digits safe from whoever has the hash.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_HASHING = ThreadPoolExecutor(max_workers=2, thread_name_prefix="pin")


@dataclass(frozen=True, slots=True)
class CardAccount:
    """An open card with what is told of it: its owner, their telephone numbers in E.164, and the
    points in hundredths."""

    card_id: int
    number: str
    customer_id: int
    customer_name: str
    language: str
    segment: Segment
    points_hundredths: int
    has_pin: bool
    phones: frozenset[str]


def check_digit(digits: str) -> str:
    """The digit that completes `digits`."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * 2 if place % 2 == 0 else int(digit)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def card_number(text: str) -> str | None:
    """The card's number in plain digits, or None if `text` is none. Takes spaces and dashes."""
    kept = "".join(character for character in text if character not in " -\u00a0\t")
    if not SHORTEST <= len(kept) <= LONGEST or not all(letter.isdecimal() for letter in kept):
        return None
    digits = "".join(str(int(letter)) for letter in kept)
    return digits if check_digit(digits[:-1]) == digits[-1] else None


async def open_card(transaction: Transaction, customer_id: int, text: str) -> int:
    """Give the customer a card; its row's id. Repeating it changes nothing.

    Raises ValueError if the number is not well formed or is somebody else's.
    """
    number = card_number(text)
    if number is None:
        raise ValueError("that is not a card number: its digits do not agree")
    known = (
        await transaction.session.execute(
            select(Card.id, Card.customer_id).where(Card.number == number)
        )
    ).first()
    if known is not None:
        if known.customer_id != customer_id:
            raise ValueError("that card is another customer's")
        return int(known.id)
    written = await transaction.session.execute(
        insert(Card)
        .values(customer_id=customer_id, number=number, opened_at=datetime.now(UTC))
        .returning(Card.id)
    )
    return int(written.scalar_one())


async def open_new_card(transaction: Transaction, customer_id: int) -> str:
    """Give the customer a card under a number drawn by chance; the number."""
    while True:
        # No zero in front: it gets lost where numbers are typed.
        drawn = str(1 + secrets.randbelow(9)) + f"{secrets.randbelow(10**14):014d}"
        number = drawn + check_digit(drawn)
        taken = await transaction.session.scalar(select(Card.id).where(Card.number == number))
        if taken is None:
            await open_card(transaction, customer_id, number)
            return number


async def account(database: Database, text: str) -> CardAccount | None:
    """The card of that number, as it was keyed; None for one that is not, or is closed."""
    number = card_number(text)
    rows = await database.fetch(_ACCOUNT[database.is_sqlite], number) if number else ()
    if not rows:
        return None
    card_id, number, customer_id, name, language, segment, balance, has_pin, phones = rows[0]
    return CardAccount(
        card_id=card_id,
        number=number,
        customer_id=customer_id,
        customer_name=name,
        language=language,
        segment=Segment(segment),
        points_hundredths=int(balance or 0),
        has_pin=bool(has_pin),
        phones=frozenset(orjson.loads(phones) if phones else ()),
    )


async def set_pin(transaction: Transaction, card_id: int, pin: str | None, *, actor: str) -> None:
    """Give the card a PIN in the place of any before, or take it away (None).

    Raises ValueError for a PIN that has not 4 to 8 digits or is too easily guessed, LookupError
    for an unknown card.
    """
    kept = None
    if pin is not None:
        digits = _pin(pin)
        if digits is None:
            raise ValueError(f"a PIN has {SHORTEST_PIN} to {LONGEST_PIN} digits")
        if _is_easy(digits):
            raise ValueError("that PIN is too easily guessed")
        kept = await asyncio.get_running_loop().run_in_executor(_HASHING, _HASHER.hash, digits)
    known = await transaction.session.scalar(
        update(Card).where(Card.id == card_id).values(pin_hash=kept).returning(Card.id)
    )
    if known is None:
        raise LookupError(f"there is no card {card_id}")
    await audit.record(
        transaction,
        actor=actor,
        action="changed",
        subject_kind="card",
        subject_id=card_id,
        fields=["pin"],
    )


async def verify_pin(database: Database, card_id: int, pin: str) -> bool:
    """Whether that is the card's PIN; False at the same cost if it has none."""
    rows = await database.fetch("SELECT pin_hash FROM cards WHERE id = $1", card_id)
    kept = rows[0][0] if rows else None
    same = await asyncio.get_running_loop().run_in_executor(
        _HASHING, _is_pin, kept, _pin(pin) or ""
    )
    return same and kept is not None


def _pin(text: str) -> str | None:
    digits = fold_letters(text)
    plain = digits.isascii() and digits.isdigit() and SHORTEST_PIN <= len(digits) <= LONGEST_PIN
    return digits if plain else None


def _is_easy(digits: str) -> bool:
    """One digit over and over, or digits in a row: what is tried first."""
    steps = {int(after) - int(before) for before, after in pairwise(digits)}
    return steps in ({0}, {1}, {-1})


def _is_pin(kept: str | None, digits: str) -> bool:
    try:
        return _HASHER.verify(kept or _nobody(), digits)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    # Compared with where there is no PIN, so that the answer takes as long.
    return _HASHER.hash("no card has this PIN")


_CARD = """
SELECT k.id, k.number, c.id, c.name, c.language, c.segment,
  (SELECT sum(e.hundredths) FROM points_entries e WHERE e.card_id = k.id),
  k.pin_hash IS NOT NULL,
  (SELECT {all}(p.value) FROM contact_points p WHERE p.customer_id = c.id AND p.kind = 'phone')
FROM cards k JOIN customers c ON c.id = k.customer_id
WHERE k.number = $1 AND k.closed_at IS NULL
"""
_ACCOUNT = {
    is_sqlite: _CARD.format(all="json_group_array" if is_sqlite else "json_agg")
    for is_sqlite in (True, False)
}
