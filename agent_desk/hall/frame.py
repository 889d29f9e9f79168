"""The frame of the hall's pages: the house's name, who is greeted, where one can go from here.

Owns what every page of the hall is given, how amounts, days and moments are written for a customer
(in the house's own time), and what is said once of something that was done. Refuses to know any
single page, and never shows anything of the desk.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_currency, format_decimal, get_currency_precision
from markupsafe import Markup

from agent_desk import languages
from agent_desk.entrance.visitor import (
    FORM_COOKIE,
    PAGES,
    PARTS,
    THEME_COOKIE,
    language_of,
    set_cookie,
)
from agent_desk.hall.visitor import HALL, HOUSE, customer_if_any
from agent_desk.languages import Language
from agent_desk.rendering import shown_points
from agent_desk.static_files import static_address
from crm_store.shop.house import House
from crm_store.staff.queues import title

LONGEST_LINE = 200


@dataclass(frozen=True, slots=True)
class Place:
    """A place of the hall in its navigation; `icon` is a symbol of hall_icons.svg."""

    address: str
    icon: str
    name: str


def _places(_: Language) -> tuple[Place, ...]:
    return (
        Place(HALL, "home", _("Home")),
        Place(f"{HALL}/products", "bag", _("Products")),
        Place(f"{HALL}/card", "card", _("Card")),
        Place(f"{HALL}/orders", "box", _("Orders")),
        Place(f"{HALL}/me", "person", _("Me")),
    )


def _done(_: Language) -> dict[str, str]:
    """What is said on the page after something was done, by the word in its address."""
    return {
        "saved": _("Saved."),
        "signed-out": _("You are signed out."),
        "signed-out-everywhere": _("You are signed out on all devices."),
        "in-basket": _("It is in your basket."),
        "ordered": _("Thank you! Your order has been placed."),
        "filed": _("Your complaint has been filed. We see to it and tell you."),
        "called": _("We will call you."),
        "not-called": _("The call is cancelled."),
        "sent": _("Your message is with us."),
        "added": _("Added: it is yours now."),
        "removed": _("Removed."),
        "welcome": _("Welcome! This is your member card."),
        "erased": _("Your data has been erased. Goodbye, and thank you."),
    }


class Faults(dict[str, str]):
    """What is wrong with a form's fields, each told beside its field."""

    def say(self, name: str, message: str) -> None:
        """The first thing that is wrong with a field is the one that is told."""
        self.setdefault(name, message)


@dataclass(slots=True)
class Form:
    """A form that was sent, read field by field; what cannot be taken is gathered in `faults`."""

    fields: Mapping[str, object]
    language: Language
    faults: Faults = field(default_factory=Faults)

    def text(self, name: str, *, longest: int = LONGEST_LINE) -> str:
        """The trimmed text, "" if there is none."""
        value = self.fields.get(name, "")
        text = value.strip() if isinstance(value, str) else ""
        if len(text) > longest:
            _ = self.language
            self.faults.say(name, _("This is too long: at most %d characters.") % longest)
        return text[:longest]

    def needed(self, name: str, message: str, *, longest: int = LONGEST_LINE) -> str:
        """The trimmed text; `message` is said where there is none."""
        text = self.text(name, longest=longest)
        if not text:
            self.faults.say(name, message)
        return text

    def choice(self, name: str, allowed: Mapping[str, object]) -> str:
        """One of the list, or "" and a fault."""
        text = self.text(name)
        if text in allowed:
            return text
        _ = self.language
        self.faults.say(name, _("Choose one of the list."))
        return ""

    def ticked(self, name: str) -> bool:
        return name in self.fields


async def form_of(request: web.Request) -> Form:
    """The form that was sent."""
    return Form(await request.post(), language_of(request))


