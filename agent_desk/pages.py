"""The pages: the desk, customers, the supervisors' floor.

Owns which template is shown with what. The desk's page is a frame that static/desk.js fills from
the push; customers' pages are plain forms that work without any script.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from aiohttp import web

from agent_desk import customer_records
from agent_desk.caller_display import guessed_language
from agent_desk.customer_records import WrongField, checked_fields, customer_id_of
from agent_desk.desk_texts import desk_texts
from agent_desk.rendering import TEMPLATE_FOLDER, page
from agent_desk.static_files import static_files
from agent_desk.visitor import PARTS, language_of, session_if_any, signed_in
from crm_store import interactions, queues
from crm_store.customers import CustomerCard
from crm_store.phone_numbers import to_e164

HISTORY_PAGE = 30

PANELS = {
    "phone": "phone_panel.js",
    "story": "story.js",
    "script": "script.js",
    "tasks": "tasks.js",
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
    titles = {"tasks": _("Tasks"), "knowledge": _("Knowledge"), "texts": _("Texts")}
    there = desk_panels()
    return page(
        request,
        "desk.html",
        side_tabs=[
            ("colleagues", _("Colleagues")),
            *((name, titles[name]) for name in titles if name in there),
        ],
        panels=there,
        panel_styles=[name for name in there if f"{name}.css" in static_files()],
        **await _live_values(request),
    )


async def show_floor(request: web.Request) -> web.StreamResponse:
    """GET /floor: all queues, calls and agents, for supervisors."""
    return page(request, "floor.html", **await _live_values(request))


async def find_customers(request: web.Request) -> web.StreamResponse:
    """GET /customers?find=text."""
    text = request.query.get("find", "").strip()
    found = await customer_records.find_people(request, text) if text else []
    return page(request, "customers.html", find=text, found=found)


async def show_customer(request: web.Request) -> web.StreamResponse:
    """GET /customers/{id}?before=interaction: the card and a page of its history. Audited."""
    card = await customer_records.seen_card(request, customer_id_of(request))
    database = request.app[PARTS].database
    before = None
    if (text := request.query.get("before", "")).isascii() and text.isdigit() and len(text) <= 18:
        before = await interactions.find(database, int(text))
        if before is not None and before.customer_id != card.id:
            before = None
    history = await interactions.history(database, card.id, limit=HISTORY_PAGE + 1, before=before)
    code = language_of(request).code
    return page(
        request,
        "customer.html",
        card=card,
        history=history[:HISTORY_PAGE],
        older=history[HISTORY_PAGE - 1].id if len(history) > HISTORY_PAGE else None,
        disposition_titles={
            choice.code: choice.title(code) for choice in await queues.dispositions(database)
        },
        queue_titles={queue.name: queue.title(code) for queue in await queues.all_queues(database)},
        texts=desk_texts(language_of(request)),
    )


async def new_customer(request: web.Request) -> web.StreamResponse:
    """GET /customers/new?phone=…: the empty form, with what is known."""
    phone = request.query.get("phone", "")[:64]
    language = guessed_language(to_e164(phone, request.app[PARTS].region)) if phone else "en"
    return _form(request, None, {"phone": phone, "language": language}, None)


async def create_customer(request: web.Request) -> web.StreamResponse:
    """POST /customers/new: makes the customer, or shows the form with what is wrong."""
    form = _texts(await request.post())
    try:
        fields = checked_fields(form, request.app[PARTS].region, language_of(request))
    except WrongField as error:
        return _form(request, None, form, error)
    customer_id = await customer_records.create(request, fields)
    raise web.HTTPSeeOther(f"/customers/{customer_id}")


async def edit_customer(request: web.Request) -> web.StreamResponse:
    """GET /customers/{id}/edit."""
    card = await customer_records.seen_card(request, customer_id_of(request))
    values = {
        "name": card.name,
        "language": card.language,
        "segment": card.segment.value,
        "preferred_channel": card.preferred_channel.value if card.preferred_channel else "",
        "notes": card.notes,
    }
    return _form(request, card, values, None)


async def change_customer(request: web.Request) -> web.StreamResponse:
    """POST /customers/{id}/edit."""
    customer_id = customer_id_of(request)
    form = _texts(await request.post())
    try:
        fields = checked_fields(form, request.app[PARTS].region, language_of(request))
    except WrongField as error:
        return _form(request, await customer_records.seen_card(request, customer_id), form, error)
    await customer_records.change(request, customer_id, fields)
    raise web.HTTPSeeOther(f"/customers/{customer_id}")


async def _live_values(request: web.Request) -> dict[str, Any]:
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
            "dispositions": {
                choice.code: choice.title(_.code)
                for choice in await queues.dispositions(parts.database)
            },
            "pause_reasons": {reason.code: reason.title(_.code) for reason in reasons},
        },
    }


def _form(
    request: web.Request,
    card: CustomerCard | None,
    values: Mapping[str, str],
    error: WrongField | None,
) -> web.Response:
    return page(
        request,
        "customer_form.html",
        error_status=400 if error else 200,
        card=card,
        values=values,
        error=error,
        texts=desk_texts(language_of(request)),
    )


def _texts(form: Mapping[str, object]) -> dict[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str)}
