"""Clocks: when something written must be answered, counted in opening hours only.

Owns the arithmetic of targets: a clock runs while its calendar is open and stands while it is
closed. Knows no conversation and asks nobody for the time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from crm_store.phone_menus.opening_hours import Calendar

_NOTHING = timedelta(0)


class Clock:
    """Runs in the opening hours of a calendar. It remembers the hours that it has been through, so
    that asking for many moments of one week costs little more than asking for one."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        # Moments (UTC) at which it opens and closes in turn; the last one's successor is unknown,
        # or there is none.
        self._changes: list[datetime] = []
        self._first_is_open = False
        self._is_complete = False

    def due(self, opened: datetime, target: timedelta) -> datetime | None:
        """When `target` of opening time has gone by since `opened` (aware), in UTC.

        None if the calendar is closed for good, or for more than a year at a stretch: then nothing
        is promised. A target of nothing is due at once, open or closed.
        """
        left = target
        if left <= _NOTHING:
            return opened.astimezone(UTC)
        for start, end, is_open in self._stretches(opened.astimezone(UTC)):
            if not is_open:
                continue
            if end is None or end - start >= left:
                return start + left
            left -= end - start
        return None

    def open_time(self, start: datetime, end: datetime) -> timedelta:
        """How much opening time lies from `start` until `end` (aware); none if it ends before."""
        total = _NOTHING
        for begin, until, is_open in self._stretches(start.astimezone(UTC)):
            if begin >= end:
                break
            if is_open:
                total += (end if until is None else min(until, end)) - begin
        return total

    def _stretches(self, moment: datetime) -> Iterator[tuple[datetime, datetime | None, bool]]:
        """Times of being open and closed in turn, from `moment` on; the last has no end."""
        if not self._changes or moment < self._changes[0]:
            first = moment - timedelta(days=1)
            self._changes = [first]
            self._first_is_open = self.calendar.is_open(first)
            self._is_complete = False
        while not self._is_complete and self._changes[-1] <= moment:
            self._look_on()
        place = bisect_right(self._changes, moment) - 1
        while True:
            if place + 1 == len(self._changes) and not self._is_complete:
                self._look_on()
            end = self._changes[place + 1] if place + 1 < len(self._changes) else None
            yield moment, end, self._first_is_open is (place % 2 == 0)
            if end is None:
                return
            moment, place = end, place + 1

    def _look_on(self) -> None:
        change = self.calendar.next_change(self._changes[-1])
        if change is None:
            self._is_complete = True
        else:
            self._changes.append(change.astimezone(UTC))
