"""Numbers that people say and key: drawn by chance, the last digit a check digit (Luhn).

Owns their form. No two follow each other, so that nobody's number tells another's; a number that
was keyed wrongly is nobody's. Knows nothing of what a number stands for.
"""

from __future__ import annotations

import secrets

from crm_store.people.cards import check_digit
from crm_store.search_terms import fold_letters


def draw(digits: int) -> str:
    """A new number of so many digits. Whoever takes it sees to it that it is free."""
    # No zero in front: it gets lost where numbers are typed.
    drawn = str(1 + secrets.randbelow(9)) + "".join(
        str(secrets.randbelow(10)) for _ in range(digits - 2)
    )
    return drawn + check_digit(drawn)


def read(text: str, digits: int) -> str | None:
    """The number in plain digits, from what was said, written or keyed; None if it is none."""
    found = "".join(letter for letter in fold_letters(text) if letter not in " -")
    plain = found.isascii() and found.isdigit() and len(found) == digits
    return found if plain and check_digit(found[:-1]) == found[-1] else None


def shown(number: str, group: int = 4) -> str:
    """The number as people read it aloud, in groups."""
    return "\u202f".join(number[place : place + group] for place in range(0, len(number), group))
