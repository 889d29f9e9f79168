"""The call that an agent's request is about, and what texts can take from it.

Owns that the call stands on the agent's own screen, and the values of placeholders. Refuses
to know scripts, texts and articles.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiohttp import web
from babel.dates import format_date

from agent_desk.desk.api import LIVE
from agent_desk.entrance.visitor import PARTS, language_of, signed_in
from agent_desk.languages import NAMES
from agent_desk.rendering import shown_points
from crm_store.staff import queues

LONGEST_KEY = 300


def text_of(wish: Mapping[str, Any], name: str, longest: int = 200) -> str:
    """A text of the request, "" if there is none. Raises HTTPBadRequest for anything else."""
    value = wish.get(name) or ""
    if not isinstance(value, str) or len(value) > longest:
        raise web.HTTPBadRequest
    return value


def own_call(request: web.Request, wish: Mapping[str, Any]) -> dict[str, Any] | None:
    """The call {"pbx", "call"} as it stands on this agent's own screen, answered or not; None if
    the request names none. Raises HTTPForbidden for one that is not there: for what is written."""
    document = call_shown(request, wish)
    if document is None and wish.get("call"):
        _ = language_of(request)
        raise web.HTTPForbidden(text=_("This call is not on your screen."))
    return document


def call_shown(request: web.Request, wish: Mapping[str, Any]) -> dict[str, Any] | None:
    """As `own_call`, but one that is not on this agent's screen is as none: for what is only read.
    A panel asks a moment late for a call that has just left."""
    pbx, call = text_of(wish, "pbx", LONGEST_KEY), text_of(wish, "call", LONGEST_KEY)
    if not call:
        return None
    login = signed_in(request).agent.login
    return request.app[LIVE].screens.call_on_screen(login, pbx, call)


def customer_of(request: web.Request, call: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The card of whom the call is with, as the screen shows it; None while that is not certain."""
    if call is None:
        return None
    login = signed_in(request).agent.login
    pop = request.app[LIVE].screens.pop_on_screen(login, call["pbx"], call["call"])
    if pop is None or len(pop["matches"]) != 1:
        return None
    card: dict[str, Any] = pop["matches"][0]
    return card


def language_to_speak(request: web.Request, customer: Mapping[str, Any] | None) -> str:
    """The language that the house speaks to this customer in; the agent's own for nobody."""
    language = str(customer["language"]) if customer else ""
    return language if language in NAMES else language_of(request).code


async def values_for(
    request: web.Request,
    call: Mapping[str, Any] | None,
    customer: Mapping[str, Any] | None,
    language: str,
) -> dict[str, str]:
    """What placeholders (NAMES in crm_store.knowledge.placeholders) stand for now, as `language`
    writes it; "" for what is not known."""
    queue = call.get("queue") if call else None
    record = await queues.find(request.app[PARTS].database, queue) if queue else None
    return {
        "customer.name": str(customer["name"]) if customer else "",
        "agent.name": signed_in(request).agent.display_name,
        "queue": record.title(language) if record else "",
        "points": (
            shown_points(int(customer["points_hundredths"]), language)
            if customer and customer.get("cards")
            else ""
        ),
        "today": format_date(datetime.now().astimezone().date(), "long", locale=language),
    }
