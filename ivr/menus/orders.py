"""Where an order is: the caller's last one, or any by its number.

Owns what is told of it. The number's form is crm_store.shop.orders'.
"""

from __future__ import annotations

from crm_store.models import OrderState
from crm_store.phone_menus.guesses import GuessKind
from crm_store.shop import orders
from crm_store.shop.orders import Order
from ivr.conversation.conversation import (
    MOST_MISTAKES,
    Conversation,
    Sentence,
    TooManyMistakes,
    WantsAgent,
)
from ivr.menus.back_office import BackOffice, local
from ivr.menus.values import Digits, Money, OnDay

_UNDER_WAY = frozenset(
    {OrderState.PLACED, OrderState.RESERVED, OrderState.PACKED, OrderState.SHIPPED}
)
_PAID_FOR = _UNDER_WAY | {OrderState.READY, OrderState.DELIVERED}


async def tell_order(talk: Conversation, office: BackOffice) -> None:
    """Tell the state of the caller's last order, or of the one that they key."""
    order = await _last_order(talk, office) or await _keyed_order(talk, office)
    zone, today = talk.house.zone, local(talk).date()
    since = order.state_since.astimezone(zone).date()
    told = [
        Sentence("order_number", {"number": Digits(order.number)}),
        Sentence(f"order_{order.state.value}", {"day": OnDay(since, today)}),
    ]
    expected = order.expected_on
    if order.state in _UNDER_WAY and expected is not None and expected >= today:
        told.append(Sentence("order_expected", {"day": OnDay(expected, today)}))
    if order.state in _PAID_FOR:
        money = Money(order.total_minor, order.currency)
        told.append(Sentence("order_total", {"money": money}))
    await talk.say_all(told)


async def _last_order(talk: Conversation, office: BackOffice) -> Order | None:
    """The last order of a caller who is known, if they want that one."""
    if talk.customer is None:
        return None
    last = await office.look_up(orders.latest_of(office.database, talk.customer.id))
    if last is None:
        return None
    placed = last.placed_at.astimezone(talk.house.zone).date()
    wanted = await talk.choose(
        {
            "1": Sentence("orders_last", {"day": OnDay(placed, local(talk).date())}),
            "2": "orders_another",
        }
    )
    return last if wanted == "1" else None


async def _keyed_order(talk: Conversation, office: BackOffice) -> Order:
    for _ in range(MOST_MISTAKES):
        number = await talk.ask_digits(
            "orders_ask_number",
            least=orders.DIGITS,
            most=orders.DIGITS,
            check=lambda keyed: orders.order_number(keyed) is not None,
            wrong="orders_number_wrong",
        )
        if not await office.may_try(GuessKind.CALLER_ORDERS, talk.number):
            await talk.insist("too_many_attempts")
            raise WantsAgent
        order = await office.look_up(orders.order(office.database, number))
        if order is not None:
            await office.was_right((GuessKind.CALLER_ORDERS, talk.number))
            return order
        await talk.say("orders_unknown")
    raise TooManyMistakes
