"""The customer's orders: the basket, placing an order, and how far each one is.

Owns those pages. Prices are the catalogue's at the moment of ordering, never the form's; a form
that is sent twice is one order, by the key that it carries.
"""

from __future__ import annotations

import re
import secrets

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, language_of
from agent_desk.hall.account import person_of
from agent_desk.hall.basket import (
    MOST_OF_ONE,
    MOST_PRODUCTS,
    basket_of,
    keep_basket,
    lines_of,
)
from agent_desk.hall.codes import HALL_ACTOR
from agent_desk.hall.frame import Form, done, form_of, hall_page
from agent_desk.hall.order_states import UNDER_WAY, state_said
from agent_desk.hall.visitor import HALL, customer
from crm_store.models import OrderState
from crm_store.people import customers
from crm_store.search_terms import fold_letters
from crm_store.shop import catalogue, orders
from crm_store.shop.orders import Line, NewOrder, Order

MOST_SHOWN = 100
_KEY = re.compile(r"[\w-]{16,60}", re.ASCII)


def new_key() -> str:
    """What tells one sending of a form from another form."""
    return secrets.token_urlsafe(18)


def key_of(form: Form) -> str:
    """The form's key. Raises HTTPBadRequest for one that none of ours has."""
    key = form.text("key")
    if not _KEY.fullmatch(key):
        raise web.HTTPBadRequest
    return key


# ---- the basket ----------------------------------------------------------------------------------


async def show_basket(request: web.Request) -> web.StreamResponse:
    """GET /hall/basket: what would be ordered, and at which price."""
    lines = await lines_of(request.app[PARTS].database, basket_of(request))
    currencies = {line.product.currency for line in lines}
    return hall_page(
        request,
        "basket.html",
        lines=lines,
        total=sum(line.price_minor for line in lines),
        currency=next(iter(currencies), ""),
        is_one_currency=len(currencies) < 2,
        most=MOST_OF_ONE,
        key=new_key(),
    )


async def change_basket(request: web.Request) -> web.StreamResponse:
    """POST /hall/basket, fields `item` and `quantity` and, to put so many in the place of what is
    there, `set`; a quantity of 0 takes it out."""
    form = await form_of(request)
    product = await catalogue.product(request.app[PARTS].database, form.text("item"))
    if product is None:
        raise web.HTTPNotFound
    basket = basket_of(request)
    typed = fold_letters(form.text("quantity"))
    quantity = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 5 else 1
    if not form.ticked("set"):
        quantity += basket.get(product.item_number, 0)
    basket[product.item_number] = min(quantity, MOST_OF_ONE)
    kept = {item: count for item, count in basket.items() if count > 0}
    if len(kept) > MOST_PRODUCTS:
        kept.pop(product.item_number)
    response = done(f"{HALL}/basket", "saved" if form.ticked("set") else "in-basket")
    keep_basket(request, response, kept)
    raise response


# ---- orders --------------------------------------------------------------------------------------


async def place_order(request: web.Request) -> web.StreamResponse:
    """POST /hall/orders, field `key`: what is in the basket is ordered, once."""
    form = await form_of(request)
    key = key_of(form)
    database = request.app[PARTS].database
    customer_id = customer(request).customer_id
    lines = await lines_of(database, basket_of(request))
    currencies = {line.product.currency for line in lines}
    if len(currencies) != 1:
        raise web.HTTPSeeOther(f"{HALL}/basket")
    wish = NewOrder(
        lines=[
            Line(
                line.product.item_number,
                dict(line.product.names),
                line.quantity,
                line.product.price_minor,
            )
            for line in lines
        ],
        currency=currencies.pop(),
        # With the customer: nobody learns of another's order by trying keys.
        idempotency_key=f"hall:{customer_id}:{key}",
        customer_id=customer_id,
    )
    async with database.transaction() as transaction:
        number = await orders.place(transaction, wish, actor=HALL_ACTOR)
    response = done(f"{HALL}/orders/{number}", "ordered")
    keep_basket(request, response, {})
    raise response


async def show_orders(request: web.Request) -> web.StreamResponse:
    """GET /hall/orders: the customer's orders, the newest first."""
    _ = language_of(request)
    person = await person_of(request)
    found = await orders.of_customer(request.app[PARTS].database, person.id, limit=MOST_SHOWN)
    return hall_page(
        request,
        "orders.html",
        orders=found,
        said=lambda state: state_said(state, _),
        shown_number=orders.shown_number,
    )


async def show_order(request: web.Request) -> web.StreamResponse:
    """GET /hall/orders/{number}: one order, its lines, and how far it is."""
    _ = language_of(request)
    database = request.app[PARTS].database
    found = await orders.order(database, request.match_info["number"])
    person = await customers.same_person(database, customer(request).customer_id)
    if found is None or found.customer_id not in person:
        raise web.HTTPNotFound
    return hall_page(
        request,
        "order.html",
        order=found,
        steps=_steps(found),
        said=lambda state: state_said(state, _),
        shown_number=orders.shown_number,
    )


def _steps(order: Order) -> list[tuple[OrderState, object]]:
    """The states that were with their moments, and those that come yet with None."""
    been = list(order.states)
    if order.state in (OrderState.CANCELLED, OrderState.RETURNED, OrderState.DELIVERED):
        return [*been]
    known = {state for state, _ in been}
    if order.state is OrderState.READY:
        return [*been, (OrderState.DELIVERED, None)]
    reached = UNDER_WAY.index(order.state)
    return [*been, *((state, None) for state in UNDER_WAY[reached + 1 :] if state not in known)]


ROUTES = (
    Route("GET", f"{HALL}/basket", show_basket, Access.EVERYBODY),
    Route("POST", f"{HALL}/basket", change_basket, Access.EVERYBODY),
    Route("GET", f"{HALL}/orders", show_orders, Access.CUSTOMERS),
    Route("POST", f"{HALL}/orders", place_order, Access.CUSTOMERS),
    Route("GET", f"{HALL}/orders/{{number}}", show_order, Access.CUSTOMERS),
)
