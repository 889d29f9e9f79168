"""Phone numbers: any way of writing one, to E.164.

Owns the decision whether a text is a telephone number at all. Withheld callers, rubbish and the
house's own short extensions are not. Knows nothing of customers.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat

# Longer texts are not numbers; the bound also keeps the parser's regular expressions cheap.
LONGEST_TEXT = 64
# No country has shorter subscriber numbers with their area; shorter ones are extensions.
FEWEST_DIGITS = 7

_SIP_USER = re.compile(r"^(?:sips?|tel):", re.IGNORECASE)


@lru_cache(maxsize=65_536)
def to_e164(text: str, region: str) -> str | None:
    """The number as "+8613800138000", or None if `text` is no telephone number.

    `region` (ISO 3166, "CN") says how a number without a country code is meant. International
    numbers are taken with "+", "00", the region's own prefix or none at all; spaces, brackets,
    dashes, extensions, SIP addresses and the digits of any script are understood.
    """
    number = text.strip()
    if not number or len(number) > LONGEST_TEXT:
        return None
    if _SIP_USER.match(number):
        number = _SIP_USER.sub("", number).split("@", 1)[0]
    digits = "".join(
        str(unicodedata.digit(character)) for character in number if character.isdecimal()
    )
    if len(digits) < FEWEST_DIGITS:
        return None
    found = _parsed(number, region)
    # Possible is enough where the country is said: ranges open faster than our table learns.
    if found is not None and (
        phonenumbers.is_valid_number(found)
        or (number.startswith(("+", "\N{FULLWIDTH PLUS SIGN}")) and _possible(found))
    ):
        return phonenumbers.format_number(found, PhoneNumberFormat.E164)
    for spelling in (number.lstrip(" (")[2:] if digits.startswith("00") else None, number):
        found = _parsed("+" + spelling.lstrip(" ("), None) if spelling else None
        if found is not None and phonenumbers.is_valid_number(found):
            return phonenumbers.format_number(found, PhoneNumberFormat.E164)
    return None


def region_of(e164: str) -> str | None:
    """The country of a number, as ISO 3166, or None where it has none (satellite, freephone)."""
    number = _parsed(e164, None)
    return phonenumbers.region_code_for_number(number) if number is not None else None


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None


def _possible(number: PhoneNumber) -> bool:
    reason = phonenumbers.is_possible_number_with_reason(number)
    return reason == phonenumbers.ValidationResult.IS_POSSIBLE
