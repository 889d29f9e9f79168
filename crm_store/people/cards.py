"""Member cards: their numbers, and whose they are.

Owns the number's form: digits, the last of them a check digit (ISO/IEC 7812-1, Luhn), so that a
number that was keyed or said wrongly is nobody's instead of somebody else's. Points are in points.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import insert, select

from crm_store.database import Transaction
from crm_store.models import Card

SHORTEST = 8
LONGEST = 19


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
