"""Hours as people write them: "10:00-14:00, 16:00-22:00", nothing for closed.

Owns reading and writing that line, in any script's digits. What hours mean is the store's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import time

from crm_store.phone_menus.opening_hours import Hours
from crm_store.search_terms import fold_letters

MOST_A_DAY = 6
_SPAN = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?\s*[-\u2010-\u2015~]\s*(\d{1,2})(?:[:.](\d{2}))?")


def read_hours(text: str) -> tuple[Hours, ...]:
    """The hours of one day. Raises ValueError for what cannot be read as such."""
    plain = fold_letters(text).replace("\u060c", ",").replace("\uff0c", ",").replace("\u3001", ",")
    parts = [part.strip() for part in plain.split(",") if part.strip()]
    if len(parts) > MOST_A_DAY:
        raise ValueError(f"more than {MOST_A_DAY} spans")
    found = []
    for part in parts:
        span = _SPAN.fullmatch(part)
        if span is None:
            raise ValueError(part)
        found.append(Hours(_time(span[1], span[2]), _time(span[3], span[4])))
    return tuple(sorted(found))


def write_hours(hours: Sequence[Hours]) -> str:
    """The line that `read_hours` reads back."""
    return ", ".join(f"{one.opens:%H:%M}-{_closing(one.closes)}" for one in hours)


def _time(hour: str, minute: str | None) -> time:
    # A day's end is written as 24:00 and kept as the next one's 0:00.
    if hour == "24" and (minute or "00") == "00":
        return time(0)
    return time(int(hour), int(minute or 0))


def _closing(closes: time) -> str:
    return "24:00" if closes == time(0) else f"{closes:%H:%M}"
