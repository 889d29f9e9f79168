"""How far an order is, in a customer's words.

Owns the wording of each state. What states there are, and which follows which, is the store's.
"""

from __future__ import annotations

from agent_desk.languages import Language
from crm_store.models import OrderState

UNDER_WAY = (
    OrderState.PLACED,
    OrderState.RESERVED,
    OrderState.PACKED,
    OrderState.SHIPPED,
    OrderState.DELIVERED,
)
"""The usual way of an order, for the line of steps."""


def state_said(state: OrderState, _: Language) -> str:
    """The state as its customer reads it."""
    return {
        OrderState.PLACED: _("We have your order"),
        OrderState.RESERVED: _("Your goods are set aside"),
        OrderState.PACKED: _("Your order is packed"),
        OrderState.SHIPPED: _("Your order is on its way"),
        OrderState.READY: _("Your order is ready to be picked up"),
        OrderState.DELIVERED: _("Your order has arrived"),
        OrderState.CANCELLED: _("Your order was cancelled"),
        OrderState.RETURNED: _("Your order came back to us"),
    }[state]
