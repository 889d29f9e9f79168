"""Inbox rules of the sample mall: who is answered by whom, and what is put on what is written.

Owns sample data only. The rules speak the house's first language; what they look for is said in
all four.
"""

from __future__ import annotations

from crm_store.contacts import inbox_rules
from crm_store.contacts.inbox_rules import NewRule
from crm_store.database import Transaction
from crm_store.models import Channel, RuleMoment, Segment

_RULES = (
    NewRule(
        name="VIPs write to the VIP desk",
        moment=RuleMoment.RECEIVED,
        conditions=[{"field": "segment", "operator": "is", "value": Segment.VIP.value}],
        actions=[{"do": "queue", "value": "vip"}],
        active=True,
    ),
    NewRule(
        name="Mails about an order",
        moment=RuleMoment.RECEIVED,
        conditions=[
            {"field": "channel", "operator": "is", "value": Channel.MAIL.value},
            {
                "field": "subject",
                "operator": "contains",
                "value": ["order", "订单", "pedido", "سفارش"],
            },
        ],
        actions=[{"do": "tag", "value": "order"}],
        active=True,
    ),
    NewRule(
        name="Nobody has answered for half an hour",
        moment=RuleMoment.UNANSWERED,
        conditions=[{"field": "waiting_minutes", "operator": "is", "value": "30"}],
        actions=[{"do": "priority", "value": "15"}],
    ),
)


async def fill_rules(transaction: Transaction) -> None:
    """Write the rules, the last of them switched off."""
    for rule in _RULES:
        await inbox_rules.add(transaction, rule, actor="admin")
