"""What everybody may see without signing in: the house, its hours, its goods, its offers.

Owns the public pages of the hall, and the start page's greeting for who is signed in. Shows nothing
of a person beyond their own card and newest order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.sign_in import YEAR_S
from agent_desk.entrance.visitor import (
    LANGUAGE_COOKIE,
    PARTS,
    THEME_COOKIE,
    language_of,
    set_cookie,
)
from agent_desk.hall.basket import MOST_OF_ONE
from agent_desk.hall.frame import Written, address_of_ours, hall_page
from agent_desk.hall.order_states import state_said
from agent_desk.hall.visitor import HALL, HOUSE, customer_if_any
from agent_desk.languages import Language
from crm_store.people import customers
from crm_store.phone_menus import opening_hours
from crm_store.phone_menus.opening_hours import Calendar, DayHours, Hours
from crm_store.shop import catalogue, orders, promotions
from crm_store.staff.queues import title

PRODUCTS_A_PAGE = 24
DAYS_AHEAD = 60
"""So far ahead the house page tells of days with other hours, and of offers to come."""


@dataclass(frozen=True, slots=True)
class ShownDay:
    """A day's hours as they are read; `title` says why they are not the usual ones."""

    name: str
    hours: str
    title: str
    is_today: bool = False


def shown_hours(hours: Sequence[Hours], _: Language, written: Written) -> str:
    """The hours of one day in words."""
    if not hours:
        return _("Closed")
    if any(one.opens == one.closes for one in hours):
        return _("Open all day")
    spans = (f"{written.clock(one.opens)} \u2013 {written.clock(one.closes)}" for one in hours)
    return ", ".join(spans)


def open_said(calendar: Calendar, now: datetime, _: Language, written: Written) -> str:
    """Whether it is open, and until when that stays so."""
    change = calendar.next_change(now)
    if calendar.is_open(now):
        if change is None:
            return _("Open now")
        return _("Open now until %s") % written.clock(change)
    if change is None:
        return _("Closed")
    today = now.astimezone(calendar.zone).date()
    if change.date() == today:
        return _("Closed now, opens at %s") % written.clock(change)
    return _("Closed now, opens on %(day)s at %(time)s") % {
        "day": written.weekday(change.date()),
        "time": written.clock(change),
    }


def _shown_day(day: DayHours, name: str, today: date, _: Language, written: Written) -> ShownDay:
    return ShownDay(
        name,
        shown_hours(day.hours, _, written),
        day.title(_.code) if day.reason != "weekly" else "",
        day.day == today,
    )


def _week(calendar: Calendar, now: datetime, _: Language, written: Written) -> list[ShownDay]:
    today = now.astimezone(calendar.zone).date()
    days = [calendar.on(today + timedelta(days=ahead)) for ahead in range(7)]
    return [_shown_day(day, written.weekday(day.day), today, _, written) for day in days]


def _other_days(calendar: Calendar, now: datetime, _: Language, written: Written) -> list[ShownDay]:
    """Days after this week on which the hours are not the weekday's."""
    today = now.astimezone(calendar.zone).date()
    ahead = (calendar.on(today + timedelta(days=days)) for days in range(7, DAYS_AHEAD))
    return [
        _shown_day(day, written.day(day.day), today, _, written)
        for day in ahead
        if day.reason != "weekly" and day.hours != tuple(sorted(calendar.weekly[day.day.weekday()]))
    ]


async def show_start(request: web.Request) -> web.StreamResponse:
    """GET /hall: the house today, what can be done here, and the customer's own card if any."""
    _, database, now = language_of(request), request.app[PARTS].database, datetime.now(UTC)
    house = request[HOUSE]
    written = Written(_, house)
    calendar = await opening_hours.read(database)
    session = customer_if_any(request)
    person = await customers.card(database, session.customer_id) if session else None
    order = await orders.latest_of(database, person.id) if person else None
    return hall_page(
        request,
        "start.html",
        is_open=calendar.is_open(now),
        open_said=open_said(calendar, now, _, written),
        week=_week(calendar, now, _, written),
        offers=await promotions.on(database, now.astimezone(house.zone).date()),
        tiles=_tiles(_),
        card=next(iter(person.cards), None) if person else None,
        order=order,
        order_said=state_said(order.state, _) if order else "",
        order_number=orders.shown_number(order.number) if order else "",
    )


