"""The JSON API of the desk's own page: customers, notes and wrap-ups.

Owns the form of each request and answer, said in each docstring. Every POST takes a JSON object and
the header X-CSRF-Token; an error is {"error": what to do}, with 400 for a request that makes no
sense, 401 without a session, 403, 404, 409 when the moment has passed, 503 when the telephone side
or the database is away and the same request may be sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from agent_desk.entrance.visitor import PARTS, json_answer, language_of, row_id, signed_in, wish_of
from agent_desk.live.live_state import LiveState
from agent_desk.people import customer_records
from agent_desk.people.customer_records import WrongField, checked_fields, customer_id_of
from crm_store.contacts import interactions
from crm_store.contacts.interactions import PastInteraction
from crm_store.people import customers
from crm_store.staff import queues
from crm_store.staff.queues import DispositionChoice

LIVE = web.AppKey("live_state", LiveState)

LONGEST_NOTE = 20_000
LONGEST_KEY = 300

ROW_SECONDS = 3.0
"""How long a request waits for a call's row, which is written beside the call's path."""


# ---- customers -----------------------------------------------------------------------------------


async def find_customers(request: web.Request) -> web.StreamResponse:
    """GET ?find=text: {"found": [{"id", "name", "segment", "language", "detail"}]} by number, card
    or name."""
    found = await customer_records.find_people(request, request.query.get("find", ""))
    return json_answer({"found": [asdict(line) for line in found]})


async def show_customer(request: web.Request) -> web.StreamResponse:
    """GET: the customer's card, as in a screen pop. Audited."""
    card = await customer_records.seen_card(request, customer_id_of(request))
    return json_answer(card.as_dict())


async def show_history(request: web.Request) -> web.StreamResponse:
    """GET ?before=id: {"history": [...]}, 20 interactions newest first, older than that one."""
    database = request.app[PARTS].database
    customer_id = customer_id_of(request)
    before = None
    if "before" in request.query:
        number = row_id(request.query["before"])
        before = await interactions.find(database, number) if number is not None else None
        if before is None or before.customer_id != customer_id:
            raise web.HTTPNotFound
    lines = await interactions.history(database, customer_id, limit=20, before=before)
    return json_answer({"history": [asdict(line) for line in lines]})


async def create_customer(request: web.Request) -> web.StreamResponse:
    """POST {"name", "language", "segment", "preferred_channel", "notes", "phone", "mail"} and, when
    it is who is calling, {"pbx", "call"}: the new customer's card. 400 {"error", "field"}."""
    wish = await wish_of(request)
    try:
        fields = checked_fields(wish, request.app[PARTS].region, language_of(request))
    except WrongField as error:
        return json_answer({"error": str(error), "field": error.field}, 400)
    if "call" in wish:
        _own_call(request, wish)
    customer_id = await customer_records.create(request, fields)
    if "call" in wish:
        await _assign(request, wish, customer_id)
    card = await customers.card(request.app[PARTS].database, customer_id)
    return json_answer(card.as_dict() if card else {}, 201)


# ---- the call ------------------------------------------------------------------------------------


async def show_dispositions(request: web.Request) -> web.StreamResponse:
    """GET ?queue=name: {"dispositions": [node]} in the order of their keys, each node {"code",
    "title", "follow_up", "children": [node]}. Only one without children can be chosen; "follow_up"
    is what its wrap-up proposes: "", "task" or "callback"."""
    code = language_of(request).code
    found = await queues.disposition_tree(request.app[PARTS].database, request.query.get("queue"))
    return json_answer({"dispositions": [_node(one, code) for one in found]})


def _node(choice: DispositionChoice, language: str) -> dict[str, Any]:
    return {
        "code": choice.code,
        "title": choice.title(language),
        "follow_up": choice.follow_up,
        "children": [_node(child, language) for child in choice.children],
    }


async def choose_customer(request: web.Request) -> web.StreamResponse:
    """POST {"pbx", "call", "customer_id"}: this is who is calling. The card comes by the push."""
    wish = await wish_of(request)
    _own_call(request, wish)
    customer_id = wish.get("customer_id")
    if type(customer_id) is not int:
        raise web.HTTPBadRequest
    await _assign(request, wish, customer_id)
    return json_answer({})


async def show_note(request: web.Request) -> web.StreamResponse:
    """GET ?pbx=&call=: {"note": my own text} as last saved, for a desk that was reloaded. One's own
    is never a secret, so a page that asks a moment late gets it too."""
    pbx, call = _call_of(request.query)
    database = request.app[PARTS].database
    found = await interactions.of_call(database, pbx, call)
    login = signed_in(request).agent.login
    note = await interactions.note_of(database, found.id, login) if found else ""
    return json_answer({"note": note})


