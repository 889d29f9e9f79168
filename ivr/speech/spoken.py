"""What values sound like: numbers, money, dates, times, digits, as words in the caller's language.

The front door to the text before synthesis, so that it can be tested exactly and no engine has to
guess whether 2026 is a year, a price or a card. Every function but `plain` gives words alone: no
digit, no markup. Owns digits and telephone numbers itself; the rest is in the modules named for it.
Refuses to know sentences (ivr.prompts) and sound. Raises KeyError for a language that is not
spoken here.
"""

from __future__ import annotations

import re
import unicodedata

import phonenumbers

from ivr.speech.day_words import about, day, time_of_day
from ivr.speech.money_words import minor_digits, money
from ivr.speech.number_words import SPACE, cardinal, count, number, ordinal, points
from ivr.speech.plain_text import plain

__all__ = [
    "LANGUAGES",
    "about",
    "count",
    "day",
    "digits",
    "minor_digits",
    "money",
    "number",
    "ordinal",
    "phone_number",
    "plain",
    "points",
    "time_of_day",
]

LANGUAGES = ("en", "zh", "es", "fa")

PAUSE = {"en": ", ", "zh": "，", "es": ", ", "fa": "، "}
"""Where an engine takes breath."""

LONGEST_GROUP = 4
"""More digits than this in one breath are not kept in mind."""


def digits(text: str, language: str) -> str:
    """A card's, order's or item's number: each digit and letter by itself, with a breath between
    groups. Digits of any script are taken; what is neither digit nor letter divides groups."""
    groups: list[str] = []
    for run in re.split(r"[\W_]+", text):
        groups += _groups(run)
    said = [_each(group, language) for group in groups]
    return PAUSE[language].join(group for group in said if group)


def phone_number(number_e164: str, language: str, region: str) -> str:
    """A telephone number as one dials it in `region` (ISO 3166): without the country's code there,
    with it from anywhere else. What cannot be read as a number is read digit by digit."""
    try:
        parsed = phonenumbers.parse(number_e164, region)
    except phonenumbers.NumberParseException:
        return digits(number_e164, language)
    home = phonenumbers.region_code_for_number(parsed) == region
    form = phonenumbers.PhoneNumberFormat
    written = phonenumbers.format_number(parsed, form.NATIONAL if home else form.INTERNATIONAL)
    said = digits(written, language)
    return said if home else f"{_PLUS[language]}{SPACE[language]}{said}"


_PLUS = {"en": "plus", "zh": "加", "es": "más", "fa": "به‌علاوه"}


def _groups(run: str) -> list[str]:
    """Even groups of at most `LONGEST_GROUP`, the longer ones first."""
    if not run:
        return []
    groups = -(-len(run) // LONGEST_GROUP)
    size, longer = divmod(len(run), groups)
    cut, start = [], 0
    for index in range(groups):
        end = start + size + (index < longer)
        cut.append(run[start:end])
        start = end
    return cut


def _each(group: str, language: str) -> str:
    said = []
    for letter in group:
        value = unicodedata.digit(letter, None)
        if value is not None:
            said.append(cardinal(value, language))
        elif letter.isalpha():
            said.append(letter.upper())
    return SPACE[language].join(said)
