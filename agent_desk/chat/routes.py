"""The chat's routes, and what lives as long as the application for them."""

from __future__ import annotations

from aiohttp import web

from agent_desk.chat import asking_who, beginning, files, sample_shop, socket, widget
from agent_desk.chat.door import DOOR, Door, allow_site
from agent_desk.entrance.gate import Access, Route

ROUTES = (
    Route("GET", "/chat/widget.js", widget.serve_widget, Access.EVERYBODY),
    Route("GET", "/chat/opening", beginning.show_opening, Access.EVERYBODY),
    # Pages of other sites have no token of ours: their Origin and the visitor's own token count.
    Route("POST", "/chat/sessions", beginning.begin_chat, Access.EVERYBODY, exempt_from_csrf=True),
    Route("POST", "/chat/files", files.take_file, Access.EVERYBODY, exempt_from_csrf=True),
    Route("GET", "/chat/files/{file_id}", files.give_file, Access.EVERYBODY),
    Route("OPTIONS", "/chat/opening", allow_site, Access.EVERYBODY, exempt_from_csrf=True),
    Route("OPTIONS", "/chat/sessions", allow_site, Access.EVERYBODY, exempt_from_csrf=True),
    Route("OPTIONS", "/chat/files", allow_site, Access.EVERYBODY, exempt_from_csrf=True),
    Route("OPTIONS", "/chat/files/{file_id}", allow_site, Access.EVERYBODY, exempt_from_csrf=True),
    Route("GET", "/chat/socket", socket.open_socket, Access.EVERYBODY),
    Route(
        "POST",
        "/api/conversations/{conversation_id}/ask-who",
        asking_who.ask_who,
        Access.AGENTS,
    ),
    Route("GET", "/demo/shop", sample_shop.show_shop, Access.EVERYBODY),
)


def prepare(app: web.Application) -> None:
    """Give the application what these routes count in."""
    app[DOOR] = Door()
    app[socket.SOCKETS_OPEN] = set()
    app.on_shutdown.append(socket.close_sockets)
