"""How callers are shown: numbers grouped for the eye, and the language one probably speaks.

Owns these forms, kept for the next time because pops must be quick. Knows no topic and no page.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import phonenumbers

Document = dict[str, Any]

CALLER_NAME_LENGTH = 200
"""A longer caller's name is cut: it is a stranger's text on every supervisor's screen."""


@lru_cache(maxsize=10_000)
def shown_number(number: str) -> str:
    """A number grouped for the eye, in its international form; as it is if it is not E.164."""
    if not number.startswith("+"):
        return number
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def shown_card(card: Document) -> Document:
    """A customer's card whose telephone numbers have a form for the eye beside them."""
    ways = [
        {**way, "shown": shown_number(way["value"])} if way["kind"] == "phone" else way
        for way in card["contact_points"]
    ]
    return {**card, "contact_points": ways}


LANGUAGE_BY_REGION = {
    **dict.fromkeys(("CN", "TW", "HK", "MO", "SG"), "zh"),
    **dict.fromkeys(
        ("ES", "MX", "AR", "CO", "CL", "PE", "VE", "EC", "GT", "CU", "BO", "DO", "HN", "PY", "SV",
         "NI", "CR", "PA", "UY", "PR"),
        "es",
    ),
    **dict.fromkeys(("IR", "AF"), "fa"),
}  # fmt: skip


@lru_cache(maxsize=10_000)
def guessed_language(number: str | None) -> str:
    """The language somebody with this number (E.164) most likely speaks; "en" if unsure."""
    if not number:
        return "en"
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return "en"
    return LANGUAGE_BY_REGION.get(region or "", "en")
