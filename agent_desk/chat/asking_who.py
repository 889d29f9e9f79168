"""What an agent may ask of a chat's visitor: a proof of who they are."""

from __future__ import annotations

from aiohttp import web

from agent_desk.entrance.visitor import PARTS, json_answer
from agent_desk.inbox.whose import conversation_of


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
