"""Opening hours: by weekday, on special days, on holidays, in the house's time zone.

Owns when something is open, and when that changes next, through daylight-saving changes and past
midnight. `Calendar` is pure; below it, calendars are kept by their codes. A special day comes
before a holiday, a holiday before the weekday. Hours belong to the day on which they begin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import holidays
from sqlalchemy import insert, select, update

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.models import OpeningCalendar
from crm_store.shop import house
from crm_store.staff.queues import title

HOUSE = "house"
"""The code of the calendar of the house itself."""

_MIDNIGHT = time(0)
# A change that is further away is none: whoever asks wants to say it to a caller.
_LOOKED_AHEAD = timedelta(days=400)


@dataclass(frozen=True, slots=True, order=True)
class Hours:
    """Open from `opens` until before `closes`; past midnight if that is not later. From 0:00 to
    0:00 is the whole day."""

    opens: time
    closes: time

    @property
    def past_midnight(self) -> bool:
        return self.closes <= self.opens


@dataclass(frozen=True, slots=True)
class SpecialDays:
    """Other hours from the first to the last day, both included; none: closed."""

    first: date
    last: date
    hours: tuple[Hours, ...] = ()
    titles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DayHours:
    """A day's hours, and why: "weekly", "special" or "holiday". `titles` name a special day or a
    holiday, by language, as far as they have a name there."""

    day: date
    hours: tuple[Hours, ...]
    reason: str
    titles: Mapping[str, str] = field(default_factory=dict)

    def title(self, language: str) -> str:
        return title(self.titles, language, next(iter(self.titles.values()), ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """When something is open. `weekly` has seven days, Monday first; on a holiday of the country
    it is open in `on_holidays`, or as on any day if that is None."""

    titles: Mapping[str, str] = field(default_factory=dict)
    weekly: tuple[tuple[Hours, ...], ...] = ((Hours(_MIDNIGHT, _MIDNIGHT),),) * 7
    special: tuple[SpecialDays, ...] = ()
    on_holidays: tuple[Hours, ...] | None = ()
    time_zone: str = ""
    holiday_country: str = ""
    holiday_subdivision: str = ""

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone or "UTC")

    def is_open(self, moment: datetime) -> bool:
        """Whether the clock on its wall says so at that moment (aware)."""
        now = moment.astimezone(self.zone)
        clock = now.time()
        for hours in self.on(now.date()).hours:
            if hours.opens <= clock and (hours.past_midnight or clock < hours.closes):
                return True
        yesterday = self.on(now.date() - timedelta(days=1)).hours
        return any(hours.past_midnight and clock < hours.closes for hours in yesterday)

    def next_change(self, moment: datetime) -> datetime | None:
        """When it opens, if it is closed at that moment, or closes, if it is open; in its zone.

        None if that is more than a year away.
        """
        now = self.is_open(moment)
        first = moment.astimezone(self.zone).date() - timedelta(days=1)
        for ahead in range(_LOOKED_AHEAD.days):
            day = first + timedelta(days=ahead)
            for change in sorted(set(self._turns(day))):
                if change > moment and self.is_open(change) is not now:
                    return change.astimezone(self.zone)
        return None

    def on(self, day: date) -> DayHours:
        """The hours that begin on that day."""
        for special in self.special:
            if special.first <= day <= special.last:
                return DayHours(day, tuple(sorted(special.hours)), "special", special.titles)
        if self.on_holidays is not None and self.holiday_country:
            names = _holiday(self.holiday_country, self.holiday_subdivision, day)
            if names is not None:
                return DayHours(day, tuple(sorted(self.on_holidays)), "holiday", dict(names))
        return DayHours(day, tuple(sorted(self.weekly[day.weekday()])), "weekly")

    def today(self, moment: datetime) -> DayHours:
        return self.on(moment.astimezone(self.zone).date())

    def tomorrow(self, moment: datetime) -> DayHours:
        return self.on(moment.astimezone(self.zone).date() + timedelta(days=1))

    def _turns(self, day: date) -> Iterator[datetime]:
        """The moments (UTC) at which hours of that day may begin or end, and at which its clock is
        put forward or back."""
        for hours in self.on(day).hours:
            last = day + timedelta(days=1) if hours.past_midnight else day
            for local in (datetime.combine(day, hours.opens), datetime.combine(last, hours.closes)):
                for fold in (0, 1):
                    yield local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
        yield from _clock_changes(self.zone, day)


def check(calendar: Calendar) -> None:
    """Raises ValueError for a calendar that cannot be kept; the text says why."""
    if len(calendar.weekly) != 7:
        raise ValueError("a week has seven days")
    if calendar.time_zone:
        house.check_time_zone(calendar.time_zone)
    house.check_holidays(calendar.holiday_country, calendar.holiday_subdivision)
    days = [*calendar.weekly, *(one.hours for one in calendar.special), calendar.on_holidays or ()]
    for hours in days:
        ordered = sorted(hours)
        for one, following in pairwise(ordered):
            if one.past_midnight or following.opens < one.closes:
                raise ValueError("hours of one day lie over each other")
    for special in calendar.special:
        if special.last < special.first:
            raise ValueError("special days end before they begin")


# ---- kept by code --------------------------------------------------------------------------------


async def read(database: Database, code: str = HOUSE) -> Calendar:
    """The calendar of that code, in the house's time zone and with its holidays where it names none
    of its own. One that nobody has written is always open."""
    async with database.reading() as session:
        row = await session.scalar(select(OpeningCalendar).where(OpeningCalendar.code == code))
    found = _calendar(row) if row is not None else Calendar(on_holidays=None)
    return _in_house(found, await house.read(database))


async def read_all(database: Database) -> dict[str, Calendar]:
    """All calendars by code, as `read` gives them."""
    facts = await house.read(database)
    async with database.reading() as session:
        rows = await session.scalars(select(OpeningCalendar).order_by(OpeningCalendar.code))
        return {row.code: _in_house(_calendar(row), facts) for row in rows}


async def written(database: Database, code: str) -> Calendar | None:
    """The calendar as it was written, with nothing of the house's in it: what a page changes."""
    async with database.reading() as session:
        row = await session.scalar(select(OpeningCalendar).where(OpeningCalendar.code == code))
    return _calendar(row) if row is not None else None


