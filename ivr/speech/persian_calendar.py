"""Days in the Solar Hijri calendar, by which Persian speakers date.

Owns the arithmetic and the months' names. The rule of eight leap years in 33 agrees with the
calendar as it is observed for all years that a shop speaks of (1799 to 2256).
"""

from __future__ import annotations

from datetime import date, timedelta

MONTHS = (
    *("فروردین", "اردیبهشت", "خرداد", "تیر", "مرداد", "شهریور"),
    *("مهر", "آبان", "آذر", "دی", "بهمن", "اسفند"),
)
"""From the first day of spring."""

_LEAP_REMAINDERS = frozenset((1, 5, 9, 13, 17, 22, 26, 30))
_KNOWN_YEAR, _KNOWN_NEW_YEAR = 1403, date(2024, 3, 20)


def persian_date(day: date) -> tuple[int, int, int]:
    """Year, month (1 is Farvardin) and day of the month."""
    year, new_year = _KNOWN_YEAR, _KNOWN_NEW_YEAR
    while day < new_year:
        year -= 1
        new_year -= timedelta(days=_days_of(year))
    while day >= (following := new_year + timedelta(days=_days_of(year))):
        year, new_year = year + 1, following
    passed = (day - new_year).days
    # Six months of 31 days, then months of 30; the last has what is left.
    if passed < 186:
        return year, passed // 31 + 1, passed % 31 + 1
    return year, (passed - 186) // 30 + 7, (passed - 186) % 30 + 1


def _days_of(year: int) -> int:
    return 366 if year % 33 in _LEAP_REMAINDERS else 365
