"""Until when a conversation can be put off: moments at which somebody is there to take it up.

Owns the proposals. Pure: the calendar and the moment are given.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from crm_store.phone_menus.opening_hours import Calendar

LATER = timedelta(hours=3)
LOOKED_AHEAD = 60
"""Days in which a house that is closed now opens again, or there is nothing to propose."""


def choices(calendar: Calendar, now: datetime) -> list[tuple[str, datetime]]:
    """What to propose: "later_today" (while it is still open then), "tomorrow" (when it next opens
    on another day) and "next_week" (when it opens in the week that follows), each once."""
    zone = calendar.zone
    today = now.astimezone(zone).date()
    found: list[tuple[str, datetime]] = []
    later = now + LATER
    if later.astimezone(zone).date() == today and calendar.is_open(later):
        found.append(("later_today", later))
    tomorrow = _opens(calendar, today + timedelta(days=1))
    if tomorrow is not None:
        found.append(("tomorrow", tomorrow))
    next_week = _opens(calendar, today + timedelta(days=7 - today.weekday()))
    if next_week is not None and next_week != tomorrow:
        found.append(("next_week", next_week))
    return found


def _opens(calendar: Calendar, day: date) -> datetime | None:
    """When it first opens on that day or after it."""
    for ahead in range(LOOKED_AHEAD):
        hours = calendar.on(day + timedelta(days=ahead)).hours
        if hours:
            opens = hours[0].opens
            # A house that never closes is not started at midnight.
            at = time(9) if opens == time(0) and hours[0].past_midnight else opens
            return datetime.combine(day + timedelta(days=ahead), at, calendar.zone)
    return None