async def write(transaction: Transaction, code: str, calendar: Calendar, *, actor: str) -> None:
    """Add the calendar, or put it in the place of that code's. Raises ValueError."""
    check(calendar)
    if not code:
        raise ValueError("a calendar has a code")
    session = transaction.session
    values: dict[str, Any] = {
        "titles": dict(calendar.titles),
        "weekly": [
            {"day": day} | _plain(hours)
            for day, several in enumerate(calendar.weekly)
            for hours in several
        ],
        "special": [
            {
                "first": one.first.isoformat(),
                "last": one.last.isoformat(),
                "hours": [_plain(hours) for hours in one.hours],
                "titles": dict(one.titles),
            }
            for one in calendar.special
        ],
        "holidays": {
            "as_usual": calendar.on_holidays is None,
            "hours": [_plain(hours) for hours in calendar.on_holidays or ()],
        },
        "time_zone": calendar.time_zone,
        "holiday_country": calendar.holiday_country,
        "holiday_subdivision": calendar.holiday_subdivision,
    }
    before = await session.scalar(
        select(OpeningCalendar).where(OpeningCalendar.code == code).with_for_update()
    )
    changed = [name for name, value in values.items() if getattr(before, name, None) != value]
    if not changed:
        return
    values |= {"changed_by": actor, "changed_at": datetime.now(UTC)}
    if before is None:
        await session.execute(insert(OpeningCalendar).values(code=code, **values))
    else:
        await session.execute(
            update(OpeningCalendar).where(OpeningCalendar.id == before.id).values(**values)
        )
    await audit.record(
        transaction,
        actor=actor,
        action="created" if before is None else "changed",
        subject_kind="opening_hours",
        subject_id=code,
        fields=changed,
    )


def _in_house(calendar: Calendar, facts: house.House) -> Calendar:
    own_country = bool(calendar.holiday_country)
    return replace(
        calendar,
        time_zone=calendar.time_zone or facts.time_zone,
        holiday_country=calendar.holiday_country or facts.holiday_country,
        holiday_subdivision=(
            calendar.holiday_subdivision if own_country else facts.holiday_subdivision
        ),
    )


def _calendar(row: OpeningCalendar) -> Calendar:
    weekly: list[list[Hours]] = [[] for _ in range(7)]
    for line in row.weekly:
        weekly[line["day"]].append(_hours(line))
    return Calendar(
        titles=row.titles,
        weekly=tuple(tuple(sorted(hours)) for hours in weekly),
        special=tuple(
            SpecialDays(
                date.fromisoformat(one["first"]),
                date.fromisoformat(one["last"]),
                _several(one["hours"]),
                one["titles"],
            )
            for one in row.special
        ),
        on_holidays=None if row.holidays["as_usual"] else _several(row.holidays["hours"]),
        time_zone=row.time_zone,
        holiday_country=row.holiday_country,
        holiday_subdivision=row.holiday_subdivision,
    )


def _several(lines: Sequence[Mapping[str, str]]) -> tuple[Hours, ...]:
    return tuple(sorted(_hours(line) for line in lines))


def _hours(line: Mapping[str, Any]) -> Hours:
    return Hours(time.fromisoformat(line["opens"]), time.fromisoformat(line["closes"]))


def _plain(hours: Hours) -> dict[str, Any]:
    return {
        "opens": hours.opens.isoformat("minutes"),
        "closes": hours.closes.isoformat("minutes"),
    }


# ---- clocks and holidays -------------------------------------------------------------------------


def _clock_changes(zone: ZoneInfo, day: date) -> Iterator[datetime]:
    """The moments (UTC) of that day at which the zone's clocks are put forward or back."""
    low = datetime.combine(day, _MIDNIGHT, UTC) - timedelta(hours=15)
    end = low + timedelta(hours=54)
    # In steps: two changes within one are not known of any zone.
    while low < end:
        high = low + timedelta(hours=6)
        if _offset(zone, low) != _offset(zone, high):
            change = _first_after(zone, low, high)
            if change.astimezone(zone).date() == day:
                yield change
        low = high


def _first_after(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    before = _offset(zone, low)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()


@lru_cache(maxsize=4_096)
def _holiday(country: str, subdivision: str, day: date) -> tuple[tuple[str, str], ...] | None:
    """The names of that day's holiday by language; None if it is none."""
    found = {}
    for language, year in _years(country, subdivision, day.year):
        name = year.get(day)
        if name is None:
            return None
        found[language] = name
    return tuple(found.items())


@lru_cache(maxsize=64)
def _years(country: str, subdivision: str, year: int) -> tuple[tuple[str, Mapping[date, str]], ...]:
    """The year's holidays, once for each of the languages that their names are known in, the
    country's own last so that it stands for what no other language says."""
    own = holidays.country_holidays(country, subdiv=subdivision or None, years=year)
    known = {name.split("_")[0]: name for name in sorted(own.supported_languages, reverse=True)}
    spoken = {
        language: holidays.country_holidays(
            country, subdiv=subdivision or None, years=year, language=name
        )
        for language, name in known.items()
        if language in ("en", "zh", "es", "fa")
    }
    spoken.setdefault((own.default_language or "en").split("_")[0], own)
    return tuple((language, dict(days)) for language, days in spoken.items())
