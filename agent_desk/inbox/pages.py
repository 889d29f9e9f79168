"""The page of written work.

Owns which template is shown with what; static/inbox.js fills it.
"""

from __future__ import annotations

from aiohttp import web

from agent_desk.desk.pages import live_values
from agent_desk.entrance.gate import Access, Route
from agent_desk.inbox.inbox_texts import inbox_texts
from agent_desk.rendering import page


async def show_inbox(request: web.Request) -> web.StreamResponse:
    """GET /inbox?view=&queue=&find= (#id opens one): conversations over all channels."""
    return page(
        request,
        "inbox.html",
        inbox_texts=await inbox_texts(request),
        **await live_values(request),
    )


ROUTES = (Route("GET", "/inbox", show_inbox, Access.AGENTS),)
