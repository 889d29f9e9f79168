"""The basket: what somebody wants to order, before they do, in a cookie of the hall.

Owns its form and its bounds. It is nobody's until it is ordered: prices are those of the catalogue
at that moment, and what is not sold any more falls out of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from agent_desk.hall.visitor import forget_hall_cookie, set_hall_cookie
from crm_store.database import Database
from crm_store.shop import catalogue
from crm_store.shop.catalogue import Product

BASKET_COOKIE = "deskbell_hall_basket"
MOST_OF_ONE = 99
MOST_PRODUCTS = 30
KEPT_S = 30 * 24 * 3600
_LINE = re.compile(r"([0-9]{3,13})-([1-9][0-9]?)")


@dataclass(frozen=True, slots=True)
class BasketLine:
    """So many of a product, at its price now."""

    product: Product
    quantity: int

    @property
    def price_minor(self) -> int:
        return self.quantity * self.product.price_minor


def basket_of(request: web.Request) -> dict[str, int]:
    """Quantities by item number; whatever else the cookie says is left out."""
    found: dict[str, int] = {}
    for line in request.cookies.get(BASKET_COOKIE, "")[:2_000].split("_"):
        match = _LINE.fullmatch(line)
        if match and len(found) < MOST_PRODUCTS:
            found[match[1]] = int(match[2])
    return found


def keep_basket(
    request: web.Request, response: web.StreamResponse, basket: Mapping[str, int]
) -> None:
    """Have the browser keep this basket."""
    if not basket:
        forget_hall_cookie(response, BASKET_COOKIE)
        return
    text = "_".join(f"{item}-{quantity}" for item, quantity in basket.items())
    set_hall_cookie(request, response, BASKET_COOKIE, text, KEPT_S)


async def lines_of(database: Database, basket: Mapping[str, int]) -> list[BasketLine]:
    """The basket's products as they are sold now."""
    found = [(await catalogue.product(database, item), count) for item, count in basket.items()]
    return [BasketLine(product, count) for product, count in found if product is not None]
