"""What an agent sees of a chat's visitor, and may ask of them.

Owns that what a visitor merely typed is given as what they say, apart from what is proven.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from agent_desk.entrance.visitor import PARTS, json_answer
from agent_desk.inbox.whose import conversation_of
from crm_store.contacts import chat_sessions
from crm_store.contacts.chat_sessions import ChatSessionRecord


async def show_visitors(request: web.Request) -> web.StreamResponse:
    """GET /api/conversations/{conversation_id}/visitors: the newest first."""
    conversation = await conversation_of(request)
    found = await chat_sessions.of_conversation(request.app[PARTS].database, conversation.id)
    chat = request.app[PARTS].chat
    return json_answer(
        {
            "visitors": [_plain(session) for session in found],
            "present": chat is not None and chat.hub.is_here(conversation.id),
        }
    )


async def ask_who(request: web.Request) -> web.StreamResponse:
    """POST /api/conversations/{conversation_id}/ask-who: ask the visitor for a proof."""
    conversation = await conversation_of(request)
    chat = request.app[PARTS].chat
    if chat is None:
        raise web.HTTPNotFound
    asked = await chat.proof.asked_by_agent(conversation.id)
    for session_id in asked:
        chat.hub.tell_all(session_id, {"proof": "asked"})
    return json_answer({"asked": len(asked)})


def _plain(session: ChatSessionRecord) -> dict[str, Any]:
    return {
        "address": session.address,
        "says": {"name": session.name, "mail": session.mail, "phone": session.phone},
        "customer_id": session.customer_id,
        "language": session.language,
        "page": session.page,
        "page_title": session.page_title,
        "seen_message_id": session.seen_message_id,
        "last_here_at": session.seen_at.timestamp(),
        "proof_asked_at": session.proof_asked_at.timestamp() if session.proof_asked_at else None,
    }
