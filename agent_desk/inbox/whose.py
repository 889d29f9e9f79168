"""Whose a conversation is: which ones an agent may see and change.

Owns that rule: an agent those of their queues, their own, those that a note names them in, and
those of a customer who is on their screen; a supervisor all. Refuses to know what they contain.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from agent_desk.desk.api import LIVE
from agent_desk.entrance.visitor import PARTS, id_in, is_supervisor, language_of, signed_in
from crm_store.contacts import conversation_lists, conversations
from crm_store.contacts.conversation_lists import ConversationLine, InboxView, SeenBy
from crm_store.contacts.conversations import ConversationRecord
from crm_store.people import customers


def seen_by(request: web.Request) -> SeenBy | None:
    """What the lists of this agent hold; None for all there is."""
    session = signed_in(request)
    if is_supervisor(session):
        return None
    return SeenBy(session.agent.login, list(session.agent.queues))


async def conversation_of(request: web.Request) -> ConversationRecord:
    """The conversation in the address, if this agent may see it; also one that was merged away.

    Raises HTTPNotFound, HTTPForbidden.
    """
    conversation_id = id_in(request, "conversation_id")
    found = await conversations.find(request.app[PARTS].database, conversation_id)
    if found is None:
        raise web.HTTPNotFound
    if not await may_see(request, found):
        _ = language_of(request)
        raise web.HTTPForbidden(text=_("This conversation is in a queue that is not yours."))
    return found


async def line_of(request: web.Request, conversation_id: int) -> ConversationLine:
    """The conversation as lists show it. Raises HTTPNotFound for one that was merged away."""
    database = request.app[PARTS].database
    lines = await conversation_lists.listed(database, InboxView(ids=[conversation_id]))
    if not lines:
        raise web.HTTPNotFound
    return lines[0]


async def may_see(request: web.Request, conversation: ConversationRecord) -> bool:
    session = signed_in(request)
    agent = session.agent
    if is_supervisor(session) or conversation.assigned_to == agent.login:
        return True
    if conversation.queue in agent.queues:
        return True
    customer = conversation.customer_id
    if customer is not None and customer in request.app[LIVE].screens.customers_of(agent.login):
        return True
    wanted = InboxView(ids=[conversation.id], seen_by=SeenBy(agent.login, ()))
    return bool(await conversation_lists.listed(request.app[PARTS].database, wanted))


async def about_conversation(
    request: web.Request, conversation_id: int
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """What texts can take from a conversation, as of a call: its queue, and the card of whom it is
    with (only a language, while nobody knows who that is). None for one that is not the agent's to
    see."""
    database = request.app[PARTS].database
    found = await conversations.find(database, conversation_id)
    if found is None or not await may_see(request, found):
        return None
    card = await customers.card(database, found.customer_id) if found.customer_id else None
    stranger = {"name": "", "language": found.language, "cards": [], "points_hundredths": 0}
    return {"queue": found.queue}, card.as_dict() if card else stranger
