"""A page of a shop that there is not, to try the chat on.

Owns that page, which is there only where a setting says so. It includes the widget as any site
would, by its one line.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from aiohttp import web
from babel.numbers import format_currency, get_currency_precision

from agent_desk.chat.door import chat_of
from agent_desk.entrance.visitor import LANGUAGE, PARTS, language_of
from agent_desk.languages import NAMES, language
from agent_desk.rendering import page
from crm_store.shop import catalogue, house, promotions

SHOWN = 6

PICTURES = ("bag", "hanger", "gift", "tag", "parcel", "basket")
"""One for each place; they are symbols of static/sample_shop.svg."""


async def show_shop(request: web.Request) -> web.StreamResponse:
    """GET /demo/shop: a page of a shop that there is not, to try the chat on."""
    if not chat_of(request).demo_shop:
        raise web.HTTPNotFound
    database = request.app[PARTS].database
    wished = request.query.get("language", "")
    if wished in NAMES:
        request[LANGUAGE] = language(wished)
    code = language_of(request).code
    facts = await house.read(database)
    products = [
        (product.name(code), _price(product.price_minor, product.currency, code), picture)
        for product, picture in zip(
            await catalogue.products(database, limit=SHOWN), PICTURES, strict=False
        )
    ]
    offers = await promotions.on(database, datetime.now(facts.zone).date())
    return page(
        request,
        "sample_shop.html",
        house_name=facts.name(code) or "Deskbell",
        address=facts.text("address", code),
        products=products,
        offers=[(offer.title(code), offer.text(code)) for offer in offers][:2],
    )


def _price(minor: int, currency: str, code: str) -> str:
    amount = Decimal(minor) / 10 ** get_currency_precision(currency)
    return format_currency(amount, currency, locale=code)