def _tiles(_: Language) -> list[tuple[str, str, str]]:
    return [
        (f"{HALL}/points", "star", _("Points")),
        (f"{HALL}/orders", "box", _("My orders")),
        (f"{HALL}/products", "bag", _("Products")),
        (f"{HALL}/messages", "chat", _("Write to us")),
        (f"{HALL}/callback", "phone", _("Call me back")),
        (f"{HALL}/complaints", "flag", _("Complaints")),
    ]


async def show_house(request: web.Request) -> web.StreamResponse:
    """GET /hall/house: opening hours, and what there is to know about the house."""
    _, database, now = language_of(request), request.app[PARTS].database, datetime.now(UTC)
    house = request[HOUSE]
    written = Written(_, house)
    calendars = await opening_hours.read_all(database)
    calendar = calendars.pop(opening_hours.HOUSE, None) or await opening_hours.read(database)
    return hall_page(
        request,
        "house.html",
        is_open=calendar.is_open(now),
        open_said=open_said(calendar, now, _, written),
        week=_week(calendar, now, _, written),
        holidays=_other_days(calendar, now, _, written),
        others=[
            (title(one.titles, _.code, code), open_said(one, now, _, written))
            for code, one in calendars.items()
        ],
        topics=[
            (name, icon, house.text(topic, _.code))
            for topic, icon, name in _topics(_)
            if house.text(topic, _.code)
        ],
    )


def _topics(_: Language) -> list[tuple[str, str, str]]:
    return [
        ("address", "pin", _("Address")),
        ("how_to_get_there", "pin", _("How to get there")),
        ("parking", "info", _("Parking")),
        ("places", "bag", _("Where things are")),
        ("dining", "clock", _("Dining")),
        ("cards_accepted", "card", _("Cards that are taken")),
        ("medical", "info", _("Medical help")),
    ]


async def show_offers(request: web.Request) -> web.StreamResponse:
    """GET /hall/offers: what is offered now, and soon."""
    today = datetime.now(UTC).astimezone(request[HOUSE].zone).date()
    known = await promotions.all_promotions(request.app[PARTS].database)
    until = today + timedelta(days=DAYS_AHEAD)
    return hall_page(
        request,
        "offers.html",
        offers=[one for one in known if one.active and one.first_day <= today <= one.last_day],
        coming=[one for one in known if one.active and today < one.first_day <= until],
    )


async def show_products(request: web.Request) -> web.StreamResponse:
    """GET /hall/products ?find= &skip=: what is sold, with its price."""
    find = " ".join(request.query.get("find", "").split())[:100]
    said = request.query.get("skip", "0")
    skip = int(said) if said.isascii() and said.isdigit() and len(said) < 7 else 0
    found = await catalogue.search(
        request.app[PARTS].database, find, limit=PRODUCTS_A_PAGE + 1, skip=skip
    )
    return hall_page(
        request,
        "products.html",
        find=find,
        products=found[:PRODUCTS_A_PAGE],
        before=max(0, skip - PRODUCTS_A_PAGE) if skip else None,
        after=skip + PRODUCTS_A_PAGE if len(found) > PRODUCTS_A_PAGE else None,
    )


async def show_product(request: web.Request) -> web.StreamResponse:
    """GET /hall/products/{item}: one product, where it is, and a way into the basket."""
    found = await catalogue.product(request.app[PARTS].database, request.match_info["item"])
    if found is None:
        raise web.HTTPNotFound
    return hall_page(request, "product.html", product=found, most=MOST_OF_ONE)


async def choose_look(request: web.Request) -> web.StreamResponse:
    """POST /hall/look, fields `language` or `theme` ("light", "dark", "" as the machine has it)."""
    form = await request.post()
    response = web.HTTPSeeOther(address_of_ours(str(form.get("next", ""))))
    for field, cookie in (("language", LANGUAGE_COOKIE), ("theme", THEME_COOKIE)):
        if field in form:
            set_cookie(response, request.app[PARTS], cookie, str(form[field])[:10], YEAR_S)
    raise response


ROUTES = (
    Route("GET", HALL, show_start, Access.EVERYBODY),
    Route("GET", f"{HALL}/house", show_house, Access.EVERYBODY),
    Route("GET", f"{HALL}/offers", show_offers, Access.EVERYBODY),
    Route("GET", f"{HALL}/products", show_products, Access.EVERYBODY),
    Route("GET", f"{HALL}/products/{{item}}", show_product, Access.EVERYBODY),
    Route("POST", f"{HALL}/look", choose_look, Access.EVERYBODY),
)
