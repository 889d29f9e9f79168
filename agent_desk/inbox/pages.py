"""The page of written work.

Owns which template is shown with what; static/inbox.js fills it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from agent_desk.desk.pages import live_values
from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, is_supervisor, language_of, signed_in
from agent_desk.inbox.inbox_texts import inbox_texts
from agent_desk.languages import Language
from agent_desk.rendering import page
from crm_store.contacts import conversation_search
from crm_store.staff import agents, queues


async def show_inbox(request: web.Request) -> web.StreamResponse:
    """GET /inbox?view=&queue=&find= (#id opens one): conversations over all channels."""
    return page(
        request,
        "inbox.html",
        inbox_texts=await texts_of(request),
        **await live_values(request),
    )


async def texts_of(request: web.Request) -> Mapping[str, Any]:
    """The inbox's words with the names that belong to them: colleagues, queues, known tags."""
    _: Language = language_of(request)
    database = request.app[PARTS].database
    session = signed_in(request)
    everybody = await agents.all_agents(database)
    return inbox_texts(_) | {
        "people": {one.login: one.display_name for one in everybody if one.active},
        "queues": {
            queue.name: queue.title(_.code)
            for queue in await queues.all_queues(database)
            if is_supervisor(session) or queue.name in session.agent.queues
        },
        "tags": await conversation_search.tags_in_use(database),
    }


ROUTES = (Route("GET", "/inbox", show_inbox, Access.AGENTS),)
