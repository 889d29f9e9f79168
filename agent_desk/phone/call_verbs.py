"""What an agent does with a call and a phone cannot: dial by name, conference, park, record.

Owns the form of these requests, and what can be dialled at all. Refuses to know how the PBX is
told.
"""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from agent_desk.desk.api import LIVE
from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, json_answer, language_of, signed_in, wish_of
from agent_desk.live.caller_display import shown_number
from agent_desk.parts import NotPossibleNow
from agent_desk.people.customer_records import seen_card
from crm_store.people.phone_numbers import to_e164
from crm_store.staff import agents, queues

LONGEST_TARGET = 64
LONGEST_KEY = 300
RECORDING_ACTIONS = ("start", "pause", "resume", "stop")

_SHORT = re.compile(r"[0-9]{2,6}|\*[0-9*]{1,12}")
"""What the PBX takes as it is: extensions, queues, parking spaces, services."""

PICK_UP = "*8"
"""Before a colleague's extension: answers what rings there."""


async def choose_target(request: web.Request) -> web.StreamResponse:
    """POST {"to": a number, an extension, a colleague's login or a queue's name} and, if it was
    clicked on a customer, {"customer_id"}; with {"pick_up": true}, what rings at that colleague:
    {"target": what the phone dials, "shown"}. 400 for what nobody can dial."""
    wish = await wish_of(request)
    target, shown = await _target_of(request, wish)
    customer_id = wish.get("customer_id")
    if customer_id is not None and target.startswith("+"):
        if type(customer_id) is not int:
            raise web.HTTPBadRequest
        card = (await seen_card(request, customer_id)).as_dict()
        login = signed_in(request).agent.login
        request.app[LIVE].screens.expect_customer(login, target, card)
    return json_answer({"target": target, "shown": shown})


async def _target_of(request: web.Request, wish: dict[str, Any]) -> tuple[str, str]:
    """What a phone dials for the wish's "to", and how that is shown. Raises HTTPBadRequest."""
    _ = language_of(request)
    to = wish.get("to")
    if not isinstance(to, str) or not to.strip() or len(to) > LONGEST_TARGET:
        raise web.HTTPBadRequest(text=_("This is no number."))
    database = request.app[PARTS].database
    to = to.strip()
    for agent in await agents.all_agents(database):
        if agent.extension and to in (agent.login, agent.extension):
            before = PICK_UP if wish.get("pick_up") is True else ""
            return before + agent.extension, agent.display_name
    if wish.get("pick_up"):
        raise web.HTTPBadRequest(text=_("This is nobody's phone."))
    for queue in await queues.all_queues(database):
        if to in (queue.name, queue.number):
            return queue.number, queue.title(language_of(request).code)
    if to.isascii() and _SHORT.fullmatch(to):
        return to, to
    number = to_e164(to, request.app[PARTS].region)
    if number is None:
        raise web.HTTPBadRequest(text=_("This is no number."))
    return number, shown_number(number)


async def make_conference(request: web.Request) -> web.StreamResponse:
    """POST {"pbx", "call", "other"}: all who are in my two calls speak with each other. My leg that
    is on hold ends. 409 when one of the calls is over."""
    wish = await wish_of(request)
    pbx, call = own_call(request, wish, "call")
    _, other = own_call(request, wish, "other")
    extension = signed_in(request).agent.extension or ""
    await _possible(request, request.app[PARTS].call_verbs.join(pbx, call, other, extension))
    return json_answer({})


async def park(request: web.Request) -> web.StreamResponse:
    """POST {"pbx", "call"}: {"space": the number that takes it back}. 409 when it is over."""
    pbx, call = own_call(request, await wish_of(request), "call")
    extension = signed_in(request).agent.extension or ""
    verbs = request.app[PARTS].call_verbs
    return json_answer({"space": await _possible(request, verbs.park(pbx, call, extension))})


async def transfer(request: web.Request) -> web.StreamResponse:
    """POST {"pbx", "call", "to"}: for a desk phone, a blind transfer; `to` as /api/phone/dial takes
    it. 400 for what nobody can dial, 409 when the call is over."""
    wish = await wish_of(request)
    pbx, call = own_call(request, wish, "call")
    target, _shown = await _target_of(request, wish)
    extension = signed_in(request).agent.extension or ""
    await _possible(request, request.app[PARTS].call_verbs.transfer(pbx, call, extension, target))
    return json_answer({})


async def hang_up(request: web.Request) -> web.StreamResponse:
    """POST {"pbx", "call"}: end my leg, for a desk phone. 409 when it is over."""
    pbx, call = own_call(request, await wish_of(request), "call")
    extension = signed_in(request).agent.extension or ""
    await _possible(request, request.app[PARTS].call_verbs.hang_up(pbx, call, extension))
    return json_answer({})


async def record(request: web.Request) -> web.StreamResponse:
    """POST {"pbx", "call", "action": "start", "pause", "resume" or "stop"}: the state comes in the
    call's document. 409 when the queue's policy or the call's end is against it."""
    wish = await wish_of(request)
    pbx, call = own_call(request, wish, "call")
    action = wish.get("action")
    if action not in RECORDING_ACTIONS:
        raise web.HTTPBadRequest
    login = signed_in(request).agent.login
    await _possible(request, request.app[PARTS].call_verbs.record(pbx, call, action, login))
    return json_answer({})


def own_call(request: web.Request, wish: dict[str, Any], name: str) -> tuple[str, str]:
    """The PBX and the call that the agent talks in. Raises HTTPForbidden for somebody else's."""
    _ = language_of(request)
    pbx, call = wish.get("pbx"), wish.get(name)
    if not isinstance(pbx, str) or not isinstance(call, str) or len(pbx + call) > LONGEST_KEY:
        raise web.HTTPBadRequest
    login = signed_in(request).agent.login
    document = request.app[LIVE].screens.call_on_screen(login, pbx, call)
    if document is None or document["state"] == "offered":
        raise web.HTTPForbidden(text=_("This call is not on your screen."))
    if document["state"] not in ("answered", "held"):
        raise web.HTTPConflict(text=_("You do not talk in this call."))
    return pbx, call


async def _possible(request: web.Request, work: Any) -> Any:
    """What `work` answers. Raises HTTPConflict when the call is not in a state for it."""
    _ = language_of(request)
    try:
        return await work
    except NotPossibleNow as error:
        said = {
            "never": _("Calls of this queue are never recorded."),
            "always": _("Calls of this queue are always recorded; you can pause it."),
            "forbidden": _(
                "The telephone system does not let Deskbell record. Ask whoever runs it."
            ),
        }.get(str(error))
        raise web.HTTPConflict(
            text=said or _("The call has changed. Look, and try again.")
        ) from None


ROUTES = (
    Route("POST", "/api/phone/dial", choose_target, Access.AGENTS),
    Route("POST", "/api/call/conference", make_conference, Access.AGENTS),
    Route("POST", "/api/call/park", park, Access.AGENTS),
    Route("POST", "/api/call/transfer", transfer, Access.AGENTS),
    Route("POST", "/api/call/hang-up", hang_up, Access.AGENTS),
    Route("POST", "/api/call/record", record, Access.AGENTS),
)