def hall_page(
    request: web.Request,
    template: str,
    *,
    status: int = 200,
    faults: Mapping[str, str] | None = None,
    **values: Any,
) -> web.Response:
    """A page of the hall in its frame. With `faults` it is the form again, with what is wrong."""
    _ = language_of(request)
    house = request.get(HOUSE) or House()
    session = customer_if_any(request)
    theme = request.cookies.get(THEME_COOKIE, "")
    form_token = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(24)
    written = Written(_, house)
    rendered = (
        request.app[PAGES]
        .get_template(f"hall/{template}")
        .render(
            {
                "_": _,
                "ngettext": _.count,
                "language": _,
                "languages": languages.NAMES,
                "theme": theme if theme in ("light", "dark") else "",
                "house": house,
                "house_name": house.name(_.code) or _("The house"),
                "me": session,
                "csrf_token": session.csrf_token if session else form_token,
                "here": request.path_qs if request.method == "GET" else HALL,
                "places": _places(_),
                "place": request.path,
                "done": _done(_).get(request.query.get("done", ""), ""),
                "faults": faults or {},
                "hall_icon": hall_icon,
                "written": written,
            }
            | values
        )
    )
    response = web.Response(
        text=rendered, status=400 if faults and status == 200 else status, content_type="text/html"
    )
    if session is None and FORM_COOKIE not in request.cookies:
        set_cookie(response, request.app[PARTS], FORM_COOKIE, form_token, None)
    return response


def error_page(request: web.Request, status: int, said: str) -> web.Response:
    """What went wrong, in the hall's frame; also where the house itself could not be read."""
    return hall_page(request, "error.html", status=status, message=said)


def done(address: str, word: str) -> web.HTTPSeeOther:
    """Go to the page, which says once that it was done."""
    return web.HTTPSeeOther(f"{address}?{urlencode({'done': word})}")


def address_of_ours(address: str, otherwise: str = HALL) -> str:
    """The address if it is a page of the hall, else the other one."""
    inside = address == HALL or address.startswith((HALL + "/", HALL + "?"))
    plain = address.isprintable() and "\\" not in address and ".." not in address
    return address if inside and plain and not address.startswith(f"{HALL}/sign-") else otherwise


def hall_icon(name: str, kind: str = "") -> Markup:
    """A picture of hall_icons.svg that says nothing to a screen reader."""
    return Markup('<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>').format(
        kind, static_address("hall_icons.svg"), name
    )


@dataclass(frozen=True, slots=True)
class Written:
    """Amounts and times as this reader reads them; moments in the house's time zone."""

    language: Language
    house: House

    def day(self, day: date) -> Markup:
        """A day; the page's script writes it in the reader's calendar."""
        shown = self._digits(format_date(day, "long", locale=self.language.code))
        return Markup('<time datetime="{}" data-day>{}</time>').format(day.isoformat(), shown)

    def weekday(self, day: date) -> str:
        return format_date(day, "EEEE", locale=self.language.code)

    def moment(self, at: datetime) -> Markup:
        """A moment with its day and hour; the page's script writes it in the reader's calendar."""
        shown = self._digits(
            format_datetime(at, "medium", tzinfo=self.house.zone, locale=self.language.code)
        )
        return Markup('<time datetime="{}" data-zone="{}">{}</time>').format(
            at.isoformat(), self.house.time_zone, shown
        )

    def date_of(self, at: datetime) -> Markup:
        return self.day(at.astimezone(self.house.zone).date())

    def clock(self, at: time | datetime) -> str:
        zone = self.house.zone if isinstance(at, datetime) else None
        return self._digits(format_time(at, "short", tzinfo=zone, locale=self.language.code))

    def points(self, hundredths: int) -> str:
        return self._digits(shown_points(hundredths, self.language.code))

    def moved(self, hundredths: int) -> str:
        """Points with their sign, as a ledger has them."""
        sign = "+" if hundredths > 0 else "\u2212"
        return sign + self.points(abs(hundredths))

    def money(self, minor: int, currency: str) -> str:
        amount = Decimal(minor).scaleb(-get_currency_precision(currency))
        return self._digits(
            format_currency(amount, currency, locale=self.language.code, numbering_system="default")
        )

    def whole(self, number: int) -> str:
        return self._digits(
            format_decimal(number, locale=self.language.code, numbering_system="default")
        )

    def said(self, texts: Mapping[str, str], otherwise: str = "") -> str:
        """What stands there in the reader's language."""
        return title(texts, self.language.code, otherwise)

    def _digits(self, text: str) -> str:
        # Babel knows Persian's separators and not its digits.
        return text.translate(_PERSIAN_DIGITS) if self.language.code == "fa" else text


_PERSIAN_DIGITS = {ord("0") + digit: ord("۰") + digit for digit in range(10)}
