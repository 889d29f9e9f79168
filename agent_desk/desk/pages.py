"""The pages that are fed by the push: the desk, and the supervisors' floor.

Owns which template is shown with what. The desk's page is a frame that static/desk.js fills.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from aiohttp import web

from agent_desk.desk.desk_texts import desk_texts
from agent_desk.desk.menu_topics import menu_topics
from agent_desk.entrance.visitor import PARTS, language_of, session_if_any, signed_in
from agent_desk.inbox.inbox_texts import inbox_texts
from agent_desk.rendering import TEMPLATE_FOLDER, page
from agent_desk.static_files import static_files
from crm_store.staff import queues

PANELS = {
    "phone": "phone_panel.js",
    "story": "story.js",
    "script": "script.js",
    "tasks": "tasks.js",
    "conversations": "desk_conversations.js",
    "knowledge": "knowledge.js",
    "texts": "texts.js",
}
"""What the desk page brings in after its first picture: the module of templates/panels/NAME.html;
its style is static/NAME.css."""


@cache
def desk_panels() -> dict[str, str]:
    """The panels that are built into this desk, with their modules."""
    folder = TEMPLATE_FOLDER / "panels"
    return {
        name: module
        for name, module in PANELS.items()
        if (folder / f"{name}.html").exists() and module in static_files()
    }


async def show_start(request: web.Request) -> web.StreamResponse:
    """GET /: to the desk, or to the sign-in."""
    raise web.HTTPSeeOther("/desk" if session_if_any(request) else "/sign-in")


async def show_desk(request: web.Request) -> web.StreamResponse:
    """GET /desk: the one page an agent works in."""
    _ = language_of(request)
    titles = {
        "conversations": _("Inbox"),
        "tasks": _("Tasks"),
        "knowledge": _("Knowledge"),
        "texts": _("Texts"),
    }
    there = desk_panels()
    return page(
        request,
        "desk.html",
        side_tabs=[
            ("colleagues", _("Colleagues")),
            *((name, titles[name]) for name in titles if name in there),
        ],
        panels=there,
        inbox_texts=await inbox_texts(request),
        panel_styles=[name for name in there if f"{name}.css" in static_files()],
        **await live_values(request),
    )


async def show_floor(request: web.Request) -> web.StreamResponse:
    """GET /floor: all queues, calls and agents, for supervisors."""
    return page(request, "floor.html", **await live_values(request))


async def live_values(request: web.Request) -> dict[str, Any]:
    """What the pages fed by the push know from the first moment."""
    _ = language_of(request)
    agent = signed_in(request).agent
    parts = request.app[PARTS]
    every_queue = await queues.all_queues(parts.database)
    titles = {queue.name: queue.title(_.code) for queue in every_queue}
    reasons = await queues.pause_reasons(parts.database)
    return {
        "own_queues": [(name, titles[name]) for name in agent.queues if name in titles],
        "pause_reasons": [(reason.code, reason.title(_.code)) for reason in reasons],
        "state": parts.agents.state_of(agent.login).state.value,
        "texts": desk_texts(_)
        | {
            "me": agent.login,
            "now": time.time(),
            "queues": titles,
            "queue_numbers": {queue.name: queue.number for queue in every_queue},
            "dispositions": await queues.disposition_titles(parts.database, _.code),
            "menu_topics": await menu_topics(parts.database, _),
            "pause_reasons": {reason.code: reason.title(_.code) for reason in reasons},
        },
    }