async def save_note(request: web.Request) -> web.StreamResponse:
    """POST {"pbx", "call", "note"}: keep the half-written note. {"saved": false} while the call has
    no row yet: send it again."""
    wish = await wish_of(request)
    pbx, call = _call_of(wish)
    note = _note(wish, request)
    database, login = request.app[PARTS].database, signed_in(request).agent.login
    found = await interactions.of_call(database, pbx, call)
    # The last letters may come when the wrap-up's time is over and the call has left the screen.
    if found is None or not await interactions.has_part(database, found.id, login):
        _own_call(request, wish)
    if found is None:
        return json_answer({"saved": False})
    async with database.transaction() as transaction:
        await interactions.save_note(transaction, found.id, note, agent=login)
    return json_answer({"saved": True})


async def wrap_up(request: web.Request) -> web.StreamResponse:
    """POST {"pbx", "call", "disposition": code, "note"}: the call is settled, and I am available.

    409 while the call still goes on; 400 for a disposition that its queue does not offer.
    """
    _ = language_of(request)
    wish = await wish_of(request)
    document = _own_call(request, wish)
    if document["state"] != "ended":
        raise web.HTTPConflict(text=_("The call is not over yet."))
    parts = request.app[PARTS]
    login = signed_in(request).agent.login
    offered = await queues.dispositions(parts.database, document["queue"] or None)
    if wish.get("disposition") not in [choice.code for choice in offered]:
        raise web.HTTPBadRequest(text=_("Choose how the call was settled."))
    note = _note(wish, request)
    if document["direction"] != "internal":
        found = await _row_of(request, document)
        pop = request.app[LIVE].screens.pop_on_screen(login, document["pbx"], document["call"])
        async with parts.database.transaction() as transaction:
            if pop and pop["chosen"] and found.customer_id != pop["matches"][0]["id"]:
                await interactions.assign_customer(
                    transaction, found.id, pop["matches"][0]["id"], actor=login
                )
            await interactions.close(
                transaction, found.id, disposition=wish["disposition"], agent=login, note=note
            )
    request.app[LIVE].screens.wrapped_up(login, document["pbx"], document["call"])
    await parts.agents.finish_wrap_up(login)
    return json_answer({})


# ---- what they share -----------------------------------------------------------------------------


def _call_of(wish: Mapping[str, Any]) -> tuple[str, str]:
    """The PBX and the call that a request names. Raises HTTPBadRequest."""
    pbx, call = wish.get("pbx"), wish.get("call")
    if not isinstance(pbx, str) or not isinstance(call, str) or len(pbx + call) > LONGEST_KEY:
        raise web.HTTPBadRequest
    return pbx, call


def _own_call(request: web.Request, wish: Mapping[str, Any]) -> dict[str, Any]:
    """The call on this agent's own screen. Raises HTTPForbidden for somebody else's."""
    pbx, call = _call_of(wish)
    login = signed_in(request).agent.login
    document = request.app[LIVE].screens.call_on_screen(login, pbx, call)
    if document is None or document["state"] == "offered":
        _ = language_of(request)
        raise web.HTTPForbidden(text=_("This call is not on your screen."))
    return document


def _note(wish: Mapping[str, Any], request: web.Request) -> str:
    note = wish.get("note", "")
    if not isinstance(note, str):
        raise web.HTTPBadRequest
    if len(note) > LONGEST_NOTE:
        _ = language_of(request)
        raise web.HTTPBadRequest(text=_("This is too long: at most 20,000 characters."))
    return note


async def _row_of(request: web.Request, call: Mapping[str, Any]) -> PastInteraction:
    """The call's interaction, waiting a little for it. Raises HTTPServiceUnavailable."""
    database = request.app[PARTS].database
    deadline = asyncio.get_running_loop().time() + ROW_SECONDS
    while True:
        found = await interactions.of_call(database, call["pbx"], call["call"])
        if found is not None:
            return found
        if asyncio.get_running_loop().time() > deadline:
            _ = language_of(request)
            raise web.HTTPServiceUnavailable(
                text=_(
                    "The call is not written down yet. Your note is kept; try again in a moment."
                )
            )
        await asyncio.sleep(0.1)


async def _assign(request: web.Request, wish: Mapping[str, Any], customer_id: int) -> None:
    """Say whose call it is, in the store and on the screens. Raises HTTPNotFound."""
    parts = request.app[PARTS]
    login = signed_in(request).agent.login
    card = await customers.card(parts.database, customer_id)
    if card is None:
        raise web.HTTPNotFound
    document = _own_call(request, wish)
    pbx, call = document["pbx"], document["call"]
    # The screen first: it is right at once, and the wrap-up writes it again if the row is late.
    request.app[LIVE].screens.customer_chosen(login, pbx, call, card.as_dict())
    if document["direction"] == "internal":
        return
    found = await interactions.of_call(parts.database, pbx, call)
    if found is not None:
        async with parts.database.transaction() as transaction:
            await interactions.assign_customer(transaction, found.id, customer_id, actor=login)
