"""The customer's own start, points and member card.

Owns those pages. The ledger and what of it expires are the store's; how the card is drawn is
card_pictures.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, language_of
from agent_desk.hall.card_pictures import bar_code, qr_code, whole_card
from agent_desk.hall.frame import hall_page
from agent_desk.hall.visitor import HALL, HOUSE, customer
from agent_desk.languages import Language
from agent_desk.rendering import shown_card_number
from crm_store.models import PointsEntry
from crm_store.people import cards, customers, points
from crm_store.people.cards import CardAccount
from crm_store.people.customers import CustomerCard
from crm_store.shop.house import House

ENTRIES = 100


@dataclass(frozen=True, slots=True)
class ShownLedger:
    """A card with its newest entries, and what of it is lost on which day."""

    number: str
    hundredths: int
    worth_minor: int
    entries: list[PointsEntry]
    expiring: list[tuple[date, int]]


async def person_of(request: web.Request) -> CustomerCard:
    """The signed-in customer's card. Raises HTTPUnauthorized when they are no more."""
    found = await customers.card(request.app[PARTS].database, customer(request).customer_id)
    if found is None:
        raise web.HTTPUnauthorized
    return found


async def accounts_of(request: web.Request, person: CustomerCard) -> list[CardAccount]:
    """The customer's open cards."""
    database = request.app[PARTS].database
    found = [await cards.account(database, card.number) for card in person.cards]
    return [account for account in found if account is not None]


async def show_me(request: web.Request) -> web.StreamResponse:
    """GET /hall/me: where all of one's own is found."""
    person = await person_of(request)
    return hall_page(request, "me.html", person=person)


async def show_points(request: web.Request) -> web.StreamResponse:
    """GET /hall/points: the balance, what it is worth, what expires, and every movement."""
    _, house = language_of(request), request[HOUSE]
    person = await person_of(request)
    ledgers = [
        await _ledger(request, house, account) for account in await accounts_of(request, person)
    ]
    return hall_page(request, "points.html", ledgers=ledgers, reason=lambda text: reason(text, _))


async def _ledger(request: web.Request, house: House, account: CardAccount) -> ShownLedger:
    database = request.app[PARTS].database
    today = datetime.now(UTC).astimezone(house.zone).date()
    until = today + timedelta(days=house.points_expiry_notice_days + 1)
    return ShownLedger(
        account.number,
        account.points_hundredths,
        house.worth_minor(account.points_hundredths),
        await points.entries(database, account.card_id, limit=ENTRIES),
        await points.expiring(
            database, account.card_id, house.points_valid_months, until, zone=house.zone
        ),
    )


def reason(text: str, _: Language) -> str:
    """Why points moved, as a customer reads it; tills' own words as they are."""
    return {
        "purchase": _("Purchase"),
        "expired": _("Expired"),
        "redeemed": _("Paid with points"),
        "gift": _("Gift"),
        "correction": _("Correction"),
        "": _("Points"),
    }.get(text, text)


async def show_card(request: web.Request) -> web.StreamResponse:
    """GET /hall/card: the member card, to be held before a till's scanner."""
    _ = language_of(request)
    person = await person_of(request)
    shown = [
        (
            card.number,
            card.points_hundredths,
            qr_code(card.number, _("QR code of your member card")),
            bar_code(card.number, _("Bar code of your member card")),
        )
        for card in person.cards
    ]
    return hall_page(request, "card.html", person=person, cards=shown)


async def open_card(request: web.Request) -> web.StreamResponse:
    """POST /hall/card: a card for a customer who has none; a second one is not given."""
    person = await person_of(request)
    if not person.cards:
        async with request.app[PARTS].database.transaction() as transaction:
            await cards.open_new_card(transaction, person.id)
    raise web.HTTPSeeOther(f"{HALL}/card?done=welcome")


async def save_card(request: web.Request) -> web.StreamResponse:
    """GET /hall/card/{number}: the card as a picture to keep, for where there is no network."""
    _, house = language_of(request), request[HOUSE]
    person = await person_of(request)
    number = request.match_info["number"]
    if number not in {card.number for card in person.cards}:
        raise web.HTTPNotFound
    picture = whole_card(
        house=house.name(_.code),
        name=person.name,
        number=number,
        shown_number=shown_card_number(number),
        direction=_.direction,
    )
    return web.Response(
        text=picture,
        content_type="image/svg+xml",
        headers={
            "Content-Disposition": 'attachment; filename="card.svg"',
            # Opened by itself, it may do nothing but be looked at.
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )


ROUTES = (
    Route("GET", f"{HALL}/me", show_me, Access.CUSTOMERS),
    Route("GET", f"{HALL}/points", show_points, Access.CUSTOMERS),
    Route("GET", f"{HALL}/card", show_card, Access.CUSTOMERS),
    Route("POST", f"{HALL}/card", open_card, Access.CUSTOMERS),
    Route("GET", f"{HALL}/card/{{number}}", save_card, Access.CUSTOMERS),
)
