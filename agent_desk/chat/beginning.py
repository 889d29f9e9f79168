"""Beginning a chat: what is open now, and a visitor's consent.

Owns the two requests before the socket. Nothing is kept of anybody before the second one, which
says that they agree.
"""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from agent_desk.chat.door import DOOR, chat_of, for_sites, is_too_fast, refused, site_of
from agent_desk.chat.files import LARGEST_FILE
from agent_desk.chat.words import widget_words
from agent_desk.entrance.visitor import PARTS, is_storable, json_answer
from agent_desk.languages import NAMES, language
from channels.chat import visitors
from channels.chat.chats import LONGEST_TEXT
from channels.chat.topics import Topic
from crm_store.shop import house

LARGEST_WISH = 8_192


@for_sites
async def show_opening(request: web.Request) -> web.StreamResponse:
    """GET /chat/opening?language=: the house, its topics as they are now, and the words."""
    if is_too_fast(request.app[DOOR].questions, request):
        return refused("too_fast", 429)
    reader = language(request.query.get("language", "en"))
    facts = await house.read(request.app[PARTS].database)
    topics = await chat_of(request).hub.topics.now(reader.code)
    return json_answer(
        {
            "language": reader.code,
            "house": facts.name(reader.code) or "Deskbell",
            "topics": [_plain(topic) for topic in topics],
            "words": widget_words(reader),
            "longest_text": LONGEST_TEXT,
            "largest_file": LARGEST_FILE,
        }
    )


@for_sites
async def begin_chat(request: web.Request) -> web.StreamResponse:
    """POST /chat/sessions {consent, topic, name, mail, phone, language, page}: {token}."""
    if is_too_fast(request.app[DOOR].sessions, request):
        return refused("too_fast", 429)
    told = await _wish(request)
    chat = chat_of(request)
    code = told.get("language")
    language_code = code if isinstance(code, str) and code in NAMES else "en"
    topic = await chat.hub.topics.find(str(told.get("topic")), language_code)
    if told.get("consent") is not True or topic is None:
        return refused("consent" if topic is not None else "topic", 400)
    try:
        token = await visitors.begin(
            request.app[PARTS].database,
            told,
            language=language_code,
            topic=topic.code,
            origin=site_of(request),
            region=request.app[PARTS].region,
        )
    except visitors.NotUnderstood as wrong:
        return refused(wrong.field, 400)
    return json_answer({"token": token})


async def _wish(request: web.Request) -> dict[str, Any]:
    body = await request.content.read(LARGEST_WISH + 1)
    if len(body) > LARGEST_WISH:
        raise web.HTTPRequestEntityTooLarge(LARGEST_WISH, len(body))
    try:
        wish = orjson.loads(body)
    except ValueError:
        wish = None
    if not isinstance(wish, dict) or not is_storable(wish):
        raise web.HTTPBadRequest
    return wish


def _plain(topic: Topic) -> dict[str, Any]:
    return {
        "code": topic.code,
        "title": topic.title,
        "open": topic.is_open,
        "opens_at": topic.opens_at.timestamp() if topic.opens_at else None,
        "there": topic.agents_there,
        "usual_wait_s": topic.usual_wait_s,
    }
