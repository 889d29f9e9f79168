"""The supervisors' pages of opening hours, under /setup/opening-hours.

Owns the list of calendars and the form of one, with a picture of the days to come. What hours mean
is the store's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

import holidays
from aiohttp import web
from babel import Locale
from babel.dates import format_date, get_day_names

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, language_of, signed_in
from agent_desk.languages import NAMES
from agent_desk.setup.hours_text import read_hours, write_hours
from agent_desk.setup.pages import FormFaults, SetupForm, done, form_of, setup_page
from crm_store.phone_menus import opening_hours
from crm_store.phone_menus.opening_hours import HOUSE, Calendar, Hours, SpecialDays

HERE = "/setup/opening-hours"
MOST_SPECIAL = 100
NEW_SPECIAL = 2
"""Empty lines for special days at the end of the form."""
DAYS_SHOWN = 14


async def show_calendars(request: web.Request) -> web.StreamResponse:
    """GET /setup/opening-hours: all calendars, whether each is open now, and its week."""
    _ = language_of(request)
    now = datetime.now(UTC)
    found = await opening_hours.read_all(request.app[PARTS].database)
    found.setdefault(HOUSE, await opening_hours.read(request.app[PARTS].database))
    return setup_page(
        request,
        "setup/calendars.html",
        HERE,
        found=[
            {
                "code": code,
                "title": _title(calendar, code, _.code),
                "open": calendar.is_open(now),
                "today": write_hours(calendar.today(now).hours),
                "zone": calendar.time_zone,
            }
            for code, calendar in sorted(found.items(), key=lambda one: (one[0] != HOUSE, one[0]))
        ],
    )


async def new_calendar(request: web.Request) -> web.StreamResponse:
    """GET /setup/opening-hours/new."""
    return await _form(request, "", Calendar(weekly=((),) * 7, on_holidays=()), {}, None)


async def show_calendar(request: web.Request) -> web.StreamResponse:
    """GET /setup/opening-hours/{code}."""
    code, calendar = await _known(request)
    return await _form(request, code, calendar, {}, None)


async def add_calendar(request: web.Request) -> web.StreamResponse:
    """POST /setup/opening-hours/new."""
    _ = language_of(request)
    form = await form_of(request)
    code = form.code("code")
    if code == "new" or code in await opening_hours.read_all(request.app[PARTS].database):
        form.faults.say("code", _("There is one with this code already."))
    return await _save(request, form, "", code, Calendar(weekly=((),) * 7, on_holidays=()))


async def change_calendar(request: web.Request) -> web.StreamResponse:
    """POST /setup/opening-hours/{code}."""
    code, before = await _known(request)
    return await _save(request, await form_of(request), code, code, before)


async def _save(
    request: web.Request, form: SetupForm, known: str, code: str, before: Calendar
) -> web.StreamResponse:
    _ = language_of(request)
    typed: dict[str, str] = {}
    calendar = _read(form, _, typed)
    if not form.faults:
        try:
            opening_hours.check(calendar)
            async with request.app[PARTS].database.transaction() as transaction:
                await opening_hours.write(
                    transaction, code, calendar, actor=signed_in(request).agent.login
                )
        except ValueError:
            form.faults.say("weekly", _("Hours of one day lie over each other."))
    if form.faults:
        return await _form(request, known, replace(calendar, titles=calendar.titles), typed, form)
    raise done(HERE, "saved" if known else "added", code)


def _read(form: SetupForm, _: Any, typed: dict[str, str]) -> Calendar:
    """The calendar that the form describes; `typed` keeps what was written as hours."""

    def hours_of(name: str) -> tuple[Hours, ...]:
        typed[name] = form.text(name, longest=120)
        try:
            return read_hours(typed[name])
        except ValueError:
            form.faults.say(name, _("Write hours such as 10:00-14:00, 16:00-22:00."))
            return ()

    def day_of(name: str, otherwise: str = "") -> date | None:
        text = form.text(name, longest=10) or otherwise
        try:
            return date.fromisoformat(text)
        except ValueError:
            form.faults.say(name, _("Write a day such as 2027-02-17."))
            return None

    special = []
    for line in range(MOST_SPECIAL):
        first_text = form.text(f"special.{line}.first", longest=10)
        if not first_text:
            continue
        first = day_of(f"special.{line}.first")
        last = day_of(f"special.{line}.last", first_text)
        if first and last and last < first:
            form.faults.say(f"special.{line}.last", _("The last day is before the first."))
        titles = {code: form.text(f"special.{line}.title.{code}") for code in NAMES}
        hours = hours_of(f"special.{line}.hours")
        if first and last:
            special.append(
                SpecialDays(first, last, hours, {code: t for code, t in titles.items() if t})
            )
    zone = form.text("time_zone", longest=60)
    if zone and zone not in available_timezones():
        form.faults.say("time_zone", _("Choose one of the list."))
        zone = ""
    country, part = country_of(form, _)
    return Calendar(
        titles=form.titles(),
        weekly=tuple(hours_of(f"weekly.{day}") for day in range(7)),
        special=tuple(special),
        on_holidays=None if form.ticked("holidays_as_usual") else hours_of("holidays"),
        time_zone=zone,
        holiday_country=country,
        holiday_subdivision=part,
    )


def country_of(form: SetupForm, _: Any) -> tuple[str, str]:
    """The country of holidays and its part, as the form says."""
    country = form.text("holiday_country", longest=10)
    part = form.text("holiday_subdivision", longest=20)
    known = holidays.list_supported_countries()
    if country and country not in known:
        form.faults.say("holiday_country", _("Choose one of the list."))
        country = ""
    if part and part not in known.get(country, []):
        form.faults.say("holiday_subdivision", _("No holidays are known of this part."))
        part = ""
    return country, part


@lru_cache(maxsize=8)
def countries(language: str) -> tuple[tuple[str, str], ...]:
    """The countries whose holidays are known, by code, with their names."""
    names = Locale.parse(language).territories
    known = [(code, str(names.get(code, code))) for code in holidays.list_supported_countries()]
    return tuple(sorted(known, key=lambda one: one[1]))


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    return tuple(sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC"))


async def _form(
    request: web.Request,
    known: str,
    calendar: Calendar,
    typed: Mapping[str, str],
    form: SetupForm | None,
) -> web.Response:
    _ = language_of(request)
    day_names = get_day_names("wide", locale=_.code)
    lines = [
        {
            "first": one.first.isoformat(),
            "last": one.last.isoformat(),
            "hours": write_hours(one.hours),
            "titles": one.titles,
        }
        for one in calendar.special
    ]
    empty = {"first": "", "last": "", "hours": "", "titles": {}}
    faults: FormFaults | None = form.faults if form else None
    return setup_page(
        request,
        "setup/calendar.html",
        HERE,
        known=known,
        heading=_title(calendar, known, _.code) if known else _("New calendar"),
        calendar=calendar,
        week=[
            (day, day_names[day], typed.get(f"weekly.{day}", write_hours(hours)))
            for day, hours in enumerate(calendar.weekly)
        ],
        holiday_hours=typed.get("holidays", write_hours(calendar.on_holidays or ())),
        special=[*lines, *([empty] * NEW_SPECIAL)],
        countries=countries(_.code),
        zones=zones(),
        days=await _days(request, known) if known else [],
        faults=faults,
    )


async def _days(request: web.Request, code: str) -> list[dict[str, Any]]:
    """The days to come as the calendar has them now, each with its open parts of the day in
    thousandths."""
    _ = language_of(request)
    calendar = await opening_hours.read(request.app[PARTS].database, code)
    first = datetime.now(UTC).astimezone(calendar.zone).date()
    shown = []
    for ahead in range(DAYS_SHOWN):
        day = calendar.on(first + timedelta(days=ahead))
        shown.append(
            {
                "date": format_date(day.day, "EEE d MMM", locale=_.code),
                "hours": write_hours(day.hours),
                "reason": day.reason,
                "title": day.title(_.code),
                "bars": [_bar(one) for one in day.hours],
            }
        )
    return shown


def _bar(hours: Hours) -> tuple[int, int]:
    start = (hours.opens.hour * 60 + hours.opens.minute) * 1000 // 1440
    end = (hours.closes.hour * 60 + hours.closes.minute) * 1000 // 1440
    return start, (1000 if hours.past_midnight else end) - start


def _title(calendar: Calendar, code: str, language: str) -> str:
    return calendar.titles.get(language) or calendar.titles.get("en") or code


async def _known(request: web.Request) -> tuple[str, Calendar]:
    code = request.match_info["code"]
    found = await opening_hours.written(request.app[PARTS].database, code)
    if found is None and code == HOUSE:
        found = Calendar(on_holidays=None)
    if found is None:
        raise web.HTTPNotFound
    return code, found


ROUTES = (
    Route("GET", HERE, show_calendars, Access.SUPERVISORS),
    Route("GET", f"{HERE}/new", new_calendar, Access.SUPERVISORS),
    Route("POST", f"{HERE}/new", add_calendar, Access.SUPERVISORS),
    Route("GET", f"{HERE}/{{code}}", show_calendar, Access.SUPERVISORS),
    Route("POST", f"{HERE}/{{code}}", change_calendar, Access.SUPERVISORS),
)
